"""What trials that ran to their end teach about those that still run."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from typing import Self

from pareto_prune.core.records import Candidate, Study, Trial, TrialState
from pareto_prune.results.members import competes
from pareto_prune.results.yardstick import Yardstick

ALIKE = 0.05
"""Learning rates that differ by less than about this share are the same."""


@dataclass(frozen=True)
class Completed:
    """One trial that ran to its end, audited ones included.

    Attributes:
        strategy: that made it.
        made: what its model follows from; see :func:`made_of`.
        values: objectives by name.
        final: its metric at the end.
        feasible: whether it keeps the constraints and has every objective, so that it can
            dominate others.
        rungs: (share of the fine-tuning steps, mean loss there), in rising order.
        ratios: measured / predicted, by name, where a cost was predicted.
    """

    strategy: str
    values: Mapping[str, float]
    final: float
    feasible: bool = True
    made: Hashable = None
    rungs: tuple[tuple[float, float], ...] = ()
    ratios: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, trial: Trial, measure: Yardstick) -> Self | None:
        """Return what a trial teaches; ``None`` where it did not end, or goes on from another.

        A trial is held against those that trained as long: its own promotion may be yet to come.

        Args:
            trial: in any state.
            measure: of its study.
        """
        result, metric = trial.result, measure.metric.name
        if trial.state is not TrialState.COMPLETE or result is None:
            return None
        if result.candidate.parent is not None:
            return None
        final = result.values.get(metric, math.nan)
        taken = result.rungs if result.steps else ()
        rungs = [(rung.step / result.steps, rung.quality.loss) for rung in taken]
        return cls(
            strategy=result.candidate.strategy,
            made=made_of(result.candidate, result.plan_digest) if result.steps else None,
            values=result.values,
            final=final,
            feasible=competes(trial, measure),
            rungs=tuple(sorted(rung for rung in rungs if math.isfinite(rung[1] + final))),
            ratios={
                name: result.values[name] / predicted
                for name, predicted in result.predicted.items()
                if predicted > 0 and result.values.get(name, math.nan) > 0
            },
        )

    def before(self, share: float) -> float | None:
        """Return its loss at its last rung up to a share of the steps, if it had one by then."""
        return next((loss for at, loss in reversed(self.rungs) if at <= share + 1e-9), None)


def made_of(candidate: Candidate, plan: str | None) -> Hashable:
    """Return what a model follows from once its plan is known; ``None`` where there is no plan.

    Two trials alike in it end with the same model, whatever else their candidates say: all trials
    of a study learn from the same examples. Learning rates count as alike within a few percent.

    Args:
        candidate: of a strategy that trains nothing before it cuts.
        plan: digest of its plan.
    """
    if plan is None:
        return None
    rate = round(math.log(candidate.learning_rate) / ALIKE)
    return candidate.strategy, plan, rate, tuple(sorted(candidate.deployment.items()))


def completed_of(study: Study, measure: Yardstick) -> tuple[Completed, ...]:
    """Return every trial of a study that ran to its end, in the order of their numbers."""
    found = (Completed.of(trial, measure) for trial in study.trials)
    return tuple(one for one in found if one is not None)
