"""Which point of the front to take: by budget, by weights, at the knee, or by a starter's name.

A selection explains itself: what was asked, what one more millisecond or joule would buy on either
side, and which other points are the same within the noise of the measurement.
"""

from __future__ import annotations

from collections.abc import Mapping

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.quantities import written
from pareto_prune.results.records import Front
from pareto_prune.results.selection.budget import by_budget
from pareto_prune.results.selection.explanation import explained
from pareto_prune.results.selection.knee import by_knee
from pareto_prune.results.selection.records import Choice, Selection
from pareto_prune.results.selection.star import by_star
from pareto_prune.results.selection.starter import by_starter
from pareto_prune.results.selection.weights import by_weights


def select(
    front: Front,
    *,
    maximum: Mapping[str, float] | None = None,
    minimum: Mapping[str, float] | None = None,
    weights: Mapping[str, float] | None = None,
    knee: bool = False,
    starter: str | None = None,
) -> Selection:
    """Choose one point of ``front`` and explain it; the recommended one if nothing is asked.

    Args:
        front: made with ``all_trials`` where a starter may be asked for that is not on it.
        maximum: greatest values allowed, by objective (``{"latency_ms": 5}``).
        minimum: least values allowed. With a floor on the metric the cheapest point that fits is
            taken (by the geometric mean of its costs), without one the best.
        weights: α of ``F = Σ α_i F_i``, minimised; each F relative to the dense model: a cost as
            its share of the dense model's, the metric as the share that is lost of what the dense
            model has over chance.
        knee: take the knee.
        starter: take the trial that this starter put in.

    Raises:
        UserError: too much was asked for, or nothing and no point is recommended; a name is
            unknown, or nothing fits (the nearest point is named).
    """
    asked = {
        "--max or --min": bool(maximum or minimum),
        "--weights": bool(weights),
        "--knee": knee,
        "--starter": starter is not None,
    }
    _one_way(asked)
    if starter is not None:
        return explained(front, by_starter(front, starter))
    if not front.members:
        raise UserError(why_empty(front))
    if weights:
        return explained(front, by_weights(front, weights))
    if knee:
        return explained(front, by_knee(front))
    if not any(asked.values()):
        return explained(front, by_star(front))
    return explained(front, by_budget(front, maximum or {}, minimum or {}))


def explain(front: Front, number: int) -> Selection:
    """Explain the listed trial ``number`` as if it had been selected.

    Raises:
        UserError: it is not listed, or has no result.
    """
    point = front.point(number)
    if point is None or not point.values:
        listed = ", ".join(str(p.number) for p in front.members) or "none"
        raise UserError(Problem("trial", f"{number} has no result", f"on the front: {listed}"))
    return explained(front, Choice(point, "trial", "as asked"))


def _one_way(asked: Mapping[str, bool]) -> None:
    chosen = [name for name, given in asked.items() if given]
    if len(chosen) <= 1:
        return
    wrong = f"{' and '.join(chosen)} exclude each other"
    raise UserError(Problem("select", wrong, f"allowed: one of {', '.join(asked)}"))


def why_empty(front: Front) -> str:
    """Return why a front has no point."""
    if front.counts.get("infeasible"):
        rules = ", ".join(f"{name} {bound}" for name, bound in front.constraints.items())
        return f"study {front.study!r} has no feasible trial (constraints: {rules})"
    if front.below_floor:
        label, floor = OBJECTIVES[front.metric].label, written(front.metric, front.floor)
        return f"study {front.study!r} has no point above {floor} {label}, where a front ends"
    return f"study {front.study!r} has no point on its front yet ({front.finished} trials finished)"
