"""What went wrong, in the words of a terminal: lines, and the exit code."""

from __future__ import annotations

import errno
import os
import re

from pareto_prune.core.errors import ParetoPruneError, UserError

_PLACES = "--output, --to, --artifacts, PARETO_PRUNE_CACHE, PARETO_PRUNE_LOCKS"
_FULL = f"allowed: free space, or another place ({_PLACES})"
_CLOSED = f"allowed: another place, or the right to write there ({_PLACES})"
_OF_THE_USER = {
    **dict.fromkeys((errno.ENOSPC, errno.EDQUOT, errno.EFBIG), _FULL),
    **dict.fromkeys((errno.EACCES, errno.EPERM, errno.EROFS), _CLOSED),
    **dict.fromkeys((errno.EEXIST, errno.ENOTDIR, errno.EISDIR, errno.ENAMETOOLONG), _CLOSED),
    **dict.fromkeys((errno.EBUSY, errno.EXDEV, errno.ELOOP), _CLOSED),
}
"""Errors of the file system that the user can do something about, and what."""
_OF_RUST = re.compile(r"\(os error (\d+)\)")


def told(error: Exception) -> tuple[list[str], int]:
    """Return the lines that say what went wrong, and the exit code."""
    if isinstance(error, UserError):
        return [str(problem) for problem in error.problems], error.exit_code
    if isinstance(error, ParetoPruneError):
        return [str(error)], error.exit_code
    number = _number(error)
    if number in _OF_THE_USER:
        where = getattr(error, "filename", None)
        said = f"{where}: {os.strerror(number)}" if where else os.strerror(number)
        return [f"{said}, {_OF_THE_USER[number]}"], UserError.exit_code
    return [f"{type(error).__name__}: {error} (not expected; --debug shows where)"], 1


def _number(error: Exception) -> int:
    """Return the error number of the system, which libraries in Rust have in their text alone."""
    if isinstance(error, OSError):
        return error.errno or 0
    found = _OF_RUST.search(str(error))
    return int(found[1]) if found else 0
