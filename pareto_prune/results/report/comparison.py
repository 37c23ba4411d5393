"""The page of several studies: a table, their fronts laid over each other, how each one grew."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pareto_prune.core.cache import replacing
from pareto_prune.core.records import Study
from pareto_prune.core.version import __version__
from pareto_prune.results.comparison import Comparison
from pareto_prune.results.figures import figure, growth
from pareto_prune.results.frames import against_dense, frame
from pareto_prune.results.records import Front
from pareto_prune.results.report.page import template
from pareto_prune.results.tables.comparison import comparison_rows

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_STYLE = """
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .35rem .9rem .35rem 0; border-bottom: 1px solid var(--line);
  overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
figure { background: #ffffff; border-radius: .6rem; }
@media (prefers-color-scheme: dark) { :root { --page: #11161c; --card: #1a2129; --ink: #e5eaf0;
  --dim: #a0acb9; --line: #333e4a; --accent: #7cb8ef; --mark: #f0a04b; color-scheme: dark; } }
"""
_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval' blob:; worker-src blob:; "
    "style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
)


def write_comparison(
    found: Comparison, fronts: Sequence[Front], studies: Sequence[Study], path: Path
) -> Path:
    """Write the page of a comparison to ``path``, whole or not at all, and return it.

    Raises:
        OSError: ``path`` cannot be written.
    """
    page = comparison_page(found, fronts, studies)
    with replacing(path) as beside:
        beside.write_text(page, encoding="utf-8")
    return path


def comparison_page(found: Comparison, fronts: Sequence[Front], studies: Sequence[Study]) -> str:
    """Return one self-contained HTML file."""
    from plotly.offline import get_plotlyjs

    frames = [frame(front) for front in fronts]
    title = html.escape(" · ".join(side.study for side in found.sides))
    relative, absolute = (
        figure([*map(against_dense, frames)], found.cost),
        figure(frames, found.cost),
    )
    drawn = (
        ("Against the own dense model", relative.update_xaxes(type="log")),
        ("In absolute numbers", absolute.update_xaxes(type="log")),
        ("Hypervolume over time", growth(studies)),
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        f'<meta name="generator" content="pareto_prune {html.escape(__version__)}">\n'
        f'<title>{title}</title>\n<link rel="icon" href="data:,">\n'
        f"<style>\n{template('page.css')}{_STYLE}</style>\n"
        f"<script>{get_plotlyjs()}</script>\n</head>\n<body>\n"
        f"<header><h1>{title}</h1></header>\n<main>\n{_unlike(found)}"
        f'<section><h2>Beside each other</h2><div class="wide">{_table(found)}</div></section>\n'
        f"{''.join(_section(name, each) for name, each in drawn)}</main>\n</body>\n</html>\n"
    )


def _unlike(found: Comparison) -> str:
    if not found.unlike:
        return ""
    lines = "".join(f"<li>{html.escape(line)}</li>" for line in found.unlike)
    said = "Not alike, so that absolute numbers do not compare:"
    return f'<p>{said}</p><ul class="cautions">{lines}</ul>'


def _table(found: Comparison) -> str:
    names = "".join(f'<th scope="col">{html.escape(side.study)}</th>' for side in found.sides)
    rows = "".join(
        f'<tr><th scope="row">{html.escape(title)}</th>'
        f"{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>"
        for title, cells in comparison_rows(found)
    )
    return f"<table><thead><tr><td></td>{names}</tr></thead><tbody>{rows}</tbody></table>"


def _section(title: str, drawn: Figure) -> str:
    text = html.escape(title)
    drawn.update_layout(
        margin={"l": 60, "r": 20, "t": 20, "b": 60}, legend={"orientation": "h", "y": -0.2}
    )
    shown = drawn.to_html(
        full_html=False, include_plotlyjs=False, config={"responsive": True, "displaylogo": False}
    )
    return f'<section><h2>{text}</h2><figure aria-label="{text}">{shown}</figure></section>\n'
