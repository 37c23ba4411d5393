"""The front of hand-made and synthetic studies."""

from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.records import TrialState
from pareto_prune.results.front import front_of
from pareto_prune.results.history import history, plateaued, trials_per_second
from pareto_prune.results.hypervolume import hypervolume
from pareto_prune.results.members import competes
from pareto_prune.results.records import Front
from pareto_prune.results.yardstick import Yardstick, yardstick
from tests import synthetic
from tests.synthetic import DENSE_VALUES, study_of, trial


def values(accuracy: float, latency: float, energy: float) -> dict[str, float]:
    """Objectives as shares of the dense model's costs."""
    return {"accuracy": accuracy, "latency_ms": 15 * latency, "energy_j": 0.08 * energy}


def numbers(front: Front) -> list[int]:
    return [point.number for point in front.trials]


def test_json_has_the_keys_that_other_programs_read():
    data = json.loads(json.dumps(front_of(synthetic.study()).to_json()))
    assert data["study"] == "synthetic"
    assert data["objectives"][0] == {
        "name": "accuracy", "unit": "fraction", "direction": "maximize",
    }  # fmt: skip
    assert data["objectives"][2] == {
        "name": "energy_j", "unit": "J/sample", "direction": "minimize",
        "grade": "estimated", "source": "cpu_time",
    }  # fmt: skip
    assert data["reference"]["accuracy"] == 0.842
    assert data["reference"]["parameters"] == 22536832
    assert isinstance(data["reference"]["parameters"], int)
    assert 0 < data["hypervolume"] < 1
    first = data["trials"][0]
    expected = {
        "number", "state", "strategy", "importance", "starter", "confirmed", "parameters",
        "values", "intervals", "relative", "architecture",
    }  # fmt: skip
    assert expected <= first.keys()
    assert first["state"] == "complete"
    assert set(first["values"]) == set(first["intervals"]) == set(DENSE_VALUES)
    assert set(first["relative"]) == {"latency_ms", "energy_j"}
    assert first["architecture"]["layers"][0].keys() == {"heads", "neurons"}


def test_front_survives_json():
    front = front_of(synthetic.study(), all_trials=True)
    assert Front.from_json(json.loads(json.dumps(front.to_json()))) == front


def test_dominated_infeasible_stopped_and_failed_trials_are_not_on_it():
    study = study_of(
        trial(0, values(0.82, 0.5, 0.5)),
        trial(1, values(0.81, 0.6, 0.5)),
        trial(2, values(0.80, 0.3, 0.3)),
        trial(3, values(0.83, 0.1, 0.1), state=TrialState.STOPPED),
        trial(4, values(0.83, 0.1, 0.1), violations={"accuracy": 0.1}),
        trial(5, {}, state=TrialState.FAILED),
        trial(6, values(math.nan, 0.1, 0.1)),
    )
    front = front_of(study)
    assert numbers(front) == [0, 2]
    assert front.counts["infeasible"] == 1
    assert front.counts["stopped"] == 1
    assert front.counts["complete"] == 5


def test_what_adds_no_hypervolume_is_no_point_but_the_dense_model():
    study = study_of(
        trial(0, values(0.842, 1.0, 1.0), starter="dense"),
        trial(1, values(0.80, 0.3, 0.3)),
        trial(2, values(0.774, 0.2, 0.2)),
        trial(3, values(0.501, 0.01, 0.01)),
        trial(4, values(0.501, 0.01, 0.01), violations={"accuracy": 0.1}),
    )
    front = front_of(study)
    assert numbers(front) == [0, 1]
    assert front.floor == pytest.approx(0.842 - 0.2 * (0.842 - 0.502))
    assert front.below_floor == 2
    point = front_of(study, all_trials=True).point(3)
    assert point.below_floor
    assert point.reason == "its accuracy is at or below 77.4 %, where a front ends"
    chance = front_of(study.model_copy(update={"reference": synthetic.reference(accuracy=0.5)}))
    assert (chance.floor, chance.below_floor) == (None, 0)


def test_all_lists_every_trial_with_its_state_and_reason():
    study = synthetic.study()
    every, only = front_of(study, all_trials=True), front_of(study)
    assert numbers(every) == [t.number for t in study.trials]
    assert {p.number for p in every.members} == set(numbers(only))
    failed = next(p for p in every.trials if p.state is TrialState.FAILED)
    assert failed.reason == "nan_loss: the loss is not a number at step 12"
    assert every.hypervolume == only.hypervolume
    assert every.recommended == only.recommended


