"""The point that is best by weights of the objectives."""

from __future__ import annotations

from collections.abc import Mapping

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.objectives import OBJECTIVES, Objective
from pareto_prune.core.quantities import digits
from pareto_prune.results.records import Front, Point
from pareto_prune.results.selection.records import Choice
from pareto_prune.results.yardstick import Yardstick, yardstick_of


def by_weights(front: Front, weights: Mapping[str, float]) -> Choice:
    """Choose the point with the least weighted mean relative to the dense model."""
    measure = yardstick_of(front)
    _check_weights(measure, weights)
    scores = {point.number: _score(point, measure, weights) for point in front.members}
    point = min(front.members, key=lambda p: (scores[p.number], p.number))
    total = sum(weights.values())
    said = " + ".join(f"{digits(w / total)} × {name}" for name, w in weights.items() if w)
    why = f"least F = {said}, each relative to the dense model: F = {digits(scores[point.number])}"
    return Choice(point, "weights", why, scores[point.number])


def _check_weights(measure: Yardstick, weights: Mapping[str, float]) -> None:
    allowed = f"allowed: {', '.join(measure.names)}"
    problems = [
        Problem("--weights", f"{name!r} is not an objective of this study", allowed)
        for name in weights
        if name not in measure.names
    ]
    if any(value < 0 for value in weights.values()) or sum(weights.values()) <= 0:
        problems.append(Problem("--weights", "they must be 0 or more, and not all 0"))
    if not measure.beats_chance:
        problems.append(Problem("--weights", "the dense model of this study does not beat chance"))
    if problems:
        raise UserError(*problems)


def _score(point: Point, measure: Yardstick, weights: Mapping[str, float]) -> float:
    """Return F of a point: the weighted mean of its objectives relative to the dense model."""
    total = sum(weights.values())
    return (
        sum(
            weight * _relative(point, OBJECTIVES[name], measure) for name, weight in weights.items()
        )
        / total
    )


def _relative(point: Point, objective: Objective, measure: Yardstick) -> float:
    if objective.kind == "quality":
        dense = measure.reference[objective.name]
        return (dense - point.values[objective.name]) / (dense - measure.chance)
    ratio: float = point.relative[objective.name] ** objective.sign
    return ratio
