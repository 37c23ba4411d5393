"""The folders of a study's dense models: their names, and what each one says that it holds.

They lie beside the models of its trials. Loads no torch.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pareto_prune.core.hashing import file_sha256

DENSE_FOLDER = "dense"
"""The dense model's; those of folds begin with it."""
WEIGHTS = "model.safetensors"
RECORD = "dense.json"


def fold_folder(index: int) -> str:
    """Return the name of the folder of the dense model of a fold."""
    return f"{DENSE_FOLDER}-fold-{index}"


def record_of(folder: Path) -> dict[str, Any]:
    """Return what was recorded of the dense model in a folder; empty where nothing was."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def is_whole(folder: Path, wanted: str | None = None) -> bool:
    """Return whether a folder holds a dense model with the weights of its record.

    Args:
        folder: the folder.
        wanted: digest of what it is made from, if it must be that.
    """
    record = record_of(folder)
    if not record or wanted not in (None, record.get("made_from")):
        return False
    weights = folder / WEIGHTS
    return weights.is_file() and file_sha256(weights) == record.get("digest")
