"""The cheapest that a front has where little of the metric is lost."""

from __future__ import annotations

from collections.abc import Sequence

from pareto_prune.core.objectives import Objective
from pareto_prune.results.records import AtPointsLost, Point
from pareto_prune.results.yardstick import Yardstick

POINTS_LOST = (1, 2, 3)


def at_points_lost(members: Sequence[Point], measure: Yardstick) -> tuple[AtPointsLost, ...]:
    """Return the cheapest of ``members`` at 1, 2 and 3 points lost."""
    if not measure.complete:
        return ()
    return tuple(_at_loss(lost, members, measure) for lost in POINTS_LOST)


def _at_loss(lost: int, members: Sequence[Point], measure: Yardstick) -> AtPointsLost:
    metric = measure.metric.name
    floor = measure.reference[metric] - lost / 100 - 1e-9
    enough = [point for point in members if point.values[metric] >= floor]
    speed = next((o for o in measure.costs if o.is_speed), None)
    energy = next((o for o in measure.costs if o.name == "energy_j"), None)
    time, speedup_trial = _cheapest(enough, speed)
    joules, energy_trial = _cheapest(enough, energy)
    return AtPointsLost(
        points=lost,
        speedup=1 / time if time else None,
        speedup_trial=speedup_trial,
        energy_ratio=joules,
        energy_trial=energy_trial,
    )


def _cheapest(
    members: Sequence[Point], objective: Objective | None
) -> tuple[float | None, int | None]:
    """Return the least cost ratio, at most 1, and whose it is (``None``: the dense model's)."""
    if objective is None:
        return None, None
    ratios = [(p.relative[objective.name] ** objective.sign, p.number) for p in members]
    least = min(ratios, default=(1.0, -1))
    return least if least[0] < 1 else (1.0, None)
