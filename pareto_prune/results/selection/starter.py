"""The point that a starter put in."""

from __future__ import annotations

import math

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.results.records import Front
from pareto_prune.results.selection.records import Choice
from pareto_prune.results.yardstick import yardstick_of


def by_starter(front: Front, name: str) -> Choice:
    """Choose the best of the trials that the starter ``name`` put in."""
    started = [point for point in front.trials if point.starter == name and point.values]
    if not started:
        known = sorted({point.starter for point in front.trials if point.starter})
        allowed = f"allowed: {', '.join(known)}" if known else "no starter has finished"
        raise UserError(
            Problem("--starter", f"no finished trial comes from starter {name!r}", allowed)
        )
    measure = yardstick_of(front)
    metric = measure.metric.name
    started.sort(key=lambda p: (not p.on_front, -p.values.get(metric, -math.inf), p.number))
    others = [str(point.number) for point in started[1:]]
    why = f"the trial of starter {name!r}"
    if others:
        why = f"the best of the trials of starter {name!r} (others: {', '.join(others)})"
    return Choice(started[0], "starter", why)
