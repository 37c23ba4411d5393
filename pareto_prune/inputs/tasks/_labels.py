"""Checks of raw labels, and the one line that says what is wrong with them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from pareto_prune.core.errors import Problem, StudyFileError
from pareto_prune.inputs.examples import Rows


def refused(rows: Rows, wrong: str, allowed: str, key: str = "data.label") -> StudyFileError:
    """Return the error of a label column or a split, to be raised."""
    return StudyFileError(Problem(key, f"{wrong} in {rows.source}", f"allowed: {allowed}"))


def labels_of(rows: Rows) -> Sequence[Any]:
    """Return the labels, none of them missing.

    Raises:
        StudyFileError: there is no label, or an empty one.
    """
    labels = rows.labels or []
    missing = [row for row, label in enumerate(labels) if _missing(label)]
    if len(labels) < len(rows) or missing:
        first = f"row {missing[0] + 1}" if missing else "every row"
        count = len(missing) or len(rows)
        raise refused(
            rows, f"{count} of {len(rows)} labels missing, {first} first,", "labelled rows"
        )
    return labels


def _missing(label: Any) -> bool:
    return label is None or label == "" or (isinstance(label, int) and label < 0)


def in_order(names: Iterable[str], order: Sequence[str] | None) -> tuple[str, ...]:
    """Return ``names`` as ``order`` has them, if both are the same but for case."""
    own = tuple(names)
    by_fold = {name.casefold(): name for name in own}
    if order is None or sorted(by_fold) != sorted(name.casefold() for name in order):
        return own
    return tuple(by_fold[name.casefold()] for name in order)
