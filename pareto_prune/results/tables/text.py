"""What all tables are written with: text from anywhere, and the look of a table."""

from __future__ import annotations

from collections.abc import Iterable

from rich.table import Table
from rich.text import Text


def shown(text: object) -> Text:
    """Return text from anywhere as it is: no markup, no control characters."""
    return Text("".join(c if c.isprintable() else " " for c in str(text)))


def shown_lines(lines: Iterable[str]) -> Text:
    """Return lines of text from anywhere."""
    return Text("\n").join(shown(line) for line in lines if line)


def plain_table() -> Table:
    """Return an empty table without lines."""
    return Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
