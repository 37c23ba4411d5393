"""Which trials of a study are on its front."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from pareto_prune.core.records import (
    DENSE_STARTER,
    Trial,
    TrialResult,
    TrialState,
)
from pareto_prune.results.dominance import nondominated
from pareto_prune.results.yardstick import Yardstick


def competes(trial: Trial, measure: Yardstick) -> bool:
    """Whether ``trial`` can be on the front: complete, feasible, every objective finite."""
    if trial.state is not TrialState.COMPLETE or trial.result is None:
        return False
    values = trial.result.values
    known = all(math.isfinite(values.get(name, math.nan)) for name in measure.names)
    return known and feasible(trial.result)


def members_of(trials: Sequence[Trial], measure: Yardstick) -> list[Trial]:
    """Return the trials that nothing dominates and whose metric is above the floor.

    The dense model takes part; a promotion that changed nothing does not.
    """
    competing = [t for t in trials if competes(t, measure) and not below_floor(t, measure)]
    competing = _without_repeats(competing, measure)
    rows: list[Mapping[str, float]] = [result_of(trial).values for trial in competing]
    if measure.complete and not any(_starter(trial) == DENSE_STARTER for trial in competing):
        rows.append(measure.reference)
    kept = nondominated(measure.values(rows) * measure.signs())
    return [trial for trial, keep in zip(competing, kept, strict=False) if keep]


def _without_repeats(trials: list[Trial], measure: Yardstick) -> list[Trial]:
    """Leave out promotions that are no better than the model they went on from."""
    values = {trial.number: result_of(trial).values for trial in trials}

    def repeats(trial: Trial) -> bool:
        parent = result_of(trial).candidate.parent
        if parent is None or parent not in values:
            return False
        return all(values[parent][name] == values[trial.number][name] for name in measure.names)

    return [trial for trial in trials if not repeats(trial)]


def below_floor(trial: Trial, measure: Yardstick) -> bool:
    """Whether a complete trial lost so much that it is no point of a front, however cheap."""
    if trial.state is not TrialState.COMPLETE or trial.result is None:
        return False
    return _starter(trial) != DENSE_STARTER and not measure.useful(trial.result.values)


def feasible(result: TrialResult) -> bool:
    """Whether a result keeps the study's constraints."""
    return all(violation <= 0 for violation in result.violations.values())


def result_of(trial: Trial) -> TrialResult:
    """Return the result of a trial that has one."""
    assert trial.result is not None
    return trial.result


def _starter(trial: Trial) -> str | None:
    return result_of(trial).candidate.starter
