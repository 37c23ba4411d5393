"""What a point costs against the dense model, in words."""

from __future__ import annotations

from pareto_prune.core.objectives import Objective
from pareto_prune.core.quantities import times
from pareto_prune.results.records import Point
from pareto_prune.results.yardstick import Yardstick


def gains(point: Point, measure: Yardstick) -> str:
    """Say what a point costs against the dense model: ``"2.8× faster, 0.25× the energy"``."""
    parts = [_gain(o, point.relative[o.name]) for o in measure.costs if o.name in point.relative]
    return ", ".join(parts)


def _gain(objective: Objective, ratio: float) -> str:
    if objective.is_speed:
        speedup = ratio**-objective.sign
        return f"{times(speedup)} faster" if speedup >= 1 else f"{times(1 / speedup)} slower"
    return f"{times(ratio)} the {objective.label}"
