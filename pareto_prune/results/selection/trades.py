"""What the nearest points on either side of a selection give and take."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

from pareto_prune.core.objectives import OBJECTIVES, Objective
from pareto_prune.core.quantities import change, exchanged
from pareto_prune.results.records import Point
from pareto_prune.results.selection.records import Trade
from pareto_prune.results.ties import same_metric
from pareto_prune.results.yardstick import Yardstick


def trades_of(point: Point, others: Sequence[Point], measure: Yardstick) -> Iterable[Trade]:
    """Yield the trades with the nearest points on either side, in every cost."""
    for cost in measure.costs:
        for side in ("dearer", "cheaper"):
            trade = _trade(point, others, cost, side, measure.metric.name)
            if trade is not None:
                yield trade


def _trade(
    point: Point,
    others: Sequence[Point],
    cost: Objective,
    side: Literal["dearer", "cheaper"],
    metric: str,
) -> Trade | None:
    """Return the trade with the nearest point that is dearer and better, or cheaper and worse."""
    turn = 1 if side == "dearer" else -1
    if cost.name not in point.values or metric not in point.values:
        return None
    beside = [
        other
        for other in others
        if turn * cost.sign * (other.values[cost.name] - point.values[cost.name]) > 0
        and turn * (other.values[metric] - point.values[metric]) > 0
    ]
    if not beside:
        return None
    near = min(beside, key=lambda p: (abs(p.values[cost.name] - point.values[cost.name]), p.number))
    difference = near.values[cost.name] - point.values[cost.name]
    metric_difference = near.values[metric] - point.values[metric]
    return Trade(
        cost=cost.name,
        side=side,
        trial=near.number,
        difference=difference,
        metric_difference=metric_difference,
        rate=metric_difference / difference,
        within_noise=same_metric(point, near, metric),
    )


def trade_sentence(trade: Trade, measure: Yardstick) -> str:
    """Say what a trade buys and costs."""
    more = "more" if trade.difference > 0 else "less"
    verb = "buys" if trade.metric_difference > 0 else "costs"
    moved = change(measure.metric.name, trade.metric_difference)
    noise = ", within noise" if trade.within_noise else ""
    return (
        f"{change(trade.cost, trade.difference)} {more} {OBJECTIVES[trade.cost].label} "
        f"(trial {trade.trial}) {verb} {moved} of {measure.metric.label}: "
        f"{exchanged(measure.metric.name, trade.cost, trade.rate)}{noise}."
    )
