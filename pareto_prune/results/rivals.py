"""Named references against points: a well-known alternative may be better than what was found."""

from __future__ import annotations

from collections.abc import Iterable

from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.quantities import written
from pareto_prune.results.gains import told
from pareto_prune.results.records import Front, NamedReference, Point
from pareto_prune.results.yardstick import Yardstick


def beating(
    values: dict[str, float], references: Iterable[NamedReference], measure: Yardstick
) -> tuple[str, ...]:
    """Return the names of the references that are nowhere worse than ``values``, and not equal."""
    return tuple(r.name for r in references if _beats(r.values, values, measure))


def _beats(one: dict[str, float], other: dict[str, float], measure: Yardstick) -> bool:
    if any(name not in one or name not in other for name in measure.names):
        return False
    less = [o.sign * (one[o.name] - other[o.name]) for o in measure.objectives]
    return max(less) <= 0 and min(less) < 0


def described(reference: NamedReference, front: Front) -> str:
    """Return the objectives of a reference, as ``"accuracy 83.9 %, latency 9.30 ms"``."""
    return ", ".join(
        f"{OBJECTIVES[o.name].label} "
        f"{written(o.name, reference.values.get(o.name), front.estimated(o.name))}"
        for o in front.objectives
    )


def beside_fastest(front: Front, point: Point) -> str | None:
    """Say what a point costs against the fastest reference, such as the dense model in int8.

    ``None`` where no reference is faster than the dense model is, or no speed is an objective.
    """
    costs = [OBJECTIVES[o.name] for o in front.objectives if o.name in point.relative]
    speed = next((cost for cost in costs if cost.is_speed), None)
    known = [r for r in front.references if speed is not None and speed.name in r.relative]
    if speed is None or not known:
        return None
    rival = min(known, key=lambda r: speed.sign * r.relative[speed.name])
    if speed.sign * (rival.relative[speed.name] - 1) >= 0:
        return None
    parts = (
        told(cost, point.relative[cost.name] / rival.relative[cost.name])
        for cost in costs
        if rival.relative.get(cost.name)
    )
    return f"against the reference {rival.name}: {', '.join(parts)}"
