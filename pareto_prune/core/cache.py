"""The cache on disk: where its files lie, and how they are written so that none is ever half there.

The root is ``PARETO_PRUNE_CACHE``, else ``$XDG_CACHE_HOME/pareto_prune``, else
``~/.cache/pareto_prune``. Everything in it can be deleted at any time; it is made again.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareto_prune.core import locks
from pareto_prune.core.errors import Problem, UserError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ADVICE = "allowed: a folder that can be written, in PARETO_PRUNE_CACHE"


def root() -> Path:
    """Return the root of the cache; not necessarily there yet.

    Raises:
        UserError: nothing says where, and this user has no home.
    """
    given = os.environ.get("PARETO_PRUNE_CACHE")
    if given:
        return Path(given)
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pareto_prune"
    except RuntimeError:  # the user is in no list of users, and HOME is not set
        raise UserError(Problem("the cache", "this user has no home", _ADVICE)) from None


def entry(kind: str, key: Any, suffix: str = "") -> Path:
    """Return the path of the entry of ``kind`` whose content is determined by ``key`` (JSON)."""
    return root() / kind / (digest(key)[:32] + suffix)


def digest(key: Any) -> str:
    """Return the SHA-256 of a JSON value, independent of the order of its keys."""
    return hashlib.sha256(json.dumps(key, sort_keys=True, default=str).encode()).hexdigest()


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a path beside ``path`` to write to; it takes the place of ``path`` on success.

    On an exception ``path`` is as it was and nothing else is left. Files and folders both work;
    a folder replaces nothing but an absent or empty one.
    """
    _make(path.parent)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        beside = Path(folder) / path.name
        yield beside
        beside.replace(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock named after ``path``, so that one process of a host does the work.

    The lock is an ``flock``: it dies with its process. Whoever waits for long says for whom.
    """
    with _opened_lock(path) as (descriptor, lock):
        locks.take(descriptor, locks.EXCLUSIVE, lock)
        yield


@contextmanager
def made_once(path: Path) -> Iterator[None]:
    """Hold the same lock while an entry is made, unless who has it is stopped.

    Where that goes on later, the entry is made twice: alike, and each time at once.
    """
    with _opened_lock(path) as (descriptor, lock):
        locks.take_unless_stopped(descriptor, locks.EXCLUSIVE, lock)
        yield


@contextmanager
def _opened_lock(path: Path) -> Iterator[tuple[int, Path]]:
    lock = path.with_name(path.name + ".lock")
    _make(lock.parent)
    with lock.open("a") as handle:
        yield handle.fileno(), lock


def _make(folder: Path) -> None:
    """Make a folder; say how the cache goes elsewhere where it cannot be made in it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if not folder.is_relative_to(root()):
            raise
        wrong = f"cannot be made: {error.strerror}"
        raise UserError(Problem(str(folder), wrong, _ADVICE)) from None


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays by name to ``path`` (suffix ``.npz``), whole or not at all."""
    import numpy as np

    with replacing(path) as beside:
        np.savez(beside, **arrays)  # type: ignore[arg-type]


def load_arrays(path: Path) -> dict[str, NDArray[Any]] | None:
    """Return what :func:`save_arrays` wrote; ``None`` where it is not there or damaged.

    Every array has a checksum, so a changed bit is damage too.
    """
    import numpy as np

    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception:  # a damaged archive fails in many ways; all mean: make it again
        return None
