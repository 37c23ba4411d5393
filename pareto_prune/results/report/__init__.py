"""The report of a study: one self-contained page, made from the front and the study's records.

``view`` computes what is shown as plain JSON, ``page`` puts it into one HTML file with its script,
its style and the plotting library. Nothing is fetched when the page is opened.
"""

from __future__ import annotations

from pareto_prune.results.report.page import write_report
from pareto_prune.results.report.view import view_of

__all__ = ["view_of", "write_report"]
