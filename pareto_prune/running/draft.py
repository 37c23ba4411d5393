"""A study file for a model and a data set: what nobody said is guessed, and each guess is said."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pareto_prune.core import cache
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.defaults import BUDGET
from pareto_prune.core.errors import MismatchError, Problem
from pareto_prune.inputs import guessing
from pareto_prune.inputs.checkpoint import Checkpoint
from pareto_prune.inputs.table import Table
from pareto_prune.inputs.tasks import tasks
from pareto_prune.models.families import family_of
from pareto_prune.running.page import writing
from pareto_prune.running.study_file import parse_study, read_study

_TRIALS = 1000
_COSTS = ("latency_ms", "energy_j")


@dataclass(frozen=True)
class Entry:
    """A line of a study file.

    Attributes:
        table: of the file; empty for the keys before all tables.
        key: in that table.
        value: as TOML has it.
        why: what speaks for a value that was guessed; empty where it was given.
    """

    table: str
    key: str
    value: Any
    why: str = ""

    def line(self) -> str:
        """Return it as TOML, with what speaks for it behind."""
        said = f"  # {self.why}" if self.why else ""
        return f"{self.key} = {_toml(self.value)}{said}"


@dataclass(frozen=True)
class Draft:
    """A study file that is not written yet."""

    entries: tuple[Entry, ...]

    @property
    def name(self) -> str:
        """The name of the study."""
        return str(next(entry.value for entry in self.entries if entry.key == "name"))

    def text(self) -> str:
        """Return the file."""
        tables = list(dict.fromkeys(entry.table for entry in self.entries))
        return "\n\n".join("\n".join(self._table(table)) for table in tables) + "\n"

    def _table(self, table: str) -> Iterator[str]:
        if table:
            yield f"[{table}]"
        yield from (entry.line() for entry in self.entries if entry.table == table)

    def guesses(self) -> list[str]:
        """Return a line for each value that was guessed."""
        named = ((f"{e.table}.{e.key}".lstrip("."), e) for e in self.entries if e.why)
        return [f"{name} = {_toml(entry.value)}: {entry.why}" for name, entry in named]


def draft(
    model: str,
    data: str,
    *,
    name: str | None = None,
    task: str | None = None,
    text: Sequence[str] = (),
    label: str | None = None,
    budget: str = BUDGET,
) -> Draft:
    """Return a study file of a model and a data set.

    Args:
        model: hub id, folder or demo name.
        data: hub id, file, folder or demo name.
        name: of the study; by default that of the data set.
        task: what is learned.
        text: column of texts, or two for pairs.
        label: column of labels.
        budget: wall-clock time of a run, such as ``15min``.

    Raises:
        UserError: model or data is not there, or nothing in it looks like texts and labels.
    """
    named = tasks.create(task) if task else None
    found = guessing.find_data(data, words=named is None or named.splits_words)
    table = found.source.table()
    columns = guessing.find_columns(table, text, label, named is None or named.reads_labels)
    chosen = task or guessing.find_task(table, columns)
    return Draft(
        (
            Entry("", "name", name or _name_of(data), "" if name else "after the data set"),
            Entry("", "objectives", _objectives(chosen), _other_metrics(chosen)),
            Entry("model", "path", model),
            Entry("data", "path", found.path, "" if found.path == data else "the one file there"),
            Entry("data", "task", chosen, "" if task else "what texts and labels look like"),
            Entry("data", "text", list(columns.text), columns.why_text),
            *_labels(columns),
            *_splits(found),
            _length(model, chosen, table, columns),
            Entry("limits", "time", budget),
            Entry("limits", "trials", _TRIALS, "as many as the time has room for"),
        )
    )


def _labels(columns: guessing.Columns) -> Iterator[Entry]:
    if columns.label is not None:
        yield Entry("data", "label", columns.label, columns.why_label)


def template(task: str) -> Draft:
    """Return what a study file of a task says at least, to be filled in."""
    return Draft(
        (
            Entry("", "name", "mine"),
            Entry("", "objectives", _objectives(task), _other_metrics(task)),
            Entry("model", "path", "", "a folder or hub id"),
            Entry("data", "path", "", "a file, folder or hub id"),
            Entry("data", "task", task),
            Entry("data", "text", "text", "the column of texts, or a list of two"),
            Entry("data", "label", "label", "the column of labels"),
        )
    )


def _splits(found: guessing.Found) -> Iterator[Entry]:
    if found.splits:
        yield Entry("data", "splits", dict(found.splits), "by their names")


def _length(model: str, task: str, table: Table, columns: guessing.Columns) -> Entry:
    checkpoint = Checkpoint.find(model)
    config: Any = checkpoint.config()
    tokenizer = checkpoint.tokenizer(tasks.create(task))
    read = tokenizer.model_max_length
    most = min(family_of(config).most_tokens(config) or read, read)
    length = guessing.find_length(tokenizer, table, columns, most)
    why = f"holds 99 % of the first {guessing.LOOKED_AT:,} texts whole" if length < most else ""
    return Entry("data", "max_length", length, why or "the most that the model reads")


def _objectives(task: str) -> list[str]:
    return [tasks.create(task).metrics[0].name, *_COSTS]


def _other_metrics(task: str) -> str:
    others = [metric.name for metric in tasks.create(task).metrics[1:]]
    instead = f"; instead of the first: {', '.join(others)}" if others else ""
    return f"the task's usual metric, and what it is traded for{instead}"


def _name_of(data: str) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", guessing.name_of(data)).strip("-.") or "study"


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_toml(each)}" for key, each in value.items()) + " }"
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return json.dumps(value, ensure_ascii=False)


def keep(made: Draft, to: Path, anew: bool = False) -> StudyConfig:
    """Write a draft as a study file and return what the file says.

    Args:
        made: what is written.
        to: the file. One of the same model and data that is there already stays as it is, so that
            what was changed in it by hand holds.
        anew: refuse any file that is there.

    Raises:
        UserError: a file of something else has the place, or nothing can be written there.
    """
    config = parse_study(tomllib.loads(made.text()), str(to))
    if not to.exists():
        with writing(to), cache.replacing(to) as beside:
            beside.write_text(made.text(), encoding="utf-8")
        return config
    there = read_study(to)
    if anew or (there.model.path, there.data.path) != (config.model.path, config.data.path):
        wrong = f"is there already, for {there.model.path} and {there.data.path}"
        raise MismatchError(Problem(str(to), wrong, "allowed: another file or --name"))
    return there
