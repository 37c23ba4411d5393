"""A table of named columns, and the error of a key of the study file that names one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pareto_prune.core.errors import Problem, StudyFileError


@dataclass(frozen=True)
class Table:
    """Columns of equal length, each read when it is asked for.

    Attributes:
        source: what messages call it.
        columns: names of the columns.
        read: from the name of a column to its values.
        classes: class names of the columns whose values are class indices (or lists of them).
    """

    source: str
    columns: tuple[str, ...]
    read: Callable[[str], list[Any]]
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def refused(key: str, wrong: str, allowed: str) -> StudyFileError:
    """Return the error of a key of the study file, to be raised."""
    return StudyFileError(Problem(key, wrong, f"allowed: {allowed}"))


def listed(columns: Iterable[str]) -> str:
    """Return names of columns in a line; quoted where spaces or unseen characters are in them."""
    return ", ".join(repr(name) if _looks_otherwise(name) else name for name in columns)


def _looks_otherwise(name: str) -> bool:
    return name != name.strip() or not name.isprintable()
