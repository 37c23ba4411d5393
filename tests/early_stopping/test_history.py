"""From a study to the rule, and what stopping saved."""

from __future__ import annotations

import pytest

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import Rung, TrialState
from pareto_prune.pruning.cost_tables import MeasuredCost
from pareto_prune.results.front import front_of
from pareto_prune.results.savings import savings
from pareto_prune.search.early_stopping import (
    Referee,
    Stop,
    StoppedEarlyError,
    StopRule,
    audited,
    predict,
)
from tests import synthetic
from tests.synthetic import study_of, trial


def rungs(*pairs: tuple[int, float]) -> tuple[Rung, ...]:
    return tuple(Rung(step=s, quality=synthetic.quality(a), seconds=1.0) for s, a in pairs)


def values(accuracy: float, latency: float) -> dict[str, float]:
    return {"accuracy": accuracy, "latency_ms": latency, "energy_j": 0.04}


def times(finetune: float, evaluate: float) -> dict[str, float]:
    return {"finetune": finetune, "evaluate": evaluate}


def rule_of(*trials: object) -> StopRule:
    study = study_of(*trials)  # type: ignore[arg-type]
    return StopRule.of(study, StudyConfig.from_json(study.config))


def test_only_trials_that_ran_to_their_end_teach() -> None:
    found = rule_of(
        trial(0, values(0.84, 15.0), starter="dense", rungs=rungs((0, 0.84))),
        trial(1, values(0.80, 5.0), rungs=rungs((0, 0.7), (15, 0.75)), steps=60),
        trial(2, values(0.80, 5.0), state=TrialState.STOPPED, rungs=rungs((0, 0.7)), steps=60),
        trial(3, {}, state=TrialState.FAILED),
        trial(4, values(0.50, 5.0), rungs=rungs((0, 0.5)), steps=60, violations={"accuracy": 0.1}),
        trial(5, values(float("nan"), 5.0), rungs=rungs((0, 0.5)), steps=60),
    )
    assert [one.final for one in found.completed[:3]] == [0.84, 0.80, 0.50]
    assert found.completed[0].rungs == found.completed[3].rungs == ()
    assert found.completed[1].rungs == (
        (0.0, synthetic.quality(0.7).loss),
        (0.25, synthetic.quality(0.75).loss),
    )
    assert found.completed[2].rungs == ((0.0, synthetic.quality(0.5).loss),)
    assert [one.feasible for one in found.completed] == [True, True, False, False]


def test_predictions_are_held_against_what_was_measured() -> None:
    found = rule_of(trial(0, values(0.8, 5.0), predicted={"latency_ms": 4.0, "energy_j": 0.0}))
    assert found.completed[0].ratios == {"latency_ms": 1.25}


def test_stops_by_hand() -> None:
    """Full trials train 8, 12 and 10 s; two stops after 2 s save 16 s; one of two audits wrong."""
    study = study_of(
        trial(0, values(0.80, 5.0), timings=times(7, 1)),
        trial(1, values(0.79, 6.0), timings=times(10, 2), stop_reason="at rung 1", audited=True),
        trial(2, values(0.83, 6.0), timings=times(9, 1), stop_reason="at rung 1", audited=True),
        trial(3, {}, TrialState.STOPPED, timings=times(2, 0), stop_reason="at rung 1"),
        trial(4, {}, TrialState.STOPPED, timings=times(1, 1), stop_reason="at rung 1"),
    )
    found = savings(study, {point.number for point in front_of(study).members})
    assert found is not None
    assert (found.stopped, found.audited, found.wrong) == (2, 2, (2,))
    assert (found.saved_seconds, found.spent_seconds) == (16.0, 34.0)
    assert found.reasons == (("at rung 1", 2),)


def test_without_stops_there_is_nothing_to_say() -> None:
    assert savings(study_of(trial(0, values(0.8, 5.0))), {0}) is None


def test_a_referee_ends_a_trial_once_and_lets_audited_ones_run() -> None:
    stop, asked = Stop("because", 0.8), []

    def question(_: object) -> Stop:
        asked.append(1)
        return stop

    rule = rule_of(trial(0, values(0.8, 5.0)))
    with pytest.raises(StoppedEarlyError, match="because"):
        Referee(lambda: rule).ask(question)
    audit = Referee(lambda: rule, audited=True)
    audit.ask(question)
    audit.ask(question)
    assert audit.stop is stop
    Referee(None).ask(question)
    assert len(asked) == 2


def test_the_share_of_audits_is_the_one_asked_for() -> None:
    drawn = sum(audited(seed, 0.05) for seed in range(4000))
    assert 150 < drawn < 250
    assert audited(7, 1.0)
    assert not audited(7, 0.0)


def test_a_prediction_is_the_tables_share_of_the_dense_values() -> None:
    """Without its layers a model costs the 2 of 2 + 6 × (1 + 1) that no layer takes."""
    table = MeasuredCost({12: 1.0}, {1536: 1.0}, 2.0)
    dense = synthetic.dense_architecture()
    reference = synthetic.reference()
    whole = predict(dense, reference, (table, table))
    assert whole["latency_ms"] == pytest.approx(15.0)
    assert whole["parameters"] == reference.parameters
    gone = (LayerShape(heads=0, neurons=0),) * 5
    shape = Architecture(hidden=384, head_size=32, layers=(*dense.layers[:1], *gone))
    found = predict(shape, reference, (table, table))
    assert found["latency_ms"] == pytest.approx(15.0 * 4 / 14)
    assert found["energy_j"] == pytest.approx(0.08 * 4 / 14)
    assert found["parameters"] < reference.parameters
    assert set(predict(shape, reference, None)) == {"parameters", "bytes"}
