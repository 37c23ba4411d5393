"""Lock files: opened so that no other user can turn them on us, and never waited for in silence.

A lock is an ``flock``: it dies with its process. Its file is often in a folder that all users may
write to, so whatever stands there may be a trap.
"""

from __future__ import annotations

import fcntl
import logging
import os
import pwd
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pareto_prune.core.errors import Problem, UserError

SHARED = fcntl.LOCK_SH
EXCLUSIVE = fcntl.LOCK_EX
FIRST_WORD_SECONDS = 300.0
"""How long somebody waits before it says for whom; then again each time that has doubled."""

_LOOK_SECONDS = 0.2
_PROC = Path("/proc")
_FOLDER_MODE, _FILE_MODE = 0o1777, 0o644
_AS_IT_IS = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY
_LOG = logging.getLogger(__name__)


def open_shared(path: Path, advice: str) -> int:
    """Open a lock file for all users, which is made where there is none, and its folder too.

    Links are not followed, and nothing is changed but what this user made.

    Args:
        path: of the file.
        advice: what the user may do where it does not serve.

    Returns:
        A descriptor.

    Raises:
        UserError: the folder is another user's or others may replace what is in it, or the file
            is a link or no file.
    """
    try:
        folder = _open_folder(path.parent, advice)
        try:
            return _open_file(path, folder, advice)
        finally:
            os.close(folder)
    except OSError as error:
        raise UserError(Problem(str(path), f"cannot be locked: {error.strerror}", advice)) from None


def take(descriptor: int, how: int, path: Path) -> None:
    """Wait for a lock; say now and then who has it.

    Args:
        descriptor: of the file.
        how: ``SHARED`` or ``EXCLUSIVE``.
        path: of the file, as it is named.
    """
    if not try_to_take(descriptor, how):
        with _aloud(descriptor, path):
            fcntl.flock(descriptor, how)


def take_unless_stopped(descriptor: int, how: int, path: Path) -> bool:
    """Wait for a lock, but not for a process that is stopped; return whether it was taken.

    Args:
        descriptor: of the file.
        how: ``SHARED`` or ``EXCLUSIVE``.
        path: of the file, as it is named.
    """
    if try_to_take(descriptor, how):
        return True
    with _aloud(descriptor, path):
        while not _is_stopped(_holder(descriptor)):
            time.sleep(_LOOK_SECONDS)
            if try_to_take(descriptor, how):
                return True
    return False


def try_to_take(descriptor: int, how: int) -> bool:
    """Return whether a lock was to be had without waiting, and take it."""
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def give(descriptor: int) -> None:
    """Give a lock back, or do nothing where it is not held."""
    fcntl.flock(descriptor, fcntl.LOCK_UN)


def _open_folder(path: Path, advice: str) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    made = _made(path)
    folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        if made and os.fstat(folder).st_uid == os.geteuid():
            os.fchmod(folder, _FOLDER_MODE)
        wrong = _wrong_folder(os.fstat(folder))
        if wrong is not None:
            raise UserError(Problem(str(path), wrong, advice))
    except BaseException:
        os.close(folder)
        raise
    return folder


def _made(folder: Path) -> bool:
    try:
        folder.mkdir(mode=0o700)
    except FileExistsError:
        return False
    return True


def _wrong_folder(found: os.stat_result) -> str | None:
    if found.st_uid not in (0, os.geteuid()):
        return f"is a folder of {_user(found.st_uid)}, who could take the locks away"
    if found.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not found.st_mode & stat.S_ISVTX:
        return "is a folder in which others could take the locks away (no sticky bit)"
    return None


def _open_file(path: Path, folder: int, advice: str) -> int:
    """Open a file in a folder; one that another user made serves as well."""
    try:
        made = os.O_RDWR | os.O_CREAT | _AS_IT_IS
        descriptor = os.open(path.name, made, _FILE_MODE, dir_fd=folder)
    except PermissionError:
        descriptor = os.open(path.name, os.O_RDONLY | _AS_IT_IS, dir_fd=folder)
    found = os.fstat(descriptor)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink != 1:
        os.close(descriptor)
        raise UserError(Problem(str(path), "is not a file with this name alone", advice))
    if found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) != _FILE_MODE:
        os.fchmod(descriptor, _FILE_MODE)
    return descriptor


@contextmanager
def _aloud(descriptor: int, path: Path) -> Iterator[None]:
    over = threading.Event()
    arguments = (over, descriptor, path)
    teller = threading.Thread(target=_tell, args=arguments, name="waiting", daemon=True)
    teller.start()
    try:
        yield
    finally:
        over.set()
        teller.join()


def _tell(over: threading.Event, descriptor: int, path: Path) -> None:
    waited, pause = 0.0, FIRST_WORD_SECONDS
    while not over.wait(pause):
        waited += pause
        _LOG.warning("%.0f s waited for %s, which has %s", waited, _who(descriptor), path)
        pause = waited


def _who(descriptor: int) -> str:
    """Return who holds a lock, as far as this system tells."""
    pid = _holder(descriptor)
    if pid is None:
        return "another process"
    return f"{_process(pid)} (stopped)" if _is_stopped(pid) else _process(pid)


def _holder(descriptor: int) -> str | None:
    """Return the id of the process that holds a lock, where this system tells."""
    found = os.fstat(descriptor)
    device = f"{os.major(found.st_dev):02x}:{os.minor(found.st_dev):02x}"
    places = ((fields[5], fields[4]) for fields in _flocks())
    return next((pid for place, pid in places if place == f"{device}:{found.st_ino}"), None)


def _is_stopped(pid: str | None) -> bool:
    """Return whether a process was stopped by a signal, and waits for one that lets it go on."""
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] == "T"
    except OSError:
        return False


def _flocks() -> list[list[str]]:
    try:
        lines = (_PROC / "locks").read_text().splitlines()
    except OSError:
        return []
    fields = (line.split() for line in lines)
    return [one for one in fields if one[1:2] == ["FLOCK"] and len(one) > 5]


def _process(pid: str) -> str:
    try:
        return f"process {pid} of {_user((_PROC / pid).stat().st_uid)}"
    except OSError:
        return f"process {pid}"


def _user(uid: int) -> str:
    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"
