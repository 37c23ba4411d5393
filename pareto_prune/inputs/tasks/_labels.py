"""Checks of raw labels, and the one line that says what is wrong with them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

from pareto_prune.core.errors import Problem, StudyFileError
from pareto_prune.inputs.class_names import folded
from pareto_prune.inputs.examples import Rows


def refused(rows: Rows, wrong: str, allowed: str, key: str = "data.label") -> StudyFileError:
    """Return the error of a label column or a split, to be raised."""
    return StudyFileError(problem_of(rows, wrong, allowed, key))


def problem_of(rows: Rows, wrong: str, allowed: str, key: str) -> Problem:
    """Return a problem of rows, which names where they come from."""
    return Problem(key, f"{wrong} in {rows.source}", f"allowed: {allowed}")


def labels_of(rows: Rows) -> Sequence[Any]:
    """Return the labels of one column, none of them missing.

    Raises:
        StudyFileError: there is no label, or an empty one; several columns hold them.
    """
    if len(rows.label_columns) > 1:
        wrong = f"{len(rows.label_columns)} label columns where a label stands in one,"
        raise refused(rows, wrong, "one column")
    return [label for (label,) in cells_of(rows)]


def cells_of(rows: Rows) -> list[tuple[Any, ...]]:
    """Return what each row has in the columns of labels, nothing of it missing.

    Raises:
        StudyFileError: there is no label, or an empty one.
    """
    several = len(rows.label_columns) > 1
    cells = [tuple(each) if several else (each,) for each in rows.labels or ()]
    missing = [
        row
        for row, row_cells in enumerate(cells)
        if any(_missing(c, rows.names) for c in row_cells)
    ]
    if len(cells) < len(rows) or missing:
        first = f"row {rows.number(missing[0])}" if missing else "every row"
        count = len(missing) or len(rows)
        raise refused(
            rows, f"{count} of {len(rows)} labels missing, {first} first,", "labelled rows"
        )
    return cells


def _missing(label: Any, names: Sequence[str] | None) -> bool:
    """Return whether there is no label; -1 is the hub's "none" where classes have names."""
    if isinstance(label, str):
        return not label.strip()
    number = label if isinstance(label, int | float) else 0
    return label is None or number != number or (names is not None and number == -1)


def name_of(rows: Rows, index: Any, row: int) -> str:
    """Return the name of a class index, in a column whose classes have names.

    Raises:
        StudyFileError: it is the index of none; none is counted from the end.
    """
    names = rows.names or ()
    if not isinstance(index, int) or not 0 <= index < len(names):
        wrong = f"{index!r} in row {rows.number(row)} is the index of no class"
        raise refused(rows, wrong, f"0 to {len(names) - 1}")
    return names[index]


def sorted_names(names: Iterable[str]) -> list[str]:
    """Return names in order: numbers first, as numbers."""
    return sorted(names, key=_by_number)


def _by_number(name: str) -> tuple[bool, int, str]:
    number = name.removeprefix("-").isdecimal()
    return (not number, int(name) if number else 0, name)


def in_order(names: Iterable[str], order: Sequence[str] | None) -> tuple[str, ...]:
    """Return ``names`` as ``order`` has them, if both are the same but for how they are written.

    Those that differ from each other in that alone are classes of their own, in their own order.
    """
    own = tuple(names)
    by_fold = {folded(name): name for name in own}
    twins = len(by_fold) < len(own)
    if order is None or twins or sorted(by_fold) != sorted(map(folded, order)):
        return own
    return tuple(by_fold[folded(name)] for name in order)


def numbers_of(values: Iterable[Any]) -> list[float] | None:
    """Return values as finite numbers, texts of numbers included; ``None`` if one is none."""
    try:
        numbers = [float(value) for value in values]
    except (TypeError, ValueError):
        return None
    return numbers if all(map(math.isfinite, numbers)) else None


def have_fractions(values: Iterable[Any]) -> bool:
    """Return whether values are numbers and not all of them whole."""
    numbers = numbers_of(values)
    return numbers is not None and not all(map(float.is_integer, numbers))
