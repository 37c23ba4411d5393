"""What a table of texts is about, guessed from names and values: columns, splits, task, length."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareto_prune.inputs import demo
from pareto_prune.inputs.sources import (
    Source,
    demo_source,
    file_source,
    folder_source,
    hub_source,
    hub_splits,
    splits_of_folder,
)
from pareto_prune.inputs.table import Table, listed, refused
from pareto_prune.inputs.tasks import tasks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

LOOKED_AT = 1000
"""Rows that a guess looks at."""

_PAIRS = (
    ("premise", "hypothesis"),
    ("sentence1", "sentence2"),
    ("question1", "question2"),
    ("question", "sentence"),
    ("query", "passage"),
)
_TEXTS = ("text", "sentence", "tokens", "words", "review", "content", "comment", "body", "message")
_LABELS = (
    *("label", "labels", "ner_tags", "tags", "tag", "class", "category", "target", "sentiment"),
    *("intent", "emotion", "score", "similarity", "rating", "stars"),
)
_SPLITS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev", "development"),
    "test": ("test", "eval"),
}
_WORD = re.compile(r"[a-z]+")
_USUAL = "a usual name"
_COVERED = 0.99
_STEP = 16
_SHORTEST = 16


@dataclass(frozen=True)
class Found:
    """Where a data set lies, as ``[data]`` states it.

    Attributes:
        path: of the data set, or of the one file of it that is divided.
        splits: the names of its splits; empty where shares divide it.
        source: of the training texts.
    """

    path: str
    splits: Mapping[str, str]
    source: Source


@dataclass(frozen=True)
class Columns:
    """What is read of a table.

    Attributes:
        text: names of the columns of texts.
        label: name of the column of labels; ``None`` where none are read.
        why_text: what speaks for the texts; empty where they were given.
        why_label: what speaks for the labels, likewise.
    """

    text: tuple[str, ...]
    label: str | None
    why_text: str = ""
    why_label: str = ""


def find_data(path: str, words: bool = True) -> Found:
    """Return what ``path`` holds: a demo name, a file, a folder or a hub id.

    Args:
        path: as a study file states it.
        words: whether files of no known suffix may hold columns of words and tags.

    Raises:
        StudyFileError: there is nothing to be read, or no split to train on.
    """
    place = Path(path).expanduser()
    if demo.is_demo(path):
        return Found(path, {}, demo_source(path))
    if place.is_dir():
        return _in_folder(path, place, words)
    if place.exists() or place.suffix:
        return Found(path, {}, file_source(place, words))
    return _on_hub(path)


def _in_folder(path: str, folder: Path, words: bool) -> Found:
    there = splits_of_folder(folder)
    named = _named(there)
    if len(named) == len(_SPLITS):
        return Found(path, named, folder_source(folder, named["train"], words))
    files = [folder / name for name in there if (folder / name).is_file()]
    if len(files) != 1:
        wrong = f"{folder} holds {', '.join(there) or 'no data'}"
        raise refused("data.path", wrong, "train, validation and test; or one file, to be divided")
    return Found(str(files[0]), {}, file_source(files[0], words))


def _on_hub(path: str) -> Found:
    there = hub_splits(path)
    named = _named(there)
    if "train" not in named:
        raise refused("data.path", f"{path} has the splits {', '.join(there)}", "one named train")
    train = named["train"]
    parts = {
        "train": train if len(named) == len(_SPLITS) else f"{train}[:80%]",
        "validation": named.get("validation", f"{train}[80%:90%]"),
        "test": named.get("test", f"{train}[90%:]"),
    }
    return Found(path, parts, hub_source(path, None, train))


def _named(there: Sequence[str]) -> dict[str, str]:
    """Return which of some names of splits and files stands alone for which split."""
    found = {split: _alone(there, set(names)) for split, names in _SPLITS.items()}
    return {split: name for split, name in found.items() if name is not None}


def _alone(there: Sequence[str], words: set[str]) -> str | None:
    """Return the one name that is one of these words, else the one that has one of them in it."""
    exact = [name for name in there if Path(name).stem.lower() in words]
    within = [name for name in there if words & set(_WORD.findall(name.lower()))]
    return next((found[0] for found in (exact, within) if len(found) == 1), None)


def name_of(path: str) -> str:
    """Return what a data set is called: its own name; of the file of a split that of its folder."""
    place = Path(path.rpartition(":")[2])
    stem = place.stem if place.suffix else place.name
    splits = {name for names in _SPLITS.values() for name in names}
    return place.parent.name if stem.lower() in splits and place.parent.name else stem


def find_columns(
    table: Table, text: Sequence[str] = (), label: str | None = None, labelled: bool = True
) -> Columns:
    """Return which columns hold texts and labels: as given, by a usual name, else by their values.

    Args:
        table: is looked at.
        text: columns of texts, where they are given.
        label: column of labels, likewise.
        labelled: whether labels are read at all.

    Raises:
        StudyFileError: a column that is given is not there; no column looks like texts, or none
            like labels.
    """
    for name in (*text, *([label] if label else [])):
        if name not in table.columns:
            there = f"a column of {table.source}: {listed(table.columns)}"
            raise refused("data.text" if name in text else "data.label", f"no {name!r}", there)
    texts, why_text = (tuple(text), "") if text else _texts(table, label)
    labels, why_label = (label, "") if label or not labelled else _label(table, texts)
    return Columns(texts, labels, why_text, why_label)


def _texts(table: Table, label: str | None) -> tuple[tuple[str, ...], str]:
    names = {name.lower(): name for name in table.columns if name != label}
    for usual in (*_PAIRS, *((name,) for name in _TEXTS)):
        if all(part in names for part in usual):
            return tuple(names[part] for part in usual), _USUAL
    lengths = {name: _mean_length(head(table, name)) for name in names.values()}
    longest = max(lengths, key=lambda name: lengths[name], default=None)
    if longest is None or not lengths[longest]:
        raise refused("data.text", _none_of("looks like texts", table), "--text COLUMN")
    return (longest,), "the longest strings"


def _mean_length(values: Sequence[Any]) -> float:
    """Return the mean characters of a column of strings with letters; 0 of any other."""
    if not values or not all(isinstance(value, str) for value in values):
        return 0.0
    if not any(map(str.isalpha, "".join(values))):
        return 0.0
    return sum(map(len, values)) / len(values)


def _label(table: Table, texts: Sequence[str]) -> tuple[str, str]:
    others = {name.lower(): name for name in table.columns if name not in texts}
    usual = [others[name] for name in _LABELS if name in others]
    if usual:
        return usual[0], _USUAL
    few = [name for name in others.values() if _comes_again(head(table, name))]
    if len(few) != 1:
        raise refused("data.label", _none_of("looks like labels", table), "--label COLUMN")
    return few[0], "the one column whose values come again and again"


def _comes_again(values: Sequence[Any]) -> bool:
    """Return whether there are several values, each of them twice in the mean."""
    return 2 <= len(set(map(str, values))) <= len(values) / 2


def _none_of(what: str, table: Table) -> str:
    return f"none of the columns of {table.source} alone {what} ({listed(table.columns)})"


def head(table: Table, column: str) -> list[Any]:
    """Return the first values of a column."""
    return table.read(column)[:LOOKED_AT]


def find_task(table: Table, columns: Columns) -> str:
    """Return the task whose texts and labels look like these; the first of them by name.

    Raises:
        StudyFileError: no task has such labels.
    """
    assert columns.label is not None
    texts, labels = head(table, columns.text[0]), head(table, columns.label)
    for name in tasks.names():
        if tasks.create(name).suits(texts, labels):
            return name
    wrong = f"column {columns.label!r} of {table.source} looks like the labels of no task"
    raise refused("data.task", wrong, f"--task with one of {', '.join(tasks.names())}")


def find_length(
    tokenizer: PreTrainedTokenizerBase, table: Table, columns: Columns, most: int
) -> int:
    """Return tokens that hold 99 % of the first texts, a multiple of 16, at most ``most``."""
    texts = [head(table, name) for name in columns.text]
    words = bool(texts[0]) and isinstance(texts[0][0], list)
    encoded = tokenizer(*texts, is_split_into_words=words, truncation=False, verbose=False)
    lengths = sorted(map(len, encoded["input_ids"]))
    covers = lengths[int(_COVERED * (len(lengths) - 1))]
    return min(max(_SHORTEST, -(-covers // _STEP) * _STEP), most)
