"""Reading a study file: every problem at once, each as ``file: table.key: what is wrong``.

Shape and types are checked by :mod:`pareto_prune.core.config`; names and the options of strategies
and samplers by the families that own them. Nothing here loads torch.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pydantic

from pareto_prune.core.config import Range, StudyConfig
from pareto_prune.core.errors import Problem, StudyFileError, UserError, unknown_name
from pareto_prune.core.limits_table import LimitsTable
from pareto_prune.core.records import SEEN
from pareto_prune.core.registry import UNKNOWN_KEY, Registry, unknown_key, validation_problems
from pareto_prune.inputs.tasks import tasks
from pareto_prune.inputs.text_file import not_utf8
from pareto_prune.measure.energy import meters
from pareto_prune.measure.engines import engines
from pareto_prune.pruning.importance import importances
from pareto_prune.pruning.strategies import strategies
from pareto_prune.search.samplers import samplers
from pareto_prune.search.starters import starters
from pareto_prune.trials.named_references import named_references

DTYPES = ("float32", "bfloat16", "float16", "int8")
_BOUNDS: dict[str, tuple[int, int | None]] = {"max_length": (4, None), "threads": (1, 1024)}
"""Least and highest value of a knob; ``None``: ``data.max_length``."""


def read_study(path: Path) -> StudyConfig:
    """Return the configuration that the study file at ``path`` describes.

    Raises:
        StudyFileError: with every problem of the file.
    """
    return parse_study(_toml(path), str(path))


def parse_study(content: dict[str, Any], source: str = "study") -> StudyConfig:
    """Return the configuration of a study file's content.

    Args:
        content: tables and keys, as :func:`tomllib.load` gives them.
        source: what problems name as their place.

    Raises:
        StudyFileError: with every problem.
    """
    where = f"{source}: "
    try:
        config = StudyConfig.model_validate_json(json.dumps(content, default=str))
    except pydantic.ValidationError as error:
        shape = [_with_nearest(problem, where) for problem in validation_problems(error, where)]
        raise StudyFileError(*shape, *_name_problems(content, where)) from None
    problems = [
        *_name_problems(content, where),
        *_metric_problems(config, where),
        *_channel_problems(config, where),
        *_column_problems(config, where),
        *_deployment_problems(config, where),
        *_vocabulary_problems(config, where),
    ]
    if problems:
        raise StudyFileError(*problems)
    return config


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8-sig"))
    except FileNotFoundError:
        raise StudyFileError(Problem(str(path), "no such file")) from None
    except OSError as error:
        raise StudyFileError(Problem(str(path), f"cannot be read: {error.strerror}")) from None
    except UnicodeDecodeError as error:
        wrong = not_utf8(path) or str(error)
        raise StudyFileError(Problem(str(path), wrong, "allowed: text in UTF-8")) from None
    except tomllib.TOMLDecodeError as error:
        raise StudyFileError(Problem(str(path), f"not TOML: {error}")) from None


def _with_nearest(problem: Problem, where: str) -> Problem:
    if problem.wrong != UNKNOWN_KEY:
        return problem
    *tables, key = problem.where.removeprefix(where).split(".")
    return unknown_key(where + ".".join(tables), key, _keys(tables))


def _keys(tables: list[str]) -> list[str]:
    model: Any = StudyConfig
    for table in tables:
        model = model.model_fields[table].annotation
    return list(model.model_fields)


def _name_problems(content: dict[str, Any], where: str) -> list[Problem]:
    """Return the problems of names and options, for what of the content has the right shape."""
    search = _table(content, "search")
    sampler = dict(_table(content, "sampler"))
    measure = _table(content, "measure")
    return [
        *_unknown(strategies, search.get("strategies"), f"{where}search.strategies"),
        *_unknown(importances, search.get("importances"), f"{where}search.importances"),
        *_unknown(starters, search.get("starters"), f"{where}search.starters"),
        *_unknown(named_references, search.get("references"), f"{where}search.references"),
        *_unknown(tasks, [_table(content, "data").get("task")], f"{where}data.task"),
        *_unknown(engines, [measure.get("engine")], f"{where}measure.engine", ("auto",)),
        *_unknown(meters, [measure.get("meter")], f"{where}measure.meter", ("auto",)),
        *_options(samplers, sampler.pop("name", "nsga2"), sampler, f"{where}sampler", "name"),
        *_strategy_options(_table(content, "strategy"), f"{where}strategy"),
    ]


def _table(content: dict[str, Any], name: str) -> dict[str, Any]:
    table = content.get(name)
    return table if isinstance(table, dict) else {}


def _unknown(
    family: Registry[Any], names: Any, where: str, also: tuple[str, ...] = ()
) -> Iterable[Problem]:
    known = [*also, *family.names()]
    for name in names if isinstance(names, list) else []:
        if isinstance(name, str) and name not in known:
            yield unknown_name(family.family, name, known, where)


def _strategy_options(tables: dict[str, Any], where: str) -> Iterable[Problem]:
    for name, options in tables.items():
        given = options if isinstance(options, dict) else {}
        yield from _options(strategies, name, given, f"{where}.{name}", "")


def _options(
    family: Registry[Any], name: Any, options: dict[str, Any], where: str, key: str
) -> Iterable[Problem]:
    if not isinstance(name, str):
        return
    if name not in family.names():
        yield unknown_name(family.family, name, family.names(), f"{where}.{key}".rstrip("."))
        return
    yield from _problems(lambda: family.create(name, options, where))


def _problems(check: Callable[[], object]) -> tuple[Problem, ...]:
    try:
        check()
    except UserError as error:
        return error.problems
    return ()


def _metric_problems(config: StudyConfig, where: str) -> Iterable[Problem]:
    if config.data.task not in tasks.names():
        return
    allowed = [metric.name for metric in tasks.create(config.data.task).metrics]
    if config.metric not in allowed:
        wrong = f"{config.metric!r} is not a metric of task {config.data.task!r}"
        yield Problem(f"{where}objectives", wrong, f"allowed: {', '.join(allowed)}")


def _channel_problems(config: StudyConfig, where: str) -> Iterable[Problem]:
    task = config.data.task
    if task not in tasks.names() or not tasks.create(task).keeps_channels:
        return
    keeping = [name for name in strategies.names() if not strategies.create(name).cuts_channels]
    for name in sorted(set(config.search.strategies) & set(strategies.names()) - set(keeping)):
        wrong = f"{name!r} cuts hidden channels, which are what a model of task {task!r} gives"
        yield Problem(f"{where}search.strategies", wrong, f"allowed: {', '.join(keeping)}")


def _column_problems(config: StudyConfig, where: str) -> Iterable[Problem]:
    texts = config.data.text
    for label in set(config.data.labels) & set(texts):
        yield Problem(f"{where}data.text", f"{label!r} is the label column", "allowed: others")
    if len(set(texts)) < len(texts):
        wrong = f"{texts[0]!r} stands twice"
        yield Problem(f"{where}data.text", wrong, "allowed: one column, or two for sentence pairs")


def _deployment_problems(config: StudyConfig, where: str) -> Iterable[Problem]:
    knobs: dict[str, tuple[Any, ...]] = dict(config.search.deployment.items())
    here = f"{where}search.deployment"
    for dtype in knobs.get("dtype", ()):
        if dtype not in DTYPES:
            yield Problem(f"{here}.dtype", f"{dtype!r}", f"allowed: {', '.join(DTYPES)}")
    for name, (low, high) in _BOUNDS.items():
        top = config.data.max_length if high is None else high
        for value in knobs.get(name, ()):
            if not isinstance(value, int) or not low <= value <= top:
                yield Problem(f"{here}.{name}", f"{value!r}", f"allowed: {low} to {top}")
    if "max_length" in knobs and _splits_words(config.data.task):
        wrong = "words that are cut off would not be counted"
        yield Problem(f"{here}.max_length", wrong, f"allowed: leave it out for {config.data.task}")


def _vocabulary_problems(config: StudyConfig, where: str) -> Iterable[Problem]:
    kept = config.search.vocabulary
    if kept is None and config.data.corpus:
        wrong = "nothing reads it without search.vocabulary"
        yield Problem(f"{where}data.corpus", wrong, "allowed: leave it out")
    if isinstance(kept, Range) and _splits_words(config.data.task):
        wrong = "words in more pieces could be cut off, and would not be counted"
        allowed = f"allowed: {SEEN!r} for {config.data.task}, or leave it out"
        yield Problem(f"{where}search.vocabulary", wrong, allowed)


def _splits_words(task: str) -> bool:
    return task in tasks.names() and tasks.create(task).splits_words


def with_limits(config: StudyConfig, trials: int | None, time: str | None) -> StudyConfig:
    """Return the configuration with the command line's limits in place of the file's.

    Raises:
        StudyFileError: ``time`` is not a duration.
    """
    limits = config.limits.model_dump()
    limits |= {key: value for key, value in (("trials", trials), ("time", time)) if value}
    try:
        return config.model_copy(update={"limits": LimitsTable.model_validate(limits)})
    except pydantic.ValidationError as error:
        raise StudyFileError(*validation_problems(error, "limits")) from None
