"""The best or the cheapest point within bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.quantities import digits
from pareto_prune.results.records import Front, Point
from pareto_prune.results.selection.records import Choice
from pareto_prune.results.yardstick import Yardstick, yardstick_of

_SIZES = ("parameters", "bytes")


def by_budget(front: Front, maximum: Mapping[str, float], minimum: Mapping[str, float]) -> Choice:
    """Choose the best point within the bounds, or the cheapest with a floor on the metric."""
    _check_bounds(front, maximum, "--max")
    _check_bounds(front, minimum, "--min")
    fitting = [p for p in front.members if _excess(p, maximum, minimum) == 0]
    asked = _asked(maximum, minimum)
    if not fitting:
        raise UserError(_nothing_fits(front, maximum, minimum, asked))
    measure = yardstick_of(front)
    number = f"{len(fitting)} of {len(front.members)} points of the front have {asked}"
    if front.metric in minimum:
        point = min(fitting, key=lambda p: (measure.cost(p.relative), p.number))
        return Choice(point, "budget", f"{number}; it is the cheapest of them")
    point = min(fitting, key=lambda p: _best_first(p, measure))
    return Choice(point, "budget", f"{number}; it has the best {measure.metric.label} of them")


def _best_first(point: Point, measure: Yardstick) -> tuple[float, float, int]:
    return -point.values[measure.metric.name], measure.cost(point.relative), point.number


def _check_bounds(front: Front, bounds: Mapping[str, float], option: str) -> None:
    known = (*(o.name for o in front.objectives), *_SIZES)
    problems = [
        Problem(
            option, f"{name!r} is not an objective of this study", f"allowed: {', '.join(known)}"
        )
        for name in bounds
        if name not in known
    ]
    problems += [
        Problem(option, f"{name} = {value:g} is above 1", "allowed: a fraction such as 0.82")
        for name, value in bounds.items()
        if name in known and OBJECTIVES[name].unit == "fraction" and value > 1
    ]
    if problems:
        raise UserError(*problems)


def _asked(maximum: Mapping[str, float], minimum: Mapping[str, float]) -> str:
    parts = [f"{name} <= {value:g}" for name, value in maximum.items()]
    parts += [f"{name} >= {value:g}" for name, value in minimum.items()]
    return " and ".join(parts)


def _excess(point: Point, maximum: Mapping[str, float], minimum: Mapping[str, float]) -> float:
    """Return by how much a point breaks the bounds, each relative to the bound; 0 if it fits."""
    over = [_beyond(point.value(name), bound, 1) for name, bound in maximum.items()]
    under = [_beyond(point.value(name), bound, -1) for name, bound in minimum.items()]
    return sum(over + under)


def _beyond(value: float | None, bound: float, sign: int) -> float:
    if value is None:
        return math.inf
    return max(0.0, sign * (value - bound)) / max(abs(bound), 1e-12)


def _nothing_fits(
    front: Front, maximum: Mapping[str, float], minimum: Mapping[str, float], asked: str
) -> Problem:
    nearest = min(front.members, key=lambda p: (_excess(p, maximum, minimum), p.number))
    values = ", ".join(
        f"{name} = {digits(value)}"
        for name in (*maximum, *minimum)
        if (value := nearest.value(name)) is not None
    )
    return Problem(
        "select",
        f"no point of the front has {asked}",
        f"the nearest is trial {nearest.number} with {values}",
    )
