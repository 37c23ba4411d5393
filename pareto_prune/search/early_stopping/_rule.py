"""The rule: from what is known of a trial and of completed ones to a stop, or none."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core.bounds import bound
from pareto_prune.core.config import EarlyStoppingTable, StudyConfig
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.records import Candidate, Interval, Study
from pareto_prune.results.yardstick import Yardstick, yardstick
from pareto_prune.search.early_stopping._completed import Completed, completed_of, made_of

NEAREST = 10
"""Completed trials that a final metric is estimated from."""
OTHER_STRATEGY = 1.0
"""How much further away a trial of another strategy is, in standard deviations of cost or loss."""
UNTESTED = 0.75
"""A predicted cost counts as this much of itself until enough predictions were tested."""
TESTED = 5
NO_LOSS = 1e-6
"""A smaller loss counts as this much, to have a logarithm."""
STEP_COST = 3.0
"""Cost of a training step in evaluations of as many examples: forward, and backward twice that."""

Similar = Sequence[tuple[Completed, float]]
"""Completed trials, each with its loss when it was as far as the one in hand."""


@dataclass(frozen=True)
class Stop:
    """A decision against a trial.

    Attributes:
        reason: for people, the same words for the same cause.
        optimistic: the metric that it could still have reached.
    """

    reason: str
    optimistic: float


@dataclass(frozen=True)
class Progress:
    """A trial at a rung.

    Attributes:
        strategy: that made its model.
        share: of the fine-tuning steps taken so far.
        metric: now.
        loss: mean loss on the same examples.
        costs: its cost objectives by name.
    """

    strategy: str
    share: float
    metric: float
    loss: float
    costs: Mapping[str, float]


@dataclass(frozen=True)
class StopRule:
    """The rule as a study stands.

    Attributes:
        table: its settings.
        constraints: of the study file.
        measure: what values are held against, the dense model included.
        completed: trials that ran to their end.
    """

    table: EarlyStoppingTable
    constraints: Mapping[str, str]
    measure: Yardstick
    completed: tuple[Completed, ...] = ()

    @classmethod
    def of(cls, study: Study, config: StudyConfig) -> Self:
        """Return the rule of a study as it stands."""
        measure = yardstick(study)
        completed = completed_of(study, measure)
        return cls(config.early_stopping, config.constraints, measure, completed)

    @property
    def ceiling(self) -> float:
        """The best metric there is: the dense model's or a completed trial's."""
        finals = [one.final for one in self.completed if math.isfinite(one.final)]
        return max(finals + [v for v in [self._dense_metric] if v is not None], default=math.nan)

    @property
    def _dense_metric(self) -> float | None:
        return self.measure.reference.get(self.measure.metric.name)

    # Constraints on costs

    def on_prediction(self, predicted: Mapping[str, float]) -> Stop | None:
        """Decide on predicted costs: each is taken as much better as predictions were wrong."""
        likely = {name: self._at_best(name, value) for name, value in predicted.items()}
        return self._broken(likely, "predicted")

    def on_costs(
        self, values: Mapping[str, float], intervals: Mapping[str, Interval]
    ) -> Stop | None:
        """Decide on known costs: each is taken at the better end of its interval."""
        likely = {name: _better_end(name, v, intervals.get(name)) for name, v in values.items()}
        return self._broken(likely, "measured")

    def _broken(self, values: Mapping[str, float], how: str) -> Stop | None:
        for name, text in self.constraints.items():
            if name != self.measure.metric.name and _breaks(text, values.get(name, math.nan)):
                said = "known" if OBJECTIVES[name].kind == "size" and how == "measured" else how
                return Stop(f"{name}, as {said}, is not {text}", self.ceiling)
        return None

    def _at_best(self, name: str, predicted: float) -> float:
        """Return the cost at the better end of what predictions turned out to be."""
        ratios = [one.ratios[name] for one in self.completed if name in one.ratios]
        if len(ratios) < TESTED:
            return predicted * UNTESTED
        return predicted * float(np.quantile(ratios, 1 - self.table.quantile))

    # The plan

    def on_plan(self, candidate: Candidate, plan: str) -> Stop | None:
        """Decide on the plan of a candidate whose strategy trained nothing before the cut."""
        made = made_of(candidate, plan)
        finals = [one.final for one in self.completed if one.made == made]
        known = next((final for final in finals if math.isfinite(final)), None)
        return None if known is None else Stop("the same plan was tried before", known)

    # The metric

    def on_rung(self, progress: Progress) -> Stop | None:
        """Decide on the metric at a rung; never before enough trials ran to their end."""
        similar = self._similar(progress)
        still = self._estimate(progress, similar)
        if still is None:
            return None
        when = "before training" if progress.share <= 0 else f"at {progress.share:.0%} of the steps"
        name = self.measure.metric.name
        text = self.constraints.get(name)
        if text is not None and self._out_of_reach(text, progress, similar):
            return Stop(f"{name} {text} is out of reach {when}", still)
        if self._dominated(progress.costs, still):
            return Stop(f"dominated {when} even at an optimistic estimate", still)
        return None

    def optimistic(self, progress: Progress) -> float | None:
        """Return the metric that a trial can still reach; ``None`` where too little is known.

        A quantile of what the trials of nearest cost and loss at the same rung ended at, and never
        less than the metric now. The loss tells far more of the end than the metric at a rung does:
        it moves with every example, not only with those that change sides.
        """
        return self._estimate(progress, self._similar(progress))

    def _out_of_reach(self, text: str, progress: Progress, similar: Similar) -> bool:
        """Whether a constraint on the metric is out of reach, by what began no worse ended at.

        By nothing else: stopped trials teach nothing, so a study whose first trials all break the
        constraint would stop the better ones, too.
        """
        no_worse = [(one, loss) for one, loss in similar if loss <= progress.loss]
        reached = self._estimate(progress, no_worse)
        return reached is not None and _breaks(text, reached)

    def _estimate(self, progress: Progress, similar: Similar) -> float | None:
        if not similar:
            return None
        finals = [one.final for one, _ in similar]
        return max(progress.metric, float(np.quantile(finals, self.table.quantile)))

    def _similar(self, progress: Progress) -> Similar:
        """Return the nearest completed trials, by standard deviations of log cost and log loss.

        None where too few had a rung by then, or where the trial has no metric or no loss.
        """
        losses = [(one, one.before(progress.share)) for one in self.completed]
        known = [(one, loss) for one, loss in losses if loss is not None]
        if len(known) < self.table.after or not math.isfinite(progress.metric + progress.loss):
            return []
        there = np.array([self._place(one.values, loss) for one, loss in known])
        spread = there.std(axis=0)
        away = (there - self._place(progress.costs, progress.loss)) / np.where(spread, spread, 1.0)
        apart = np.hypot(away[:, 0], away[:, 1])
        apart += [OTHER_STRATEGY * (one.strategy != progress.strategy) for one, _ in known]
        return [known[place] for place in np.argsort(apart, kind="stable")[:NEAREST]]

    def _place(self, costs: Mapping[str, float], loss: float) -> tuple[float, float]:
        cost = self.measure.cost(self.measure.relative(costs))
        return math.log(cost), math.log(max(loss, NO_LOSS))

    def _dominated(self, costs: Mapping[str, float], metric: float) -> bool:
        """Whether a point of the front is nowhere dearer and has a better metric."""
        objectives = self.measure.costs
        own = np.array([o.sign * costs.get(o.name, math.nan) for o in objectives])
        no_dearer = (self._points[:, 1:] <= own).all(axis=1)
        return bool((no_dearer & (self._points[:, 0] > metric)).any())

    @cached_property
    def _points(self) -> NDArray[np.float64]:
        """Metric and signed costs of what can dominate, the dense model included."""
        rows = list(self._rows())
        return np.array(rows, dtype=np.float64).reshape(len(rows), 1 + len(self.measure.costs))

    def _rows(self) -> Iterator[list[float]]:
        known = [one.values for one in self.completed if one.feasible]
        for values in (*known, *([self.measure.reference] if self.measure.complete else [])):
            costs = [o.sign * values[o.name] for o in self.measure.costs]
            yield [values[self.measure.metric.name], *costs]


def rung_steps(
    table: EarlyStoppingTable, used: int, steps: int, examples: int, batch: int
) -> tuple[int, ...]:
    """Return the steps after which the metric is taken again, where that is worth its cost.

    Args:
        table: its shares of the steps, and what a rung may cost.
        used: steps taken before; a rung lies behind them.
        steps: in all.
        examples: that are scored at a rung.
        batch: examples of a step.
    """
    cost = examples / (STEP_COST * batch)
    marks = (round(share * steps) for share in table.rungs)
    return tuple(at for at in marks if used < at < steps and cost <= table.rung_cost * (steps - at))


def _breaks(text: str, value: float) -> bool:
    """Whether a value breaks a constraint; what is not known does not."""
    operator, limit = bound(text)
    return value > limit if operator == "<=" else value < limit


def _better_end(name: str, value: float, interval: Interval | None) -> float:
    if interval is None:
        return value
    return min(value, interval[0]) if OBJECTIVES[name].sign > 0 else max(value, interval[1])
