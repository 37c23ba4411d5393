"""The report page: a template, its style and script, the view as JSON, the plotting library.

Everything in one file, the modules of the script included: ``script`` puts them into one text in
the order of their imports, since a page opened from a file can import nothing. Text from users
reaches the page in two ways only: escaped in the title, and inside a JSON block in which every
character that could end it is written as a code.
"""

from __future__ import annotations

import html
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

from pareto_prune.core.cache import replacing
from pareto_prune.core.records import Study
from pareto_prune.core.version import __version__
from pareto_prune.results.records import Front
from pareto_prune.results.report.script import script_of_page
from pareto_prune.results.report.view import view_of

_CODES = {ord(c): f"\\u{ord(c):04x}" for c in "<>&\u2028\u2029"}


def write_report(front: Front, study: Study, path: Path | str) -> Path:
    """Write the page of ``front`` to ``path`` and return it.

    The page is written beside and moved, so that a reader never sees half of it.

    Raises:
        OSError: ``path`` cannot be written.
    """
    path = Path(path)
    page = page_of(view_of(front, study))
    with replacing(path) as beside:
        beside.write_text(page, encoding="utf-8")
    return path


def page_of(view: dict[str, Any]) -> str:
    """Return the page of a view as HTML text."""
    parts = {
        "title": html.escape(f"{view['study']} – Pareto front"),
        "version": html.escape(__version__),
        "style": template("page.css"),
        "view": embedded(view),
        "plotly": _plotly(),
        "script": script_of_page(),
    }
    page = template("page.html")
    for name, part in parts.items():
        before, mark, after = page.partition(f"<!--{name}-->")
        if not mark:
            raise ValueError(f"page.html has no place for {name}")
        page = before + part + after
    return page


def embedded(view: dict[str, Any]) -> str:
    """Return JSON that can stand inside a ``<script>`` element, whatever its texts hold."""
    text = json.dumps(view, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.translate(_CODES)


def template(name: str) -> str:
    """Return a file of ``templates``."""
    return (
        files("pareto_prune.results.report").joinpath("templates", name).read_text(encoding="utf-8")
    )


def _plotly() -> str:
    """Return the plotting library's own bundle, as its Python package ships it."""
    from plotly.offline import get_plotlyjs

    source: str = get_plotlyjs()
    return source
