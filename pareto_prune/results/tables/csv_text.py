"""A front as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Any

from pareto_prune.core.records import DENSE_STARTER
from pareto_prune.results.cold import COLD
from pareto_prune.results.records import Front, Point


def front_csv(front: Front) -> str:
    """Return one line a trial, the dense model first, plain numbers, with a header."""
    names = [o.name for o in front.objectives]
    head = ["trial", "state", "on_front", "recommended", "strategy", "importance", "starter"]
    bounds = [f"{name}_{end}" for name in names for end in ("low", "high")]
    shares = [f"{name}_relative" for name in front.costs]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    tail = ["parameters", "bytes", "confirmed", "reason", "native", "steps", "parent", COLD]
    sizes = [name for name in tail if name not in names]
    again = [f"{name}_confirmed" for name in names]
    writer.writerow([*head, *names, *bounds, *shares, *sizes, *again])
    if front.reference:
        dense = _dense_csv(front, names, sizes)
        writer.writerow([*dense, *("" for _ in again)])
    writer.writerows(_csv_row(front, point, names, sizes) for point in front.trials)
    return out.getvalue()


def _dense_csv(front: Front, names: Sequence[str], sizes: Sequence[str]) -> list[Any]:
    reference = front.reference or {}
    bounds = [x for name in names for x in front.reference_intervals.get(name, ("", ""))]
    known = [_cell(True) if name == "native" else reference.get(name, "") for name in sizes]
    head = ["", "reference", "", "", "", "", DENSE_STARTER]
    return [
        *head,
        *(reference.get(n, "") for n in names),
        *bounds,
        *(1.0 for _ in front.costs),
        *known,
    ]


def _csv_row(front: Front, point: Point, names: Sequence[str], sizes: Sequence[str]) -> list[Any]:
    recommended = front.recommended is not None and front.recommended.trial == point.number
    bounds = [x for name in names for x in point.intervals.get(name, ("", ""))]
    row = [
        point.number,
        point.state.value,
        point.on_front,
        recommended,
        point.strategy,
        point.importance,
        point.starter,
        *(point.values.get(name) for name in names),
        *bounds,
        *(point.relative.get(name) for name in front.costs),
        *(point.values.get(COLD) if name == COLD else getattr(point, name) for name in sizes),
        *(point.confirmation.values.get(n) if point.confirmation else None for n in names),
    ]
    return ["" if cell is None else _cell(cell) for cell in row]


def _cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.startswith(tuple("=+-@\t\r")):
        return "'" + value
    return value
