"""Whose a root is, as it says itself: no study replaces or sweeps the models of another.

Two studies may have one name and one output folder, in two databases or one after the other.
"""

from __future__ import annotations

import json
from typing import Any

from pareto_prune.core.cache import digest
from pareto_prune.export.kept_models.places import filesystem

MARK = "study.json"


def claimed(root: str, name: str, created: float) -> str:
    """Return where a study keeps its models: at a root that is its own from now on, or below it.

    A root without a mark is anybody's. One that another study has claimed stays as it is; then the
    place is a folder in it that no other study has.

    Args:
        root: absolute path or URL.
        name: of the study.
        created: when it was, in seconds since the epoch, in its database's time.
    """
    own = {"study": name, "created": created}
    fs, path = filesystem(root)
    if not fs.exists(f"{path}/{MARK}"):
        fs.makedirs(path, exist_ok=True)
        fs.pipe_file(f"{path}/{MARK}", json.dumps(own).encode())
    return root if _owner(fs, path) == own else f"{root}/{digest(own)[:8]}"


def _owner(fs: Any, path: str) -> Any:
    """Return what the mark says; nothing where it is another's that is being written."""
    try:
        return json.loads(fs.cat_file(f"{path}/{MARK}"))
    except ValueError:
        return None
