"""Files that Git LFS did not fetch: a few lines of text stand in their place."""

from __future__ import annotations

from pathlib import Path

from pareto_prune.inputs.table import refused

_BEGIN = b"version https://git-lfs.github.com/spec/"


def check_fetched(file: Path, key: str) -> None:
    """Refuse a pointer to a file.

    Args:
        file: that is there.
        key: the key of the study file that named it, or its folder.

    Raises:
        StudyFileError: it is one.
    """
    with file.open("rb") as content:
        if content.read(len(_BEGIN)) == _BEGIN:
            wrong = f"{file} is a pointer of Git LFS, not the file itself"
            raise refused(key, wrong, "the file, which `git lfs pull` fetches")
