"""The explanation of a selection."""

from __future__ import annotations

from rich.text import Text

from pareto_prune.results.selection.records import Selection
from pareto_prune.results.tables.text import shown, shown_lines


def selection_view(selection: Selection) -> Text:
    """Return the explanation of a selection, its warnings last."""
    text = shown_lines(selection.sentences)
    for warning in selection.warnings:
        text.append("\n! ", style="yellow")
        text.append_text(shown(warning))
    return text
