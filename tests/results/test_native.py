"""Which points are native, and the front of these alone."""

from __future__ import annotations

import pytest

from pareto_prune.core.architecture import LayerShape
from pareto_prune.core.records import Study, Trial
from pareto_prune.results.front import front_of
from pareto_prune.results.native import is_native
from pareto_prune.results.report.view import view_of
from pareto_prune.results.tables import front_csv, front_json
from pareto_prune.results.tables.summary import front_summary
from tests import synthetic
from tests.synthetic import study_of, trial

DENSE = synthetic.dense_architecture()
NONE = LayerShape(heads=0, neurons=0)


def noted(number: int, accuracy: float, cost: float, native: bool | None) -> Trial:
    made = trial(number, {"accuracy": accuracy, "latency_ms": 15 * cost, "energy_j": 0.08 * cost})
    assert made.result is not None
    return made.model_copy(update={"result": made.result.model_copy(update={"native": native})})


@pytest.fixture
def study() -> Study:
    return study_of(
        trial(0, dict(synthetic.DENSE_VALUES), starter="dense"),
        noted(1, 0.83, 0.5, native=False),
        noted(2, 0.82, 0.6, native=True),
        noted(3, 0.80, 0.4, native=True),
        noted(4, 0.81, 0.7, native=True),
    )


def test_the_front_of_native_points_is_made_of_them_alone(study: Study) -> None:
    whole, native = front_of(study), front_of(study, native=True)
    assert [point.number for point in whole.members] == [0, 1, 3]
    assert [point.number for point in native.members] == [0, 2, 3]
    assert native.native
    assert not whole.native
    assert whole.hypervolume is not None
    assert native.hypervolume is not None
    assert 0 < native.hypervolume < whole.hypervolume
    assert [p.number for p in front_of(study, all_trials=True, native=True).trials] == [0, 2, 3, 4]


def test_every_point_says_which_it_is(study: Study) -> None:
    assert [point.native for point in front_of(study).members] == [True, False, True]
    assert '"native": false' in front_json(front_of(study))
    rows = [line.split(",") for line in front_csv(front_of(study)).splitlines()]
    column = rows[0].index("native")
    assert [row[column] for row in rows[1:]] == ["true", "true", "false", "true"]
    points = view_of(front_of(study), study)["points"]
    assert [point.get("native") for point in points] == [True, False, True, True, True]


def test_the_summary_says_that_points_are_native(study: Study) -> None:
    text = str(front_summary(front_of(study, native=True)))
    assert "3 native points on the front of 5 trials" in text
    assert "3 points on the front" in str(front_summary(front_of(study)))


@pytest.mark.parametrize(
    ("layers", "known"),
    [
        (DENSE.layers, True),
        ((*DENSE.layers[:4], NONE, NONE), True),
        ((DENSE.layers[0], NONE, *DENSE.layers[2:]), None),
        ((LayerShape(heads=12, neurons=768),) * 6, None),
    ],
    ids=["dense", "top layers gone", "a layer between gone", "narrower"],
)
def test_what_is_known_of_trials_that_did_not_note_it(layers, known) -> None:
    found = trial(1, dict(synthetic.DENSE_VALUES)).result
    shape = DENSE.model_copy(update={"layers": layers})
    result = found.model_copy(update={"architecture": shape})
    assert is_native(result, DENSE) is known
    assert is_native(result.model_copy(update={"native": False}), DENSE) is False
    assert is_native(result, None) is None
