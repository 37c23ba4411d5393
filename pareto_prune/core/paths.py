"""Paths that a study file names, as they are recorded."""

from __future__ import annotations

from pathlib import Path

from pareto_prune.core.config import StudyConfig


def with_absolute_paths(config: StudyConfig) -> StudyConfig:
    """Return a configuration that names the same files and folders from any working folder.

    What is there under a relative path of the model or the data is meant by it now; a hub id, a
    demo or what is not there stays as it is.
    """
    data = {
        "path": _absolute(config.data.path),
        "corpus": tuple(map(_absolute, config.data.corpus)),
    }
    changed = {
        "model": config.model.model_copy(update={"path": _absolute(config.model.path)}),
        "data": config.data.model_copy(update=data),
    }
    return config.model_copy(update=changed)


def public_name(path: str) -> str:
    """Return what others may read of a path: the name of a file or folder, a hub id as it is."""
    return Path(path).expanduser().name if is_of_this_machine(path) else path


def is_of_this_machine(path: str) -> bool:
    """Whether a path leads to a file or folder, rather than being a hub id or a demo."""
    given = Path(path).expanduser()
    return given.is_absolute() or path.startswith(".") or path.count("/") > 1 or given.exists()


def _absolute(path: str) -> str:
    given = Path(path).expanduser()
    return str(given.resolve()) if given.exists() else path
