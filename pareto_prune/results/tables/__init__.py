"""Tables for the terminal, and the same data as CSV or JSON: plain records in, renderables out.

All text that comes from users is shown as it is: never read as markup, no control characters.
"""

from __future__ import annotations

from pareto_prune.results.tables.comparison import comparison_view
from pareto_prune.results.tables.csv_text import front_csv
from pareto_prune.results.tables.entries import entries_table
from pareto_prune.results.tables.front import front_table, front_view
from pareto_prune.results.tables.json_text import front_json, listed_json
from pareto_prune.results.tables.selection import selection_view
from pareto_prune.results.tables.status import status_view
from pareto_prune.results.tables.studies import studies_table
from pareto_prune.results.tables.summary import front_summary
from pareto_prune.results.tables.text import shown
from pareto_prune.results.tables.workers import workers_table

__all__ = [
    "comparison_view",
    "entries_table",
    "front_csv",
    "front_json",
    "front_summary",
    "front_table",
    "front_view",
    "listed_json",
    "selection_view",
    "shown",
    "status_view",
    "studies_table",
    "workers_table",
]
