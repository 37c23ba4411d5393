"""The star of a front: the point to look at first."""

from __future__ import annotations

import math
from collections.abc import Sequence

from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.quantities import change, points
from pareto_prune.core.records import (
    Quality,
    Study,
)
from pareto_prune.results.gains import gains
from pareto_prune.results.records import Point, Recommendation
from pareto_prune.results.yardstick import Yardstick


def dense_error(study: Study, measure: Yardstick) -> float:
    """Return the standard error of the dense model's metric; 0 where it is not known."""
    if study.reference is None:
        return 0.0
    return standard_error(study.reference.quality, measure.metric.name)


def standard_error(quality: Quality, metric: str) -> float:
    """Return the standard error of a metric; 0 where it is not known."""
    if metric in quality.intervals:
        low, high = quality.intervals[metric]
        return (high - low) / (2 * 1.96)
    share = quality.metrics.get(metric, 0.0)
    if not OBJECTIVES[metric].share or not 0 <= share <= 1:
        return 0.0
    return math.sqrt(share * (1 - share) / max(1, quality.examples))


def recommended(
    members: Sequence[Point], measure: Yardstick, knee: int | None, error: float
) -> Recommendation | None:
    """Recommend the cheapest point that is as good as the dense model, else the knee.

    As good: at most a point or one standard error below it, but never over two points (the rule
    of one standard error, Breiman et al. 1984, section 3.4.3).
    """
    if not measure.complete:
        return None
    metric = measure.metric
    allowed = min(max(0.01, error), 0.02)
    floor = measure.reference[metric.name] - allowed - 1e-9
    cheaper = [point for point in members if measure.cost(point.relative) < 1]
    good = [point for point in cheaper if point.values[metric.name] >= floor]
    if good:
        best = min(good, key=lambda point: (measure.cost(point.relative), point.number))
        bound = f"within {points(allowed)} of the dense model's {metric.label}"
        return Recommendation(
            trial=best.number, reason=f"the cheapest point {bound}: {gains(best, measure)}"
        )
    at_knee = next((point for point in cheaper if point.number == knee), None)
    if at_knee is None:
        return None
    lost = change(metric.name, measure.reference[metric.name] - at_knee.values[metric.name])
    return Recommendation(
        trial=at_knee.number,
        reason=f"the knee of the front, {lost} of {metric.label} below the dense model: "
        f"{gains(at_knee, measure)} (no point is within {points(allowed)})",
    )
