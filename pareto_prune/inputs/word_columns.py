"""Columns of words and tags with an empty line between sentences (CoNLL, CoNLL-U, GermEval)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pareto_prune.inputs.table import Table, refused

_TAG = re.compile(r"O|[A-Z]-\S+")


@dataclass(frozen=True)
class _Line:
    """A word with its columns, and the number of its line in the file."""

    number: int
    columns: list[str]


def read_conll(path: Path) -> Table:
    """Read sentences of words: columns ``text`` (the first), ``label`` (the last), ``0``, ``1`` ….

    Columns stand apart by tabs where the line has one, else by spaces. Lines ``-DOCSTART-`` and
    empty ones end a sentence; comments before its first word (``# …``) are left out.
    """
    sentences = list(_sentences(path.read_text(encoding="utf-8-sig").split("\n")))
    widths = [len(line.columns) for sentence in sentences for line in sentence]
    places = {"text": 0, "label": -1, **{str(i): i for i in range(max(widths, default=2))}}

    def read(name: str) -> list[Any]:
        place = places[name]
        if place >= min(widths, default=2):
            raise _short(path, name, sentences, place)
        return [[line.columns[place] for line in sentence] for sentence in sentences]

    return Table(path.name, tuple(places), read)


def _short(path: Path, name: str, sentences: list[list[_Line]], place: int) -> Exception:
    lines = itertools.chain.from_iterable(sentences)
    short = next(line for line in lines if len(line.columns) <= place)
    wrong = f"{path}: line {short.number} has {len(short.columns)} columns, none of them {name!r}"
    return refused("data.path", wrong, "lines with as many columns; or label, the last one of each")


def _sentences(lines: Iterable[str]) -> Iterator[list[_Line]]:
    block: list[tuple[int, str]] = []
    for number, line in enumerate(itertools.chain(lines, [""]), start=1):
        content = line.replace("\ufeff", "").strip("\r\n")
        if content.strip() and not content.startswith("-DOCSTART-"):
            block.append((number, content))
        else:
            if words := _words(block):
                yield words
            block = []


def _words(block: list[tuple[int, str]]) -> list[_Line]:
    """Return the words of a block of lines, the comments before the first one left out."""
    words = itertools.dropwhile(lambda line: _is_comment(line[1]), block)
    return [_Line(number, _columns(line, number)) for number, line in words]


def _is_comment(line: str) -> bool:
    """Return whether a line begins with a sharp that stands alone and is no tagged word itself."""
    sharp, *rest = line.split("\t") if "\t" in line else line.split()
    return sharp == "#" and not (rest and _TAG.fullmatch(rest[-1].strip()))


def _columns(line: str, number: int) -> list[str]:
    parts = line.rstrip("\t").split("\t") if "\t" in line else line.split()
    if len(parts) < 2:
        raise ValueError(f"line {number} has one column")
    return [part.strip() for part in parts]
