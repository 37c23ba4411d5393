"""Whether what a study file names is there: files and folders, their columns, labels and texts.

What lies on this host is read as a run would read it; what lies on the hub is left to the run.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import Problem, StudyFileError
from pareto_prune.inputs import data as data_sets
from pareto_prune.inputs import demo
from pareto_prune.inputs.checkpoint import Checkpoint, looks_local
from pareto_prune.inputs.notes import notes_on
from pareto_prune.inputs.sources import SUFFIXES
from pareto_prune.trials.calibration_samples import check_samples
from pareto_prune.trials.cut_vocabulary import check_vocabulary


def check_inputs(config: StudyConfig) -> list[str]:
    """Read what a study names and lies on this host; return what to know of it, in lines.

    The tokenised texts stay in the cache for the run.

    Raises:
        UserError: a model, file or column is not there, or the data does not serve; the problems
            of model and data at once.
    """
    model, data = _is_here(config.model.path), _is_here(config.data.path)
    if model and data:
        _both_there(config)
        check_vocabulary(config)
        read = data_sets.load(config)
        check_samples(config, len(read.train))
        return list(notes_on(read, config.data.max_length))
    if data:
        data_sets.read_rows(config, data_sets.find_sources(config.data))
    away = [path for path, here in _named(config, model, data) if not here]
    return [f"not looked at, since it is on the hub: {path}" for path in away]


def _both_there(config: StudyConfig) -> None:
    problems: list[Problem] = []
    for look in (
        lambda: Checkpoint.find(config.model.path, config.model.revision).check_weights(),
        lambda: data_sets.read_rows(config, data_sets.find_sources(config.data)),
    ):
        try:
            look()
        except StudyFileError as error:
            problems += error.problems
    if problems:
        raise StudyFileError(*problems)


def _named(config: StudyConfig, model: bool, data: bool) -> Iterable[tuple[str, bool]]:
    yield config.model.path, model
    yield config.data.path, data


def _is_here(path: str) -> bool:
    """Return whether a path names something of this host, be it there or not."""
    known = Path(path).expanduser()
    there = known.exists() or known.suffix.lower() in SUFFIXES
    return there or looks_local(path) or demo.is_demo(path)
