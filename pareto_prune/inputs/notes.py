"""What a user should know of a data set that serves: cut texts, doubled ones, twins of classes."""

from __future__ import annotations

import itertools
import unicodedata
from collections.abc import Iterable, Iterator

from pareto_prune.inputs.examples import Split, TaskData


def notes_on(data: TaskData, max_length: int) -> Iterator[str]:
    """Yield a line for each thing to know, with its count."""
    yield from _alike(data.label_names)
    splits = (data.train, data.validation, data.test)
    cut = sum(int((split.lengths >= max_length).sum()) for split in splits)
    if cut:
        total = sum(map(len, splits))
        yield f"{cut} of {total} texts fill data.max_length = {max_length} or were cut"
    known = set(_texts(data.train))
    for name, split in (("validation", data.validation), ("test", data.test)):
        if seen := sum(text in known for text in _texts(split)):
            yield f"{seen} of {len(split)} {name} texts are in the training split too"


def _alike(names: Iterable[str]) -> Iterator[str]:
    """Yield a line for each two classes that differ in how they are written alone."""
    known: dict[str, str] = {}
    for name in names:
        other = known.setdefault(_seen(name), name)
        if other != name:
            yield f"two classes look alike, {other} and {name}: {other!a} and {name!a}"


def _seen(name: str) -> str:
    """Return a name without what the eye may miss: case, how accents are written, no width."""
    shown = "".join(each for each in name if unicodedata.category(each) != "Cf")
    return unicodedata.normalize("NFC", shown).casefold()


def _texts(split: Split) -> Iterator[bytes]:
    """Yield the tokens of every example, which are its text as the model sees it."""
    ids, ends = split.ids.tobytes(), (split.offsets * split.ids.itemsize).tolist()
    return (ids[begin:end] for begin, end in itertools.pairwise(ends))
