"""The star of a front: the point to look at first."""

from __future__ import annotations

from collections.abc import Sequence

from pareto_prune.core.quantities import change, points
from pareto_prune.results.gains import gains
from pareto_prune.results.records import Point, Recommendation
from pareto_prune.results.standard_error import LEAST_LOST, MOST_LOST
from pareto_prune.results.yardstick import Yardstick


def recommended(
    members: Sequence[Point], measure: Yardstick, knee: int | None, error: float
) -> Recommendation | None:
    """Recommend a point, and say where a named reference is better."""
    found = _recommended(members, measure, knee, error)
    point = next((p for p in members if found and p.number == found.trial), None)
    if found is None or point is None or not point.beaten_by:
        return found
    better = f"{' and '.join(point.beaten_by)} is better in every objective"
    return found.model_copy(update={"reason": f"{found.reason}; but {better}"})


def _recommended(
    members: Sequence[Point], measure: Yardstick, knee: int | None, error: float
) -> Recommendation | None:
    """Recommend the cheapest point that is as good as the dense model, else the knee.

    As good: at most a point or one standard error below it, but never over two points (the rule
    of one standard error, Breiman et al. 1984, section 3.4.3).
    """
    if not measure.complete:
        return None
    metric = measure.metric
    allowed = min(max(LEAST_LOST, error), MOST_LOST)
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
