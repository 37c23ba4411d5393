"""The labels of texts that have several: lists, names with commas between, or columns of 0/1."""

from __future__ import annotations

from typing import Any

from pareto_prune.inputs.class_names import plain
from pareto_prune.inputs.examples import Rows
from pareto_prune.inputs.tasks import _labels

_SAID = {"0": False, "1": True, "false": False, "true": True}


def label_sets(rows: Rows) -> list[frozenset[str]]:
    """Return the names of the labels of every row.

    Raises:
        StudyFileError: rows have no labels, or something else in their place.
    """
    several = len(rows.label_columns) > 1
    cells = _labels.cells_of(rows)
    if several:
        return [_marked(rows, each, row) for row, each in enumerate(cells)]
    return [_listed(rows, cell, row) for row, (cell,) in enumerate(cells)]


def _marked(rows: Rows, cells: tuple[Any, ...], row: int) -> frozenset[str]:
    """Return the names of the columns that say yes."""
    found = set()
    for name, cell in zip(rows.label_columns, cells, strict=True):
        said = _SAID.get(plain(str(int(cell) if isinstance(cell, float) else cell)).lower())
        if said is None or (isinstance(cell, float) and not cell.is_integer()):
            wrong = f"{cell!r} in column {name!r} (row {rows.number(row)}) is neither 0 nor 1"
            raise _labels.refused(rows, wrong, "0 or 1 in each label column")
        if said:
            found.add(name)
    return frozenset(found)


def _listed(rows: Rows, cell: Any, row: int) -> frozenset[str]:
    parts: Any = [part.strip() for part in cell.split(",")] if isinstance(cell, str) else cell
    if isinstance(parts, int) and not isinstance(parts, bool):
        parts = [parts]
    if not are_names(parts):
        wrong = f"labels {cell!r} (row {rows.number(row)}) are no list of names or numbers"
        allowed = "a list, names with commas between them, or several columns of 0 and 1"
        raise _labels.refused(rows, wrong, allowed)
    if rows.names is not None:
        return frozenset(_labels.name_of(rows, part, row) for part in parts)
    return frozenset(plain(str(part)) for part in parts)


def are_names(parts: Any) -> bool:
    """Return whether this is a list of names, or of numbers of labels."""
    return isinstance(parts, list) and all(_is_name(part) for part in parts)


def _is_name(part: Any) -> bool:
    whole = isinstance(part, int) and not isinstance(part, bool)
    return whole or (isinstance(part, str) and part.strip() != "")
