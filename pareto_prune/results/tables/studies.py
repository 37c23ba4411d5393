"""The studies of a storage."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from rich.console import RenderableType
from rich.text import Text

from pareto_prune.results.status import StudyRow
from pareto_prune.results.tables.states import STUDY_STYLES
from pareto_prune.results.tables.text import plain_table, shown


def studies_table(rows: Sequence[StudyRow]) -> RenderableType:
    """Return the studies of a storage."""
    if not rows:
        return Text("no studies yet", style="dim")
    table = plain_table()
    table.add_column("study", no_wrap=True)
    table.add_column("created", no_wrap=True)
    for title in ("trials", "front", "volume"):
        table.add_column(title, justify="right", no_wrap=True)
    for title in ("model", "data"):
        table.add_column(title, overflow="ellipsis", min_width=8)
    for row in rows:
        table.add_row(*_study_cells(row))
    return table


def _study_cells(row: StudyRow) -> list[RenderableType]:
    running = f" +{row.running}" if row.running else ""
    told = f" {row.state.value}" if row.state.value in STUDY_STYLES else ""
    return [
        shown(row.name),
        datetime.fromtimestamp(row.created, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M"),
        f"{row.finished}/{row.trials_asked}{running}{told}",
        str(row.front),
        "–" if row.hypervolume is None else f"{row.hypervolume:.3f}",
        shown(row.problem or row.model),
        shown(row.data),
    ]
