"""Texts to predict for: from arguments, a file, or standard input; each knows where it stood."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BufferedIOBase
from pathlib import Path
from typing import Any

from pareto_prune.core.errors import Problem, StudyFileError, UserError
from pareto_prune.inputs.sources import SUFFIXES, file_source
from pareto_prune.inputs.table import listed

PLAIN = ("", ".txt")
TABLES_OF_WORDS = (*SUFFIXES, ".conll", ".iob", ".iob2", ".bio")
_NOT_UTF8 = re.compile("[\ud800-\udfff]")
"""What Python makes of bytes on the command line that are not UTF-8."""
CHUNK = 1 << 16
"""Bytes of a stream that are read at once, at most."""


@dataclass(frozen=True)
class Text:
    """One text, or a pair.

    Attributes:
        where: what messages call it (``reviews.txt, line 3``).
        parts: one or two texts, or one list of words.
    """

    where: str
    parts: tuple[str | tuple[str, ...], ...]

    @property
    def content(self) -> Any:
        """The text, the pair or the words, as plain JSON."""
        return self.parts[0] if len(self.parts) == 1 else list(self.parts)


def from_arguments(texts: Sequence[str], columns: int) -> Iterator[Text]:
    """Yield texts of the command line.

    Raises:
        UserError: one is empty, or not a pair where pairs are wanted.
    """
    for number, text in enumerate(texts, start=1):
        yield _checked(f"text {number}", text, columns)


def from_stream(
    stream: BufferedIOBase, name: str, columns: int
) -> Iterator[list[Text | UserError]]:
    """Yield the lines of a stream as they come: all that are there, and then wait for more.

    One text a line; a tab parts the texts of a pair. A line that does not serve (empty, not UTF-8,
    not a pair where pairs are wanted) stands in its place as the error that says so.
    """
    number, rest = 0, b""
    while chunk := stream.read1(CHUNK):
        *lines, rest = (rest + chunk).split(b"\n")
        yield [_tried(name, number + at, line, columns) for at, line in enumerate(lines, start=1)]
        number += len(lines)
    if rest:
        yield [_tried(name, number + 1, rest, columns)]


def _tried(name: str, number: int, line: bytes, columns: int) -> Text | UserError:
    try:
        return _line(name, number, line, columns)
    except UserError as error:
        return error


def _line(name: str, number: int, line: bytes, columns: int) -> Text:
    where = f"{name}, line {number}"
    try:
        text = line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        wrong = f"is not UTF-8 (byte 0x{line[error.start]:02x} at {error.start + 1})"
        raise UserError(Problem(where, wrong, "allowed: text in UTF-8")) from error
    return _checked(where, text.rstrip("\r\n"), columns)


def from_file(path: Path, columns: Sequence[str], words: bool) -> Iterable[Text]:
    """Return the texts of a file, all of which were looked at: lines, or a table by its columns.

    Args:
        path: plain text (``.txt`` or no suffix), one text a line; CSV, TSV, JSON or Parquet; or,
            where texts are lists of words, words and tags in columns (``.conll``).
        columns: names of the columns of texts.
        words: whether a table may hold lists of words.

    Raises:
        UserError: no such file, its suffix says nothing, a column is missing, or a text is empty
            or not UTF-8.
    """
    if not path.is_file():
        raise UserError(Problem("--file", f"no such file: {path}", "allowed: one that is there"))
    suffix = path.suffix.lower()
    if suffix in (TABLES_OF_WORDS if words else SUFFIXES):
        return _from_table(path, columns, words)
    if suffix not in PLAIN:
        allowed = ", ".join((*PLAIN[1:], *(TABLES_OF_WORDS if words else SUFFIXES)))
        raise UserError(Problem(f"--file {path}", f"cannot read {suffix}", f"allowed: {allowed}"))
    if not sum(1 for _ in _lines(path, len(columns))):
        raise UserError(Problem(f"--file {path}", "is an empty file", "allowed: a text a line"))
    return _lines(path, len(columns))


def _lines(path: Path, columns: int) -> Iterator[Text]:
    with path.open("rb") as stream:
        for number, line in enumerate(stream, start=1):
            yield _line(path.name, number, line, columns)


def _from_table(path: Path, columns: Sequence[str], words: bool) -> list[Text]:
    try:
        table = file_source(path, words).table()
    except StudyFileError as error:
        raise read_from("--file", path, error) from error
    missing = [name for name in columns if name not in table.columns]
    if missing:
        there = f"there: {listed(table.columns)}"
        raise UserError(*(Problem(str(path), f"no column {name!r}", there) for name in missing))
    rows = zip(*(table.read(name) for name in columns), strict=True)
    named = ((f"{path.name}, row {number}", row) for number, row in enumerate(rows, start=1))
    return [_row(where, row, columns) for where, row in named]


def _row(where: str, row: tuple[Any, ...], columns: Sequence[str]) -> Text:
    parts = tuple(tuple(part) if isinstance(part, list) else part for part in row)
    for column, part in zip(columns, parts, strict=True):
        if wrong := _wrong(part):
            raise _empty(f"{where}, column {column!r}" if len(columns) > 1 else where, wrong)
    return Text(where, parts)


def read_from(option: str, path: Path, error: StudyFileError) -> UserError:
    """Return what is wrong with a file of the command line, which no study file names."""
    return UserError(
        *(
            Problem(f"{option} {path}", problem.wrong.removeprefix(f"{path}: "), problem.allowed)
            for problem in error.problems
        )
    )


def _wrong(part: Any) -> str | None:
    """Return what keeps a cell from being a text, or words; ``None`` if nothing does."""
    words = part if isinstance(part, tuple) else (part,)
    strange = next((word for word in words if not isinstance(word, str | None)), None)
    if strange is not None:
        return f"holds {strange!r}, which is no text"
    return None if words and all(word and word.strip() for word in words) else "is empty"


def _checked(where: str, text: str, columns: int) -> Text:
    parts = text.split("\t", 1) if columns == 2 else [text]
    if len(parts) < columns:
        wrong = "is one text, but the model takes pairs"
        raise UserError(Problem(where, wrong, "allowed: two texts with a tab between them"))
    if not all(part.strip() for part in parts):
        raise _empty(where)
    if _NOT_UTF8.search(text):
        raise UserError(Problem(where, "is not UTF-8", "allowed: text in UTF-8"))
    return Text(where, tuple(parts))


def _empty(where: str, wrong: str = "is empty") -> UserError:
    return UserError(Problem(where, wrong, "allowed: a text with something in it"))
