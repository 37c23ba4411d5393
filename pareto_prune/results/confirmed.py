"""What the points of a front were found to be when they were retrained and measured afresh."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pareto_prune.core.objectives import Objective
from pareto_prune.core.records import Confirmation, Study
from pareto_prune.results.pairing import alike, told_by
from pareto_prune.results.records import Confirmed, Point
from pareto_prune.results.repeats import widened
from pareto_prune.results.ties import interval_of, tied
from pareto_prune.results.yardstick import Yardstick


@dataclass(frozen=True)
class _Members:
    """The confirmed points of the front, and which metrics cannot be told apart by pairs."""

    points: Mapping[int, Confirmed]
    alike: Mapping[int, set[int]]
    measure: Yardstick

    def same(self, one: int, own: Confirmed, other: int) -> bool:
        """Whether the metric of a confirmed point cannot be told from that of a member."""
        if one in self.alike and other in self.alike:
            return other in self.alike[one]
        return tied(own, self.points[other], (self.measure.metric.name,))

    def paired(self, one: int) -> bool:
        """Whether a point can be compared with all members by pairs."""
        return one in self.alike and all(other in self.alike for other in self.points)


def with_confirmations(points: Sequence[Point], study: Study, measure: Yardstick) -> list[Point]:
    """Return the points, each with its confirmation where there is one."""
    found = {one.number: _confirmed(one, measure) for one in study.confirmations}
    on_front = {p.number: found[p.number] for p in points if p.on_front and p.number in found}
    said = {one.number: one.outcomes for one in study.confirmations if one.number in on_front}
    members = _Members(on_front, alike(said, told_by(study), measure.metric.name), measure)
    return [
        point.model_copy(
            update={
                "confirmed": True,
                "confirmation": _tied(point.number, found[point.number], members),
            }
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
        intervals=widened(one.intervals, one.values, measure.spreads),
        relative=measure.relative(one.values),
    )


def _tied(number: int, own: Confirmed, members: _Members) -> Confirmed:
    """Return a confirmation with the members of the front that are no different, or as good."""
    measure = members.measure
    same = {
        n: one for n, one in members.points.items() if n != number and members.same(number, own, n)
    }
    costs = [objective.name for objective in measure.costs]
    ties = tuple(n for n, one in same.items() if tied(own, one, costs))
    cheaper = {
        n: cost
        for n, one in same.items()
        if (cost := measure.cost(one.relative)) < measure.cost(own.relative)
        and not any(_dearer(one, own, objective) for objective in measure.costs)
    }
    least = min(cheaper, key=lambda n: (cheaper[n], n), default=None)
    paired = members.paired(number)
    return own.model_copy(update={"paired": paired, "tied": ties, "matched_by": least})


def _dearer(one: Confirmed, other: Confirmed, objective: Objective) -> bool:
    """Whether a cost of one is above that of the other, beyond noise."""
    mine, theirs = interval_of(one, objective.name), interval_of(other, objective.name)
    return mine[0] > theirs[1] if objective.sign > 0 else mine[1] < theirs[0]
