"""Raw tables: files, folders and hub data sets as named columns. Knows nothing of tasks.

Files are CSV and TSV (with a header), JSON (a list of objects, or one a line), Parquet, plain text
(a text a line: a column ``text``), and, for tasks on words, columns of words and tags with an empty
line between sentences (CoNLL).
"""

from __future__ import annotations

import contextlib
import csv
import functools
import itertools
import json
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pareto_prune.core.errors import StudyFileError
from pareto_prune.core.hashing import file_sha256
from pareto_prune.inputs import demo
from pareto_prune.inputs.delimited import read_csv, read_tsv
from pareto_prune.inputs.git_lfs import check_fetched
from pareto_prune.inputs.json_rows import read_json
from pareto_prune.inputs.table import Table, listed, refused
from pareto_prune.inputs.text_file import lines_of, not_utf8
from pareto_prune.inputs.word_columns import read_conll

SUFFIXES = (".csv", ".tsv", ".json", ".jsonl", ".parquet")
_SHARD = re.compile(r"-\d{4,}-of-(?P<all>\d{4,})$")
_WORDS = ("", ".conll", ".txt", ".iob", ".iob2", ".bio", ".annotated", ".tags")


@dataclass(frozen=True)
class Source:
    """A table that can be read, and a digest that changes whenever its content does."""

    name: str
    digest: str
    table: Callable[[], Table]


def file_source(path: Path, words: bool = False, key: str = "data.path") -> Source:
    """Return a file as a source.

    Args:
        path: the file; its suffix says how it is read.
        words: whether files of no known suffix hold columns of words and tags.
        key: the key of the study file that named it.

    Raises:
        StudyFileError: no such file, its suffix says nothing, or it is a pointer of Git LFS.
    """
    if not path.is_file():
        raise refused(key, f"no such file: {path}", "a file that is there")
    suffix = path.suffix.lower()
    reader = _READERS.get(suffix) or _LINES.get((suffix, words)) or (read_conll if words else None)
    if reader is None:
        allowed = ", ".join((*SUFFIXES, ".txt"))
        raise refused(key, f"{path}: cannot read {suffix or 'this'}", allowed)
    check_fetched(path, key)
    return Source(path.name, file_sha256(path), functools.partial(_opened, reader, path))


def demo_source(path: str) -> Source:
    """Return a demo data set as a source; columns ``text`` and ``label``."""
    file, kind = demo.reviews(path)

    def read() -> Table:
        whole = _opened(read_csv, file)
        chosen = [found == kind for found in whole.read("source")]

        def column(name: str) -> list[Any]:
            return list(itertools.compress(whole.read(name), chosen))

        return Table(path, ("text", "label"), column)

    return Source(path, f"{file_sha256(file)}:{kind}", read)


def folder_source(folder: Path, name: str | None, words: bool = False) -> Source:
    """Return what a folder holds under the name of a split or file, or its only table.

    A folder that ``Dataset.save_to_disk`` wrote is read as such. Else ``name`` is a file of the
    folder, or what comes before its suffix (shards ``name-00000-of-00002.parquet`` together).

    Raises:
        StudyFileError: no such split or file, or several where there should be one.
    """
    if (folder / "dataset_dict.json").is_file() or (folder / "state.json").is_file():
        return _saved_source(folder, name)
    if name is None:
        return file_source(_only_file(folder, words), words)
    return _joined([file_source(file, words) for file in _files_named(folder, name, words)], name)


def splits_of_folder(folder: Path) -> tuple[str, ...]:
    """Return the names of the splits or data files that a folder holds; of shards what is before.

    A file that stands for itself keeps its suffix.
    """
    if (folder / "dataset_dict.json").is_file():
        return tuple(json.loads((folder / "dataset_dict.json").read_text("utf-8"))["splits"])
    files = _readable(folder, words=True) + _readable(folder / "data", words=True)
    names = [_SHARD.sub("", file.stem) if _SHARD.search(file.stem) else file.name for file in files]
    return tuple(dict.fromkeys(names))


