"""A study that is put into a storage for whichever workers serve it, and what its file may name.

Who submits over a network says which files a worker opens and what it loads from a hub: so a
service takes what it was told to take alone.
"""

from __future__ import annotations

import hashlib
import json
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Self

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.defaults import DEFAULT_OUTPUT
from pareto_prune.core.errors import MismatchError, Problem, StudyFileError
from pareto_prune.core.paths import is_of_this_machine
from pareto_prune.running.output_folder import keep_models_at, models_root, writable
from pareto_prune.running.study_file import parse_study
from pareto_prune.storage import Storage, StoredStudy

SUBMITTED = "submitted"
"""Kind of the event that says under which key a study was submitted."""


@dataclass(frozen=True)
class Sources:
    """What submitted study files may name: hub ids and demos as they are, folders with all in them.

    Attributes:
        models: of ``model.path``.
        data: of ``data.path``, ``data.corpus`` and ``measure.calibration_file``.
    """

    models: Sequence[str] = ()
    data: Sequence[str] = ()

    @classmethod
    def of(cls, models: Sequence[str], data: Sequence[str]) -> Self:
        """Return what is meant from this working folder: paths are made absolute."""
        return cls(tuple(map(_absolute, models)), tuple(map(_absolute, data)))

    def problems(self, config: StudyConfig, where: str) -> Iterator[Problem]:
        """Yield what a study file names and may not."""
        calibrated = config.measure.calibration_file
        named = [
            ("model.path", config.model.path, self.models),
            ("data.path", config.data.path, self.data),
            *(("data.corpus", path, self.data) for path in config.data.corpus),
            *(("measure.calibration_file", path, self.data) for path in (calibrated,) if path),
        ]
        for key, path, known in named:
            if not _is_among(path, known):
                allowed = f"allowed: {', '.join(known) or 'nothing'}"
                yield Problem(f"{where}{key}", f"{path!r} is not taken by this service", allowed)
        for name in config.data.splits.values():
            if isinstance(name, str) and not _stays_within(name):
                allowed = "allowed: names within the data's folder"
                yield Problem(f"{where}data.splits", f"{name!r}", allowed)


@dataclass(frozen=True)
class Intake:
    """How a service takes studies.

    Attributes:
        sources: what their files may name; a service that takes none has none.
        output: folder for their models, in a folder of each study's name.
        artifacts: folder or URL for models instead.
    """

    sources: Sources = Sources()
    output: Path = DEFAULT_OUTPUT
    artifacts: str | None = None

    def root(self, name: str) -> str:
        """Return where the models of a study go.

        Raises:
            UserError: nothing can be written there.
        """
        if self.artifacts is not None:
            return models_root(self.artifacts, Path(), name)
        return str(writable(self.output.expanduser().resolve() / name))


TAKES_NONE = Intake()
"""Of a service that was not told what it may take."""


def _absolute(source: str) -> str:
    here = is_of_this_machine(source)
    return str(Path(source).expanduser().resolve()) if here else source


def _is_among(path: str, known: Sequence[str]) -> bool:
    """Return whether a path is one of those, or lies in one; links are followed first."""
    if path in known:
        return True
    given = Path(path)
    roots = (Path(one).resolve() for one in known if Path(one).is_absolute())
    return given.is_absolute() and any(given.resolve().is_relative_to(root) for root in roots)


def _stays_within(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and "\\" not in name


def read_submission(body: bytes, is_json: bool, sources: Sources) -> StudyConfig:
    """Return the study that was sent.

    Args:
        body: TOML or JSON.
        is_json: which of the two.
        sources: what it may name.

    Raises:
        StudyFileError: with every problem.
    """
    config = parse_study(_content(body, is_json))
    problems = list(sources.problems(config, "study: "))
    if problems:
        raise StudyFileError(*problems)
    return config


def _content(body: bytes, is_json: bool) -> dict[str, object]:
    try:
        text = body.decode("utf-8-sig")
        content = json.loads(text) if is_json else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        kind = "JSON" if is_json else "TOML"
        said = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise StudyFileError(Problem("study", f"not {kind}: {said}")) from None
    if not isinstance(content, dict):
        raise StudyFileError(Problem("study", "not a table", "allowed: tables and keys"))
    return content


def put_in(storage: Storage, config: StudyConfig, root: str, key: str | None = None) -> StoredStudy:
    """Put a study into a storage: with the place of its models it is in the queue.

    Args:
        storage: that it is put into.
        config: its file.
        root: where its models are to be kept.
        key: of who submits, for whom a study of this name is the same once more; ``None`` for
            whoever goes on with it by its file alone.

    Raises:
        MismatchError: there is a study of this name that is not the same, or not theirs.
    """
    there = key is not None and config.name in {study.name for study in storage.studies()}
    if there and not _was_submitted(storage.open_study(config.name), key or ""):
        wrong = f"there is a study {config.name!r} already"
        raise MismatchError(Problem("name", wrong, "allowed: another name"))
    stored = storage.create(config)
    if key is not None and not there:
        stored.event(SUBMITTED, _mark(key))
    keep_models_at(stored, root)
    return stored


def _was_submitted(study: StoredStudy, key: str) -> bool:
    said = {event.text for event in study.events() if event.kind == SUBMITTED}
    return _mark(key) in said or not (said or study.artifacts)


def _mark(key: str) -> str:
    """Return how a key is recorded: as its digest, since it may be a secret of its sender."""
    return f"under the key {hashlib.sha256(key.encode()).hexdigest()[:16]}"
