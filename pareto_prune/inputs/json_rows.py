"""Rows in JSON: a list of objects, or an object a line."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pareto_prune.core.errors import StudyFileError
from pareto_prune.inputs.table import Table, refused

_HALF = re.compile("[\ud800-\udfff]")
"""Half of a character of two UTF-16 units, as escapes of a text that was cut between them leave."""


def read_json(path: Path) -> Table:
    """Read objects as rows; half a character, which no tokenizer takes, becomes U+FFFD.

    Raises:
        StudyFileError: it holds something else, or no object.
        ValueError: it is no JSON; says in which line.
    """
    rows = _rows(path, path.read_text(encoding="utf-8-sig"))
    columns = tuple(dict.fromkeys(itertools.chain.from_iterable(rows)))
    if not columns:
        raise _refused(path, "holds no rows")
    return Table(path.name, columns, lambda name: [_whole(row.get(name)) for row in rows])


def _rows(path: Path, text: str) -> list[dict[str, Any]]:
    rows = json.loads(text) if text.lstrip().startswith("[") else _one(text) or list(_lines(text))
    if not all(isinstance(row, dict) for row in rows):
        raise _refused(path, "is not a list of objects")
    if len(rows) == 1 and rows[0] and all(map(_holds_objects, rows[0].values())):
        raise _refused(path, "is one object around the rows or columns")
    return rows


def _one(text: str) -> list[Any]:
    """Return what a text is as a whole, as over several lines; nothing if it is no one value."""
    try:
        return [json.loads(text)]
    except json.JSONDecodeError:
        return []


def _holds_objects(value: Any) -> bool:
    inner = value if isinstance(value, list) else [value]
    return bool(inner) and all(isinstance(each, dict) for each in inner)


def _lines(text: str) -> Iterator[Any]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield json.loads(line)
            except json.JSONDecodeError as error:
                raise ValueError(f"line {number}: {error.msg}") from None


def _whole(value: Any) -> Any:
    if isinstance(value, list):
        return [_whole(each) for each in value]
    return _HALF.sub("\ufffd", value) if isinstance(value, str) else value


def _refused(path: Path, wrong: str) -> StudyFileError:
    allowed = "a list of objects, or an object a line (orient='records' in pandas)"
    return refused("data.path", f"{path}: {wrong}", allowed)