def test_a_trial_that_the_dense_model_dominates_is_not_on_the_front():
    worse = trial(0, values(0.84, 1.01, 1.0))
    assert numbers(front_of(study_of(worse))) == []
    assert numbers(front_of(study_of(trial(0, values(0.84, 0.99, 1.0))))) == [0]


def test_the_dense_starter_stands_for_the_dense_model():
    """Its own measurement, a hair above the reference, must not throw it off the front."""
    dense = trial(0, values(0.842, 1.004, 1.01), starter="dense")
    assert numbers(front_of(study_of(dense))) == [0]


def test_equal_trials_stay_together():
    twins = [trial(i, values(0.82, 0.5, 0.5)) for i in range(2)]
    assert numbers(front_of(study_of(*twins))) == [0, 1]


points = st.tuples(st.floats(0.4, 0.9), st.floats(0.02, 1.3), st.floats(0.02, 1.3))


@given(st.lists(points, max_size=15))
def test_hypervolume_is_the_definition(rows):
    """Against a grid of boxes: the share of the unit box below some point, cell by cell."""
    study = study_of(*(trial(i, values(*row)) for i, row in enumerate(rows)))
    cells = [
        (
            (a - (0.842 - 0.2 * (0.842 - 0.502))) / (0.2 * (0.842 - 0.502)),
            math.log(1 / latency),
            math.log(1 / energy),
        )
        for a, latency, energy in rows
    ]
    front, corners = front_of(study), np.array(cells).reshape(-1, 3)
    for found, cheapest in ((front.hypervolume, 64), (front.hypervolume_v1, 16)):
        sides = np.array([1, math.log(cheapest), math.log(cheapest)])
        expected = union_of_boxes(np.clip(corners / sides, 0, 1))
        assert found == pytest.approx(expected, abs=1e-9)


def union_of_boxes(corners: np.ndarray) -> float:
    edges = [np.unique(np.concatenate(([0.0], corners[:, axis]))) for axis in range(3)]
    tops = np.stack(np.meshgrid(*(e[1:] for e in edges), indexing="ij"), axis=-1).reshape(-1, 3)
    sizes = np.stack(np.meshgrid(*map(np.diff, edges), indexing="ij"), axis=-1).reshape(-1, 3)
    inside = (tops[:, None] <= corners[None]).all(axis=2).any(axis=1)
    return float(np.prod(sizes, axis=1)[inside].sum())


def test_hypervolume_by_hand():
    """At the dense accuracy and 8 times cheaper twice: 1 × 1/2 × 1/2."""
    eighth = front_of(study_of(trial(0, values(0.842, 1 / 8, 1 / 8))))
    assert (eighth.hypervolume, eighth.hypervolume_version) == (pytest.approx(0.25), 2)
    assert eighth.hypervolume_v1 == pytest.approx(9 / 4 * 0.25)
    beyond = front_of(study_of(trial(0, values(0.842, 1 / 32, 1 / 32))))
    assert (beyond.hypervolume, beyond.hypervolume_v1) == pytest.approx((25 / 36, 1))
    useless = trial(0, values(0.55, 0.01, 0.01))
    assert front_of(study_of(useless)).hypervolume == 0
    better = trial(0, values(0.99, 1 / 64, 1 / 64))
    assert front_of(study_of(better)).hypervolume == pytest.approx(1)


def test_two_objectives_and_maximised_costs():
    names = ["accuracy", "throughput"]
    dense = synthetic.reference()
    reading = dense.measurement.readings["latency_ms"].model_copy(
        update={"value": 100.0, "unit": "samples/s"}
    )
    measurement = dense.measurement.model_copy(update={"readings": {"throughput": reading}})
    study = study_of(
        trial(0, {"accuracy": 0.842, "throughput": 400.0}),
        trial(1, {"accuracy": 0.842, "throughput": 300.0}),
        config={"objectives": names},
        reference=dense.model_copy(update={"measurement": measurement}),
    )
    front = front_of(study)
    assert numbers(front) == [0]
    assert front.hypervolume == pytest.approx(1 / 3)
    assert front.at_points_lost[0].speedup == pytest.approx(4)
    assert front.recommended is not None
    assert "4.0× faster" in front.recommended.reason


