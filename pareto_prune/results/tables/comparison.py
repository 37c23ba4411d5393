"""Studies beside each other: a column a study."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from rich.console import Group, RenderableType

from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.quantities import times, written
from pareto_prune.results.comparison import Comparison, Side
from pareto_prune.results.records import AtPointsLost
from pareto_prune.results.tables.text import plain_table, shown, shown_lines


def comparison_rows(found: Comparison) -> Iterator[tuple[str, list[str]]]:
    """Yield the title of each row and its cell for every study."""

    def row(title: str, cell: Callable[[Side], str]) -> tuple[str, list[str]]:
        return title, [cell(side) for side in found.sides]

    yield row("model", lambda side: side.model)
    yield row("data", lambda side: side.data)
    yield row("engine", lambda side: f"{side.engine}, {side.dtype}")
    yield row("points, of trials", lambda side: f"{side.points}, {side.finished}")
    yield row("hypervolume", _volume)
    for name in (found.metric, found.cost):
        label = f"dense {OBJECTIVES[name].label}"
        yield row(label, lambda side, name=name: written(name, side.dense[name]))  # type: ignore[misc]
    for at in range(max(len(side.at_points_lost) for side in found.sides)):
        yield row(_lost(found, at), lambda side, at=at: _faster(side, at))  # type: ignore[misc]
    for at, cheapest in enumerate(found.sides[0].cheapest):
        level = f"{OBJECTIVES[found.cost].label} at ≥ {written(found.metric, cheapest.level)}"
        yield row(level, lambda side, at=at: _at_level(side, found.cost, at))  # type: ignore[misc]


def _volume(side: Side) -> str:
    return "–" if side.hypervolume is None else f"{side.hypervolume:.3f}"


def _lost(found: Comparison, at: int) -> str:
    points = next(
        side.at_points_lost[at].points for side in found.sides if at < len(side.at_points_lost)
    )
    return f"at most {points} point{'s' * (points > 1)} lost"


def _faster(side: Side, at: int) -> str:
    known: AtPointsLost | None = dict(enumerate(side.at_points_lost)).get(at)
    if known is None or known.speedup is None:
        return "–"
    return f"{times(known.speedup)} faster"


def _at_level(side: Side, cost: str, at: int) -> str:
    cheapest = side.cheapest[at]
    if cheapest.value is None:
        return "–"
    whose = "dense" if cheapest.trial is None else f"trial {cheapest.trial}"
    return f"{written(cost, cheapest.value)} ({whose})"


def comparison_view(found: Comparison) -> RenderableType:
    """Return studies beside each other, and what they do not have in common."""
    table = plain_table()
    table.add_column("")
    for side in found.sides:
        table.add_column(shown(side.study), overflow="fold", min_width=8)
    for title, cells in comparison_rows(found):
        table.add_row(title, *map(shown, cells))
    unlike = [f"! not alike, so that absolute numbers do not compare: {x}" for x in found.unlike]
    return Group(table, shown_lines(unlike))
