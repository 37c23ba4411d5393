"""Which points of the front are the same as a selection within noise, in sentences."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from pareto_prune.core.quantities import times
from pareto_prune.results.records import Point
from pareto_prune.results.ties import how
from pareto_prune.results.yardstick import Yardstick

_LISTED = 5


def noise_sentences(
    point: Point, tied_all: Sequence[Point], tied_metric: Sequence[Point], measure: Yardstick
) -> Iterable[str]:
    """Yield which points are the same as ``point``, and which of those are cheaper."""
    if tied_all:
        yield (
            f"Within noise of it in every objective: {_trials(tied_all)} ({how(point, tied_all)})."
        )
    if point.values and measure.metric.name in point.intervals:
        only = [p for p in tied_metric if p not in tied_all]
        cheaper = [p for p in only if measure.cost(p.relative) < measure.cost(point.relative)]
        if cheaper:
            yield _cheaper_sentence(point, cheaper, measure)


def _cheaper_sentence(point: Point, cheaper: Sequence[Point], measure: Yardstick) -> str:
    best = min(cheaper, key=lambda p: measure.cost(p.relative))
    less = times(measure.cost(point.relative) / measure.cost(best.relative))
    within = f"Its {measure.metric.label} is within noise of that of"
    if len(cheaper) == 1:
        return f"{within} trial {best.number}, which costs {less} less ({how(point, cheaper)})."
    listed = f"{len(cheaper)} cheaper points, {_trials(cheaper)} ({how(point, cheaper)})"
    return f"{within} {listed}; the cheapest, trial {best.number}, costs {less} less."


def _trials(found: Sequence[Point]) -> str:
    numbers = [str(point.number) for point in found[:_LISTED]]
    rest = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return f"trial{'s' if len(found) > 1 else ''} {', '.join(numbers)}{rest}"
