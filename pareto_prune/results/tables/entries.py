"""The members of a family: strategies, samplers, engines, …."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table
from rich.text import Text

from pareto_prune.core.registry import Entry
from pareto_prune.results.tables.text import plain_table, shown


def entries_table(entries: Sequence[Entry]) -> Table:
    """Return the members of a family with what each is, or why it cannot be used here."""
    table = plain_table()
    table.add_column("name", no_wrap=True)
    table.add_column("", width=1)
    table.add_column("summary")
    for entry in entries:
        summary = shown(entry.summary)
        if not entry.available:
            summary.append_text(Text(f"\nnot here: {shown(entry.why_not).plain}", style="yellow"))
        mark = Text("✓", style="green") if entry.available else Text("✗", style="red")
        table.add_row(shown(entry.name), mark, summary)
    return table
