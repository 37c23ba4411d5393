"""Columns of words and tags with an empty line between sentences (CoNLL)."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pareto_prune.inputs.table import Table


def read_conll(path: Path) -> Table:
    """Read sentences of words: columns ``text`` (the first), ``label`` (the last), ``0``, ``1`` ….

    Columns stand apart by tabs where the line has one, else by spaces. Lines ``-DOCSTART-`` and
    empty ones end a sentence.
    """
    sentences = list(_sentences(path.read_text(encoding="utf-8-sig").split("\n")))
    width = min((len(word) for sentence in sentences for word in sentence), default=2)
    place = {"text": 0, "label": -1, **{str(index): index for index in range(width)}}

    def read(name: str) -> list[Any]:
        return [[word[place[name]] for word in sentence] for sentence in sentences]

    return Table(path.name, tuple(place), read)


def _sentences(lines: Iterable[str]) -> Iterator[list[list[str]]]:
    words: list[list[str]] = []
    for number, line in enumerate(itertools.chain(lines, [""]), start=1):
        content = line.replace("\ufeff", "").strip("\r\n")
        if content.strip() and not content.startswith("-DOCSTART-"):
            words.append(_columns(content, number))
        elif words:
            yield words
            words = []


def _columns(line: str, number: int) -> list[str]:
    parts = line.rstrip("\t").split("\t") if "\t" in line else line.split()
    if len(parts) < 2:
        raise ValueError(f"line {number} has one column")
    return [part.strip() for part in parts]
