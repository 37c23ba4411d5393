"""What all tables are written with: text from anywhere, and the look of a table."""

from __future__ import annotations

from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.measure import Measurement
from rich.table import Column, Table
from rich.text import Text

_ENDLESS = Console(width=10_000)


def shown(text: object) -> Text:
    """Return text from anywhere as it is: no markup, no control characters."""
    return Text("".join(c if c.isprintable() else " " for c in str(text)))


def shown_lines(lines: Iterable[str]) -> Text:
    """Return lines of text from anywhere."""
    return Text("\n").join(shown(line) for line in lines if line)


def plain_table() -> Table:
    """Return an empty table without lines."""
    return Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))


def least_width(part: RenderableType) -> int:
    """Return the width from which on a table cuts no number and no word; 0 for what wraps."""
    if not isinstance(part, Table):
        return 0
    _, right, _, left = part.padding
    return sum(_least(column) + right + left for column in part.columns)


def _least(column: Column) -> int:
    """Return how narrow a column may be: a word wide where it wraps, less where it says so."""
    cells = [column.header] if column.overflow == "fold" else [column.header, *column.cells]
    sizes = [Measurement.get(_ENDLESS, _ENDLESS.options, cell) for cell in cells]
    wrapped = column.min_width or max(size.minimum for size in sizes)
    whole = max(size.maximum for size in sizes)
    return column.width or (whole if column.no_wrap else wrapped)
