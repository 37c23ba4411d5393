"""The data set of a study: from its table in the study file to three tokenised splits.

::

    [data] ─► sources ─► rows ─► tokens and labels ─► train, validation, test
              a file,    texts   cached on disk, under
              a hub id   labels  the content of all this
"""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pareto_prune.core import cache, cache_entries
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.data_table import DataTable
from pareto_prune.core.errors import Problem, StudyFileError
from pareto_prune.core.hashing import file_sha256
from pareto_prune.core.progress import Progress, Silent
from pareto_prune.inputs import demo
from pareto_prune.inputs.checkpoint import Checkpoint, looks_local
from pareto_prune.inputs.examples import Indices, Rows, Split, TaskData
from pareto_prune.inputs.notes import notes_on
from pareto_prune.inputs.sampling import sample, spread, together
from pareto_prune.inputs.sources import (
    SUFFIXES,
    Source,
    demo_source,
    file_source,
    folder_source,
    hub_source,
)
from pareto_prune.inputs.table import Table, listed, refused
from pareto_prune.inputs.tasks import Task, tasks
from pareto_prune.models.families import family_of

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

ENCODING_VERSION = 3
FEWEST_TRAINING_ROWS = 8

_OTHER_FILES = (".xlsx", ".xls", ".ods", ".txt", ".conll", ".conllu", ".gz", ".zip", ".arrow")
_ALL = "all"
_NAMES = ("train", "validation", "test")