def test_four_objectives_with_sizes():
    names = ["accuracy", "latency_ms", "energy_j", "parameters"]
    dense = synthetic.reference()
    quarter = values(0.842, 0.25, 0.25) | {"parameters": dense.parameters / 4}
    study = study_of(trial(0, quarter), config={"objectives": names})
    assert front_of(study).hypervolume == pytest.approx(1 / 27)


def test_no_hypervolume_where_the_dense_model_does_not_beat_chance():
    study = study_of(trial(0, values(0.5, 0.5, 0.5)), reference=synthetic.reference(accuracy=0.5))
    assert front_of(study).hypervolume is None
    assert history(study) == []


def test_speed_up_and_energy_at_points_lost():
    study = study_of(
        trial(0, values(0.835, 0.5, 0.6)),
        trial(1, values(0.825, 0.4, 0.7)),
        trial(2, values(0.815, 0.2, 0.1)),
    )
    one, two, three = front_of(study).at_points_lost
    assert (one.speedup, one.energy_ratio) == pytest.approx((2.0, 0.6))
    assert (two.speedup, two.energy_ratio) == pytest.approx((2.5, 0.6))
    assert (three.speedup, three.energy_ratio) == pytest.approx((5.0, 0.1))
    assert (two.speedup_trial, two.energy_trial) == (1, 0)


def test_a_loss_of_exactly_one_point_counts_as_one():
    front = front_of(study_of(trial(0, values(0.832, 0.5, 0.5))))
    assert front.at_points_lost[0].speedup == pytest.approx(2)


def test_with_nothing_cheaper_the_dense_model_is_the_best_at_points_lost():
    at = front_of(study_of(trial(0, values(0.6, 0.1, 0.1)))).at_points_lost[0]
    assert (at.speedup, at.speedup_trial, at.energy_ratio) == (1, None, 1)


def test_knee_is_the_bend():
    study = study_of(
        trial(0, values(0.842, 0.9, 0.9)),
        trial(1, values(0.835, 0.2, 0.2)),
        trial(2, values(0.790, 0.15, 0.15)),
    )
    assert front_of(study).knee == 1


def test_recommended_is_the_cheapest_within_noise():
    study = study_of(
        trial(0, values(0.841, 0.8, 0.8)),
        trial(1, values(0.833, 0.4, 0.4)),
        trial(2, values(0.810, 0.2, 0.2)),
    )
    recommended = front_of(study).recommended
    assert recommended is not None
    assert recommended.trial == 1
    assert recommended.reason == (
        "the cheapest point within 1.2 points of the dense model's accuracy: "
        "2.5× faster, 0.40× the energy"
    )


def test_without_a_point_within_noise_the_knee_is_recommended():
    study = study_of(trial(0, values(0.81, 0.4, 0.4)), trial(1, values(0.80, 0.38, 0.38)))
    front = front_of(study)
    assert front.recommended is not None
    assert front.recommended.trial == front.knee
    assert front.recommended.reason.startswith("the knee of the front, ")


def test_the_dense_model_is_never_recommended():
    dense = trial(0, values(0.842, 1.0, 1.0), starter="dense")
    assert front_of(study_of(dense)).recommended is None


@pytest.mark.parametrize("all_trials", [False, True])
def test_a_study_without_trials_or_dense_model(all_trials):
    empty = front_of(study_of(), all_trials)
    assert (empty.trials, empty.hypervolume, empty.recommended) == ((), 0.0, None)
    before = front_of(study_of(reference=None), all_trials)
    assert (before.reference, before.hypervolume, before.at_points_lost) == (None, None, ())


def test_trials_before_the_dense_model_is_known_have_a_front_all_the_same():
    front = front_of(study_of(trial(0, values(0.8, 0.5, 0.5)), reference=None))
    assert numbers(front) == [0]
    assert front.trials[0].relative == {}


def test_nothing_feasible():
    study = study_of(trial(0, values(0.5, 0.1, 0.1), violations={"accuracy": 0.2}))
    front = front_of(study, all_trials=True)
    assert front.members == ()
    assert front.hypervolume == 0
    assert front.trials[0].reason == "breaks the constraint on accuracy"