def hub_splits(path: str) -> tuple[str, ...]:
    """Return the names of the splits of a data set of the hub.

    Raises:
        StudyFileError: it cannot be reached, or has several configurations.
    """
    import datasets

    try:
        return tuple(datasets.get_dataset_split_names(path))
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        raise _hub_problem(path, None, None, error) from error


def hub_source(path: str, name: str | None, split: str | None) -> Source:
    """Return a split of a data set of the hub as a source.

    Args:
        path: hub id.
        name: name of its configuration, if it has several.
        split: name of the split, slices such as ``train[:80%]`` included; ``None`` if it has
            one only.

    Raises:
        StudyFileError: it cannot be reached, or has no such configuration or split.
    """
    import datasets

    with _quiet_datasets():
        try:
            loaded = datasets.load_dataset(path, name, split=split)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise _hub_problem(path, name, split, error) from error
    title = f"{path}/{name}" if name else path
    return _dataset_source(title, _one_split(title, loaded, split), split)


def _hub_problem(
    path: str, name: str | None, split: str | None, error: Exception
) -> StudyFileError:
    line = (str(error).strip().splitlines() or [type(error).__name__])[0][:200]
    what = "/".join(part for part in (path, name, split) if part)
    return refused(
        "data.path",
        f"{what!r} cannot be loaded from the hub ({line})",
        "a data set, name and split that can be reached, or a local file or folder",
    )


def _saved_source(folder: Path, name: str | None) -> Source:
    import datasets

    with _quiet_datasets():
        loaded = datasets.load_from_disk(str(folder))
    return _dataset_source(str(folder), _one_split(str(folder), loaded, name), name)


def _one_split(title: str, loaded: Any, split: str | None) -> Any:
    """Return the split of a data set, which must be named if there are several."""
    if not hasattr(loaded, "keys"):
        return loaded
    names = list(loaded)
    if split is None and len(names) == 1:
        return loaded[names[0]]
    if split not in names:
        wrong = f"{title} has no split {split!r}" if split else f"{title} has several splits"
        raise refused("data.splits", wrong, f"names among {', '.join(names)}")
    return loaded[split]


def _dataset_source(title: str, dataset: Any, split: str | None) -> Source:
    known = dataset.split or split
    label = f"{title} ({known})" if known else title
    features = dataset.features.to_dict()
    classes = {name: found for name, f in features.items() if (found := _class_names(f))}

    def read(name: str) -> list[Any]:
        return list(dataset.select_columns([name])[:][name])

    table = Table(label, tuple(dataset.column_names), read, classes)
    return Source(label, str(dataset._fingerprint), lambda: table)


def _class_names(feature: Any) -> tuple[str, ...]:
    """Return the names of a class label, or of a list of them, as ``datasets`` describes it."""
    if isinstance(feature, list):
        return _class_names(feature[0]) if feature else ()
    if not isinstance(feature, dict):
        return ()
    if feature.get("_type") == "ClassLabel":
        return tuple(feature.get("names") or ())
    return _class_names(feature.get("feature"))


def _only_file(folder: Path, words: bool) -> Path:
    files = _readable(folder, words)
    if len(files) != 1:
        found = ", ".join(file.name for file in files[:10]) or "none"
        raise refused(
            "data.splits",
            f"{folder} holds {len(files)} data files ({found}), which shares cannot divide",
            "names of files, or the path of one file",
        )
    return files[0]