def load(
    config: StudyConfig,
    progress: Progress | None = None,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> TaskData:
    """Return the data set of a study, tokenised for its model.

    Tokenised once for each content of the data, tokenizer and settings; a damaged or missing
    cache is made again.

    Args:
        config: the study.
        progress: told what is going on.
        tokenizer: in place of the model's own, such as one with a smaller vocabulary.

    Raises:
        UserError: the data or the tokenizer cannot be loaded, or the data does not serve.
    """
    progress = progress or Silent()
    task = tasks.create(config.data.task)
    checkpoint = Checkpoint.find(config.model.path, config.model.revision)
    tokenizer = tokenizer or checkpoint.tokenizer(task)
    _check_length(config.data.max_length, checkpoint, tokenizer)
    if not tokenizer.is_fast:
        progress.note("its tokenizer runs in Python only: no export of it for ONNX Runtime")
    sources = find_sources(config.data)
    order = checkpoint.head_names(task)
    path = cache_entries.encoded(_key(config, sources, tokenizer, order))
    with cache.made_once(path):
        found = _read(path, config.data.task)
        if found is None:
            found = _encoded(config, sources, tokenizer, order, progress)
            _write(path, found)
    _check_types(found, checkpoint)
    for note in notes_on(found, config.data.max_length):
        progress.note(note)
    return found


def training_rows(config: StudyConfig) -> Rows:
    """Return the texts and labels of the training split, not tokenised.

    Raises:
        UserError: as :func:`load`.
    """
    rows = read_rows(config, find_sources(config.data))
    if _ALL not in rows:
        return rows["train"]
    task = tasks.create(config.data.task)
    checkpoint = Checkpoint.find(config.model.path, config.model.revision)
    tokenizer, order = checkpoint.tokenizer(task), checkpoint.head_names(task)
    splits = _encoded_splits(rows, task, tokenizer, order, config.data.max_length, Silent())
    parts = _parts(task, splits[_ALL], config.data.splits, config.seed)
    examples = len(splits[_ALL]) // len(rows[_ALL])
    return rows[_ALL].take(np.unique(parts["train"] // examples))


def find_sources(data: DataTable) -> dict[str, Source]:
    """Return where each split comes from; under ``all`` if one table is divided by shares.

    Raises:
        UserError: a file, folder, split, demo or hub data set is not there; all at once.
    """
    if any(isinstance(share, float) for share in data.splits.values()):
        return {_ALL: _source(data, None)}
    found: dict[str, Source] = {}
    problems: list[Problem] = []
    for name in _NAMES:
        try:
            found[name] = _source(data, str(data.splits[name]))  # type: ignore[index]
        except StudyFileError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise StudyFileError(*problems)
    return found


def _source(data: DataTable, split: str | None) -> Source:
    path, words = Path(data.path).expanduser(), tasks.create(data.task).splits_words
    if demo.is_demo(data.path):
        return _undivided(demo_source(data.path), split)
    if path.is_dir():
        return folder_source(path, split, words)
    if path.is_file():
        return _undivided(file_source(path, words), split)
    if looks_local(data.path) or _names_file(path):
        raise refused("data.path", f"no such file or folder: {data.path}", "one that is there")
    return hub_source(data.path, data.name, split)


def _names_file(path: Path) -> bool:
    """Return whether a path ends as files do; hub ids do not, but for versions (``wiki-1.1``)."""
    known = path.suffix.lower() in (*SUFFIXES, *_OTHER_FILES)
    return known or (len(path.parts) == 1 and path.suffix[1:].isalpha())


def _undivided(source: Source, split: str | None) -> Source:
    if split is not None:
        wrong = f"{source.name} is one table and has no split {split!r}"
        raise refused("data.splits", wrong, "three shares, or a folder as data.path")
    return source


def rows_of(table: Table, data: DataTable, labelled: bool = True) -> Rows:
    """Return the columns of a table that a study's ``[data]`` names.

    Raises:
        StudyFileError: a column is not there; all that are missing, with those that are.
    """
    labelled = labelled and tasks.create(data.task).reads_labels
    wanted = {"data.text": data.text, "data.label": data.labels if labelled else ()}
    missing = [
        Problem(key, f"no column {name!r} in {table.source}", f"there: {listed(table.columns)}")
        for key, names in wanted.items()
        for name in names
        if name not in table.columns
    ]
    if missing:
        raise StudyFileError(*missing)
    return Rows(
        source=table.source,
        texts=tuple(table.read(name) for name in data.text),
        labels=_labels_of(table, data) if labelled else None,
        names=table.classes.get(data.labels[0]) or None,
        columns=tuple(data.text),
        label_columns=data.labels,
    )


def _labels_of(table: Table, data: DataTable) -> list[Any]:
    columns = [table.read(name) for name in data.labels]
    return columns[0] if len(columns) == 1 else list(zip(*columns, strict=True))


def read_rows(config: StudyConfig, sources: Mapping[str, Source]) -> dict[str, Rows]:
    """Return the rows of every source, at most ``data.limit`` of each, drawn by the seed.

    Raises:
        StudyFileError: a column is missing, or a source has no rows; all at once.
    """
    found: dict[str, Rows] = {}
    problems: list[Problem] = []
    for name, source in sources.items():
        try:
            rows = rows_of(source.table(), config.data)
            found[name] = _limited(rows, config, tasks.create(config.data.task).grouped)
            _check_count(name, len(found[name]), source.name)
        except StudyFileError as error:
            problems += [problem for problem in error.problems if problem not in problems]
    if problems:
        raise StudyFileError(*problems)
    return found


def _limited(rows: Rows, config: StudyConfig, grouped: bool) -> Rows:
    """Return rows up to the limit, whole groups of them where they are grouped."""
    limit = config.data.limit
    if limit is None or len(rows) <= limit:
        return rows
    order = np.random.default_rng(config.seed).permutation(len(rows))
    if not grouped:
        return rows.take(np.sort(order[:limit]))
    order = together(rows.groups(), order)
    ends = np.flatnonzero(np.diff(rows.groups()[order], append=-1)) + 1
    fit = ends[ends <= limit].max(initial=int(ends[0]))
    return rows.take(np.sort(order[:fit]))


def _check_count(name: str, count: int, source: str) -> None:
    least = FEWEST_TRAINING_ROWS if name in ("train", _ALL) else 1
    if count == 0:
        raise refused("data.splits", f"the {name} split is empty ({source})", "some rows")
    if count < least:
        wrong = f"too few rows in the {name} split: {count} ({source})"
        raise refused("data.splits", wrong, f"{least} or more")


def _encoded(
    config: StudyConfig,
    sources: Mapping[str, Source],
    tokenizer: PreTrainedTokenizerBase,
    order: tuple[str, ...] | None,
    progress: Progress,
) -> TaskData:
    data, task = config.data, tasks.create(config.data.task)
    progress.stage("reading data", len(sources) + 1)
    rows = read_rows(config, sources)
    progress.advance()
    splits = _encoded_splits(rows, task, tokenizer, order, data.max_length, progress)
    if _ALL in splits:
        splits = _divided(task, splits[_ALL], data.splits, config.seed)
    for name, split in splits.items():
        _check_count(name, len(split), "after dividing the table")
        task.check(name, split, splits["train"])
    return TaskData.of(data.task, **splits)


def _encoded_splits(
    rows: Mapping[str, Rows],
    task: Task,
    tokenizer: PreTrainedTokenizerBase,
    order: tuple[str, ...] | None,
    max_length: int,
    progress: Progress,
) -> dict[str, Split]:
    labelled = {"train" if name == _ALL else name: part for name, part in rows.items()}
    names = task.label_names(labelled, order)
    splits = {}
    for name, part in rows.items():
        splits[name] = task.encode(part, tokenizer, names, max_length)
        progress.advance()
    return splits


def _divided(task: Task, whole: Split, shares: Mapping[Any, Any], seed: int) -> dict[str, Split]:
    """Return the splits by their shares, stratified, each in the order of the table."""
    parts = _parts(task, whole, shares, seed)
    return {name: whole.take(rows) for name, rows in parts.items()}


def _parts(task: Task, whole: Split, shares: Mapping[Any, Any], seed: int) -> dict[str, Indices]:
    """Return the rows of each split, sorted."""
    rest, parts = spread(task, whole, seed), {}
    for name in ("validation", "test"):
        parts[name], rest = sample(rest, round(shares[name] * len(whole)), whole.groups)
    return {name: np.sort(rows) for name, rows in {"train": rest, **parts}.items()}


def _check_types(data: TaskData, checkpoint: Checkpoint) -> None:
    """Refuse pairs whose second text has a token type that the model lacks among its rows.

    A model without any row reads no types.
    """
    rows = getattr(checkpoint.config(), "type_vocab_size", None)
    types = [split.types for split in (data.train, data.validation, data.test)]
    given = 1 + max((int(found.max()) for found in types if found is not None), default=0)
    if rows and given > rows:
        wrong = f"the tokenizer of {checkpoint.path} gives {given} token types"
        raise refused("model.path", f"{wrong}, its model has rows for {rows}", "a pair that fits")


def _check_length(
    max_length: int, checkpoint: Checkpoint, tokenizer: PreTrainedTokenizerBase
) -> None:
    config: Any = checkpoint.config()
    positions, read = family_of(config).most_tokens(config), tokenizer.model_max_length
    most = min(positions or read, read)
    if max_length > most:
        own = "the model has positions for" if most == positions else "its tokenizer's own maximum"
        raise refused(
            "data.max_length", f"{max_length} tokens are more than {own}", f"at most {most}"
        )


def _key(
    config: StudyConfig,
    sources: Mapping[str, Source],
    tokenizer: PreTrainedTokenizerBase,
    order: tuple[str, ...] | None,
) -> dict[str, Any]:
    return {
        "version": ENCODING_VERSION,
        "sources": {name: source.digest for name, source in sources.items()},
        "data": config.data.model_dump(mode="json", exclude={"path", "name", "corpus"}),
        "seed": config.seed,
        "tokenizer": tokenizer_digest(tokenizer),
        "order": order,
    }


def tokenizer_digest(tokenizer: Any) -> str:
    """Return a SHA-256 of what decides the tokens that a tokenizer gives, and what it cuts off."""
    backend = getattr(tokenizer, "backend_tokenizer", None)
    content = backend.to_str() if backend is not None else _saved(tokenizer)
    settings = (
        type(tokenizer).__name__,
        tokenizer.pad_token_id,
        tokenizer.truncation_side,
        tokenizer.model_input_names,
    )
    return hashlib.sha256(f"{settings}:{content}".encode()).hexdigest()


def _saved(tokenizer: Any) -> str:
    """Return digests of what a slow tokenizer saves: vocabulary, merges, settings."""
    with tempfile.TemporaryDirectory() as folder:
        tokenizer.save_pretrained(folder)
        return ":".join(map(file_sha256, sorted(Path(folder).iterdir())))


def _write(path: Path, data: TaskData) -> None:
    arrays: dict[str, Any] = {}
    for name in _NAMES:
        split: Split = getattr(data, name)
        arrays |= {
            f"{name}.ids": split.ids,
            f"{name}.offsets": split.offsets,
            f"{name}.labels": split.labels,
            f"{name}.label_names": np.array(split.label_names),
            f"{name}.scalars": np.array([split.pad, split.by_token]),
        }
        optional = {"types": split.types, "groups": split.groups}
        arrays |= {f"{name}.{key}": one for key, one in optional.items() if one is not None}
    cache.save_arrays(path, arrays)


def _read(path: Path, task: str) -> TaskData | None:
    """Return what :func:`_write` wrote; ``None`` where nothing whole is there."""
    arrays = cache.load_arrays(path)
    if arrays is None:
        return None
    return TaskData.of(task, *(_split_of(arrays, name) for name in _NAMES))


def _split_of(arrays: Mapping[str, Any], name: str) -> Split:
    pad, by_token = arrays[f"{name}.scalars"]
    return Split(
        ids=arrays[f"{name}.ids"],
        offsets=arrays[f"{name}.offsets"],
        labels=arrays[f"{name}.labels"],
        label_names=tuple(arrays[f"{name}.label_names"].tolist()),
        types=arrays.get(f"{name}.types"),
        groups=arrays.get(f"{name}.groups"),
        pad=int(pad),
        by_token=bool(by_token),
    )
