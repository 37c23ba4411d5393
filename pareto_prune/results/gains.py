"""What a point costs against the dense model, in words."""

from __future__ import annotations

from pareto_prune.core.objectives import Objective
from pareto_prune.core.quantities import times
from pareto_prune.results.records import Point
from pareto_prune.results.yardstick import Yardstick


def gains(point: Point, measure: Yardstick) -> str:
    """Say what a point costs against the dense model: ``"2.8× faster, 0.25× the energy"``.

    Where several costs are speeds, each is named.
    """
    known = [o for o in measure.costs if o.name in point.relative]
    several = sum(o.is_speed for o in known) > 1
    parts = (
        told(o, point.relative[o.name]) + (f" ({o.label})" if several and o.is_speed else "")
        for o in known
    )
    return ", ".join(parts)


def told(objective: Objective, ratio: float) -> str:
    """Say what one cost is against the dense model's, of which it is this share."""
    if objective.is_speed:
        speedup = ratio**-objective.sign
        return f"{times(speedup)} faster" if speedup >= 1 else f"{times(1 / speedup)} slower"
    return f"{times(ratio)} the {objective.label}"