def _files_named(folder: Path, name: str, words: bool) -> list[Path]:
    """Return the file of this name, or its shards; of one folder and one format."""
    if (folder / name).is_file():
        return [folder / name]
    files = _readable(folder, words) + _readable(folder / "data", words)
    found = [file for file in files if _SHARD.sub("", file.stem) == name]
    if not found:
        there = ", ".join(file.name for file in files[:10]) or "no data file"
        raise refused("data.splits", f"{folder} has no split or file {name!r}", f"there: {there}")
    if len({_kind(file) for file in found}) > 1:
        several = ", ".join(str(file.relative_to(folder)) for file in found[:10])
        raise refused("data.splits", f"{folder} has several of {name!r}: {several}", "one of them")
    if (shard := _SHARD.search(found[0].stem)) and len(found) != int(shard["all"]):
        wrong = f"{len(found)} of {int(shard['all'])} shards of {name!r} are in {folder}"
        raise refused("data.splits", wrong, "all of them")
    return found


def _kind(file: Path) -> tuple[Path, str, str]:
    """Return what shards of one table have in common: folder, format and number."""
    shard = _SHARD.search(file.stem)
    return file.parent, file.suffix, shard["all"] if shard else ""


def _readable(folder: Path, words: bool) -> list[Path]:
    suffixes = (*SUFFIXES, *_WORDS) if words else SUFFIXES
    files = folder.iterdir() if folder.is_dir() else ()
    return sorted(file for file in files if file.is_file() and file.suffix.lower() in suffixes)


def _joined(sources: Sequence[Source], name: str) -> Source:
    if len(sources) == 1:
        return sources[0]

    def table() -> Table:
        parts = [source.table() for source in sources]
        first = parts[0]

        def read(column: str) -> list[Any]:
            _check_column(column, parts)
            return list(itertools.chain.from_iterable(part.read(column) for part in parts))

        return Table(name, first.columns, read, first.classes)

    return Source(name, "+".join(source.digest for source in sources), table)


def _check_column(name: str, parts: Sequence[Table]) -> None:
    """Refuse shards that do not have the same column, with the same classes in it."""
    first, *others = parts
    for part in others:
        if name not in part.columns:
            wrong = f"{part.source} has no column {name!r}, there: {listed(part.columns)}"
            raise refused("data.path", wrong, f"the columns of {first.source}")
        if part.classes.get(name) != first.classes.get(name):
            wrong = f"{part.source} has other classes in {name!r} than {first.source}"
            raise refused("data.path", wrong, "shards with the same classes")


def _opened(reader: Callable[[Path], Table], path: Path) -> Table:
    """Read a file; what its reader raises becomes one line."""
    try:
        return reader(path)
    except (OSError, ValueError, csv.Error) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> StudyFileError:
    if path.suffix.lower() != ".parquet" and (wrong := not_utf8(path)):
        return refused("data.path", f"{path}: {wrong}", "text in UTF-8")
    line = (str(error).splitlines() or [type(error).__name__])[0][:200]
    return refused("data.path", f"{path}: cannot be read ({line})", "a whole file")


def _read_lines(path: Path) -> Table:
    lines = lines_of(path)
    return Table(path.name, ("text",), lambda _: lines)


def _read_parquet(path: Path) -> Table:
    from pyarrow import parquet

    schema = parquet.read_schema(path)
    described = json.loads((schema.metadata or {}).get(b"huggingface", b"{}"))
    features = described.get("info", {}).get("features", {})
    return Table(
        path.name,
        tuple(schema.names),
        lambda name: parquet.read_table(path, columns=[name]).column(name).to_pylist(),
        {name: found for name, f in features.items() if (found := _class_names(f))},
    )


_READERS: dict[str, Callable[[Path], Table]] = {
    ".csv": read_csv,
    ".tsv": read_tsv,
    ".json": read_json,
    ".jsonl": read_json,
    ".parquet": _read_parquet,
}
_LINES = {(".txt", False): _read_lines, (".conll", False): read_conll}
"""Readers of lines, by suffix and whether the task is one on words."""


@contextlib.contextmanager
def _quiet_datasets() -> Iterator[None]:
    """Draw no progress bars while ``datasets`` loads."""
    from datasets.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
