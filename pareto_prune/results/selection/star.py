"""The point that is recommended."""

from __future__ import annotations

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.results.records import Front
from pareto_prune.results.selection.records import Choice


def by_star(front: Front) -> Choice:
    """Choose the recommended point."""
    point = front.point(front.recommended.trial) if front.recommended else None
    if front.recommended is None or point is None:
        why = "; ".join(front.doubts) or "no point of this front is cheaper than the dense model"
        wrong = f"nothing to choose by, and no point is recommended: {why}"
        raise UserError(Problem("select", wrong, "allowed: --max, --min, --weights, --knee"))
    return Choice(point, "recommended", front.recommended.reason)
