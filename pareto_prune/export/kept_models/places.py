"""Places of models: paths of this host, or URLs that fsspec serves."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Any

from pareto_prune.core.errors import Problem, UserError


def local_path(place: str) -> Path | None:
    """Return the path of a place, ``None`` where it is on no disk of this host."""
    if "://" not in place:
        return Path(place)
    scheme, _, path = place.partition("://")
    return Path(path) if scheme in ("file", "local") else None


def check_root(root: str) -> str:
    """Return a root as it is recorded: an absolute path, or a URL whose file system is there.

    Raises:
        UserError: no file system serves it, or it holds a user's name or password.
    """
    local = local_path(root)
    if local is not None:
        return str(local.expanduser().resolve())
    _check_no_credentials(root)
    try:
        filesystem(root)
    except (ImportError, ValueError) as error:
        said = str(error).splitlines()[0]
        advice = "allowed: a folder, or a URL that fsspec knows"
        raise UserError(Problem("--artifacts", f"{root}: {said}", advice)) from None
    return root.rstrip("/")


def _check_no_credentials(root: str) -> None:
    """Refuse what would be recorded with the study, and shown."""
    scheme, _, rest = root.partition("://")
    if "@" in rest.partition("/")[0]:
        wrong = f"{scheme}://…: holds a user's name or password, which the study would record"
        advice = "allowed: credentials from the environment, as the file system takes them"
        raise UserError(Problem("--artifacts", wrong, advice))


def filesystem(url: str) -> tuple[Any, str]:
    """Return the file system that serves a URL, and the path on it."""
    from fsspec.core import url_to_fs

    fs, path = url_to_fs(url)
    return fs, str(path).rstrip("/")


def put_file(fs: Any, source: Path, to: str) -> None:
    """Copy a file of this host to a path of a file system."""
    fs.makedirs(str(PurePosixPath(to).parent), exist_ok=True)
    fs.put_file(str(source), to)


def get_folder(place: str, folder: Path) -> None:
    """Copy what is kept at a URL into a new folder; nothing where there is nothing.

    Raises:
        UserError: a name there leads out of the folder, as those of object stores may.
    """
    fs, path = filesystem(place)
    for found in fs.find(path):
        name = PurePosixPath(str(found)).relative_to(PurePosixPath(path))
        if name.is_absolute() or ".." in name.parts:
            raise UserError(Problem(place, f"holds {str(name)!r}, which leads out of the folder"))
        to = folder / name
        to.parent.mkdir(parents=True, exist_ok=True)
        fs.get_file(found, str(to))
