"""The digest of a model's folder, by which damage is noticed."""

from __future__ import annotations

import hashlib
from pathlib import Path

from pareto_prune.core.hashing import file_sha256


def folder_digest(folder: Path) -> str:
    """Return the SHA-256 of a folder: of the names and the SHA-256 of its files, in order."""
    whole = hashlib.sha256()
    for path in files_of(folder):
        whole.update(f"{path}\0{file_sha256(folder / path)}\n".encode())
    return whole.hexdigest()


def files_of(folder: Path) -> list[str]:
    """Return the names of all files below a folder, in order."""
    found = (path for path in folder.rglob("*") if path.is_file())
    return sorted(path.relative_to(folder).as_posix() for path in found)
