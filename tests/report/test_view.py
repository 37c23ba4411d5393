"""The view is plain JSON that says what the front and the study say."""

from __future__ import annotations

import json
import math

import pytest

from pareto_prune.core.quantities import duration
from pareto_prune.core.records import Failure, TrialState
from pareto_prune.results.front import front_of
from pareto_prune.results.history import history
from pareto_prune.results.report import view_of
from tests import synthetic
from tests.results.test_front import values
from tests.synthetic import DENSE_VALUES, study_of, trial


def view(study):
    return view_of(front_of(study), study)


@pytest.fixture(scope="module")
def study():
    return synthetic.study()


@pytest.fixture(scope="module")
def seen(study):
    return view(study)


def test_it_is_json_and_the_same_every_time(study, seen):
    text = json.dumps(seen, allow_nan=False)
    assert json.loads(text) == json.loads(json.dumps(view(study)))


def test_every_trial_with_all_objectives_is_a_point(study, seen):
    expected = {t.number for t in study.trials if t.result and t.result.values}
    assert {p["number"] for p in seen["points"]} == expected
    assert {p["number"] for p in seen["points"] if p["front"]} == {
        p.number for p in front_of(study).trials
    }


def test_points_keep_values_intervals_and_shape(study, seen):
    point = next(p for p in seen["points"] if p["number"] == 17)
    result = study.trials[17].result
    assert point["values"] == pytest.approx(list(result.values.values()), rel=1e-5)
    wide = front_of(study).point(17).intervals["latency_ms"]
    assert point["low"][1] == pytest.approx(wide[0], rel=1e-5)
    assert wide[0] < result.intervals["latency_ms"][0]
    assert point["layers"] == [[s.heads, s.neurons] for s in result.architecture.layers]
    assert point["hidden"] == 384
    assert point["target"] == pytest.approx(result.candidate.cost_target, rel=1e-5)
    assert "reason" not in point


def test_estimates_are_marked(seen):
    assert [o["estimated"] for o in seen["objectives"]] == [False, False, True]
    assert any("an estimate, good to a factor of about 2" in note for note in seen["notes"])


def test_units_and_durations_are_told_and_not_left_to_the_page(study, seen):
    assert {o["unit"] for o in seen["objectives"]} | {"count"} <= set(seen["units"])
    assert seen["units"]["J/sample"]["symbol"] == "J"
    assert seen["units"]["fraction"]["factor"] == 100
    assert seen["estimate"] == {"mark": "≈", "factor": 2}
    assert [o["speed"] for o in seen["objectives"]] == [False, True, False]
    assert seen["searched"] == duration(history(study)[-1].seconds)
    assert seen["stops"]["saved"] == duration(seen["stops"]["saved_seconds"])


def test_front_takes_part_in_its_own_words(study, seen):
    front = front_of(study)
    assert seen["hypervolume"] == pytest.approx(front.hypervolume, rel=1e-5)
    assert seen["recommended"] == front.recommended.to_json()
    assert seen["knee"] == front.knee
    assert set(seen["explained"]) == {str(p.number) for p in front.trials}
    assert seen["dense"]["trial"] == 0
    assert [r["name"] for r in seen["references"]] == ["dense, int8", "unstructured 50 %"]


def test_history_ends_at_the_hypervolume(study, seen):
    assert [step[0] for step in seen["history"]] == [s.trials for s in history(study)]
    assert seen["history"][-1][2] == seen["hypervolume"]


def test_statistics_count_the_trials_of_the_search(study, seen):
    rows = {row["name"]: row for row in seen["strategies"]}
    finished = [t for t in study.trials if t.state.finished and t.number > 0]
    assert sum(row["trials"] for row in rows.values()) == len(finished)
    assert sum(row["front"] for row in rows.values()) == len(front_of(study).trials) - 1
    for row in rows.values():
        ends = ("complete", "infeasible", "stopped", "failed")
        assert row["trials"] == sum(row[end] for end in ends)
    best = max(t.result.values["accuracy"] for t in finished if t.state is TrialState.COMPLETE)
    assert max(row["best"] for row in rows.values()) == pytest.approx(best, rel=1e-5)
    assert sum(row["trials"] for row in seen["importances"]) == len(finished)


def test_starters_are_named(seen):
    names = [(s["name"], s["number"]) for s in seen["starters"]]
    assert names == [("dense", 0), ("half_depth", 1), ("uniform", 2)]


def test_failures_are_grouped_by_kind():
    made = [
        trial(0, {}, state=TrialState.FAILED, failure=Failure(kind="nan_loss", reason="at 3")),
        trial(1, {}, state=TrialState.FAILED, failure=Failure(kind="nan_loss", reason="at 9")),
    ]
    assert view(study_of(*made))["failures"] == [
        {"kind": "nan_loss", "reason": "at 9", "trials": [0, 1]}
    ]


def test_environment_and_study_file_are_there(seen):
    rows = dict(seen["environment"])
    assert rows["device"] == "AMD EPYC 7B13"
    assert rows["versions"] == "torch 2.13.0, transformers 5.23.0, optuna 5.0.0"
    assert rows["time in trials"] == "9 min"
    config = dict(seen["config"])
    assert config["model.path"] == "demo:minilm-l6"
    assert config["search.strategies"] == "balanced, layer_wise, l1"


def test_several_devices_are_told():
    other = synthetic.ENVIRONMENT.model_copy(update={"device": "Xeon"})
    made = [
        trial(0, values(0.8, 0.5, 0.5), environment=synthetic.ENVIRONMENT),
        trial(1, values(0.8, 0.4, 0.4), environment=other),
    ]
    rows = dict(view(study_of(*made))["environment"])
    assert rows["trials by device"] == "AMD EPYC 7B13: 1, Xeon: 1"


def test_the_page_says_what_stopping_early_saved():
    stopped = trial(1, {}, state=TrialState.STOPPED, stop_reason="at rung 1")
    complete = trial(0, values(0.8, 0.5, 0.5), timings={"finetune": 7.0, "evaluate": 1.0})
    stops = view(study_of(complete, stopped))["stops"]
    assert (stops["stopped"], stops["saved_seconds"]) == (1, 8.0)
    assert stops["reasons"] == [["at rung 1", 1]]


def test_without_stops_there_is_no_audit():
    assert view(study_of(trial(0, values(0.8, 0.5, 0.5))))["stops"] is None


@pytest.mark.parametrize(
    "study",
    [
        study_of(),
        study_of(reference=None),
        study_of(trial(0, dict(DENSE_VALUES), starter="dense")),
        study_of(trial(0, values(0.5, 0.1, 0.1), violations={"accuracy": 1.0})),
        study_of(trial(0, values(math.nan, 0.1, 0.1))),
        study_of(trial(0, values(0.8, 0.5, 0.5)), reference=None),
        study_of(config={}),
    ],
    ids=["empty", "no-dense", "only-dense", "infeasible", "nan", "unmeasured", "no-config"],
)
def test_ugly_studies_have_a_view(study):
    assert json.dumps(view(study), allow_nan=False)


def test_a_long_history_keeps_what_grew():
    study = synthetic.study(trials=1200, references=False)
    steps = view(study)["history"]
    grown = {s.trials for s in history(study)}
    assert len(steps) < 400
    assert steps[0][0] == 1
    assert steps[-1][0] == 1200
    assert {step[0] for step in steps} <= grown
    assert steps[-1][2] == pytest.approx(front_of(study).hypervolume, rel=1e-5)


def test_numbers_are_short():
    points = json.dumps(view(synthetic.study())["points"])
    assert len(points) / 40 < 700
