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

if TYPE_CHECKING:
    from numpy.typing import NDArray


def root() -> Path:
    """Return the root of the cache; not necessarily there yet."""
    given = os.environ.get("PARETO_PRUNE_CACHE")
    if given:
        return Path(given)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pareto_prune"


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
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
        beside = Path(folder) / path.name
        yield beside
        beside.replace(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold an exclusive lock named after ``path``, so that one process of a host does the work.

    The lock is an ``flock``: it dies with its process. Whoever waits for long says for whom.
    """
    lock = path.with_name(path.name + ".lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    with lock.open("a") as handle:
        locks.take(handle.fileno(), locks.EXCLUSIVE, lock)
        yield


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
