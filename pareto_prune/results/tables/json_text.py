"""A front, or a list, as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable

from pareto_prune.core.record import Record
from pareto_prune.core.registry import Entry
from pareto_prune.results.records import Front


def front_json(front: Front) -> str:
    """Return the front as JSON text."""
    return json.dumps(front.to_json(), indent=1, ensure_ascii=False, allow_nan=False)


def listed_json(items: Iterable[Record | Entry]) -> str:
    """Return records, or members of a family, as a JSON list."""
    rows = [item.to_json() if isinstance(item, Record) else vars(item) for item in items]
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)