def test_history_grows_and_ends_at_the_hypervolume():
    study = synthetic.study()
    steps = history(study)
    volumes = [step.hypervolume for step in steps]
    assert volumes == sorted(volumes)
    front = front_of(study)
    assert volumes[-1] == pytest.approx(front.hypervolume)
    assert steps[-1].hypervolume_v1 == pytest.approx(front.hypervolume_v1)
    assert [step.trials for step in steps] == list(range(1, 41))


def test_history_is_the_hypervolume_of_each_prefix():
    study = synthetic.study(trials=25, seed=3)
    measure = yardstick(study)
    for step in history(study):
        seen = [t for t in study.trials[: step.trials] if competes(t, measure)]
        rows = measure.values([t.result.values for t in seen])
        expected = hypervolume(np.clip(measure.coordinates(rows), 0, 1))
        assert step.hypervolume == pytest.approx(expected, abs=1e-9)


def test_history_does_not_count_the_night_between_two_runs():
    one, two = (trial(i, values(0.8, 0.5, 0.5)) for i in range(2))
    night = 8 * 3600
    two = two.model_copy(update={"started": two.started + night, "ended": two.ended + night})
    assert [step.seconds for step in history(study_of(one, two))] == [70.0, 80.0]


def test_a_rate_does_not_count_the_night_between_two_runs():
    trials = [trial(i, values(0.8, 0.5, 0.5)) for i in range(4)]
    steady = trials_per_second(trials)
    assert steady == pytest.approx(0.1)
    moved = {"started": trials[3].started + 8 * 3600, "ended": trials[3].ended + 8 * 3600}
    night = [*trials[:3], trials[3].model_copy(update=moved)]
    assert trials_per_second(night) == pytest.approx(0.1)
    assert trials_per_second([]) is None


def test_history_follows_the_order_of_the_ends():
    slow, quick = (trial(i, values(0.8, 0.5, 0.5)) for i in range(2))
    slow = slow.model_copy(update={"ended": slow.ended + 100})
    assert [step.number for step in history(study_of(slow, quick))] == [1, 0]


def test_named_references_stand_beside_the_front():
    front = front_of(synthetic.study())
    assert [r.name for r in front.references] == ["dense, int8", "unstructured 50 %"]
    assert front.references[0].relative["latency_ms"] == pytest.approx(0.62)


def test_reading_a_front_loads_neither_torch_nor_optuna():
    code = (
        "import sys, pareto_prune.results.front, pareto_prune.results.selection, "
        "pareto_prune.results.tables, pareto_prune.running.display, pareto_prune.results.report;"
        "print([m for m in ('torch', 'optuna', 'transformers', 'plotly', 'pandas')"
        " if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_plateau_is_so_many_trials_without_a_rise():
    """One trial makes the front; four more are dominated, the last is better by much."""
    first = trial(0, values(0.842, 0.5, 0.5))
    worse = [trial(number, values(0.80, 0.6, 0.6)) for number in range(1, 5)]
    flat = study_of(first, *worse)
    assert plateaued(flat, 4)
    assert not plateaued(flat, 5)
    assert not plateaued(flat, None)
    risen = study_of(first, *worse, trial(5, values(0.842, 0.25, 0.25)))
    assert not plateaued(risen, 4)


def test_a_study_without_hypervolume_has_no_plateau():
    useless = [trial(number, values(0.5, 0.9, 0.9)) for number in range(9)]
    assert not plateaued(study_of(*useless), 3)
    assert not plateaued(study_of(*useless, reference=None), 3)


def test_promising_is_what_keeps_some_of_the_metric_and_costs_less():
    reference = {"accuracy": 0.9, "latency_ms": 10.0, "throughput": 100.0}
    objectives = tuple(OBJECTIVES[name] for name in reference)
    measure = Yardstick(objectives, reference, 0.5)
    good = {"accuracy": 0.83, "latency_ms": 4.0, "throughput": 200.0}
    assert measure.promising(good, 0.7)
    assert not measure.promising({**good, "accuracy": 0.819}, 0.7)
    assert not measure.promising({**good, "accuracy": math.nan}, 0.7)
    assert measure.promising({**good, "latency_ms": 9.0}, 0.7)
    assert not measure.promising({**good, "latency_ms": 9.0, "throughput": 120.0}, 0.7)
    assert not measure.promising(reference, 0.7)
    assert Yardstick(objectives, {}, 0.0).promising(reference, 0.7)
    assert Yardstick(objectives, reference, 0.9).promising(reference, 0.7)
