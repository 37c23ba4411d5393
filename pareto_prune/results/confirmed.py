"""What the points of a front were found to be when they were retrained and measured afresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pareto_prune.core.objectives import Objective
from pareto_prune.core.records import (
    Confirmation,
)
from pareto_prune.results.records import Confirmed, Point
from pareto_prune.results.ties import interval_of, tied
from pareto_prune.results.yardstick import Yardstick


def with_confirmations(
    points: Sequence[Point], confirmations: Sequence[Confirmation], measure: Yardstick
) -> list[Point]:
    """Return the points, each with its confirmation where there is one."""
    found = {one.number: _confirmed(one, measure) for one in confirmations}
    members = {p.number: found[p.number] for p in points if p.on_front and p.number in found}
    return [
        point.model_copy(
            update={"confirmed": True, "confirmation": _tied(point.number, found, members, measure)}
        )
        if point.number in found
        else point
        for point in points
    ]


def _confirmed(one: Confirmation, measure: Yardstick) -> Confirmed:
    return Confirmed(
        retrainings=len(one.metrics),
        steps=one.steps,
        values=one.values,
        intervals=one.intervals,
        relative=measure.relative(one.values),
    )


def _tied(
    number: int,
    found: Mapping[int, Confirmed],
    members: Mapping[int, Confirmed],
    measure: Yardstick,
) -> Confirmed:
    """Return a confirmation with the members of the front that are no different, or as good."""
    own = found[number]
    others = {n: one for n, one in members.items() if n != number}
    names, metric = measure.names, measure.metric.name
    ties = tuple(n for n, one in others.items() if tied(own, one, names))
    cheaper = {
        n: cost
        for n, one in others.items()
        if tied(own, one, (metric,))
        and (cost := measure.cost(one.relative)) < measure.cost(own.relative)
        and not any(_dearer(one, own, objective) for objective in measure.costs)
    }
    least = min(cheaper, key=lambda n: (cheaper[n], n), default=None)
    return own.model_copy(update={"tied": ties, "matched_by": least})


def _dearer(one: Confirmed, other: Confirmed, objective: Objective) -> bool:
    """Whether a cost of one is above that of the other, beyond noise."""
    mine, theirs = interval_of(one, objective.name), interval_of(other, objective.name)
    return mine[0] > theirs[1] if objective.sign > 0 else mine[1] < theirs[0]
