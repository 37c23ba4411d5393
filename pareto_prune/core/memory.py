"""Memory of this process and of its machine."""

from __future__ import annotations

import ctypes
import re
from contextlib import suppress
from pathlib import Path

LEAST_FREE = 0.25
"""Share of the memory below which nothing more is kept for later."""
_MEMINFO = Path("/proc/meminfo")
_GROUP = Path("/sys/fs/cgroup")


def give_back() -> None:
    """Return freed memory to the system, where the C library can (glibc); else do nothing.

    After a stage that held much more than the next one will: glibc keeps what lies between blocks
    that are still in use, up to gigabytes beside models of BERT's size.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)


def is_short() -> bool:
    """Return whether little memory is left, of the machine or of this process's control group.

    Where the system does not say (other than Linux) it never is.
    """
    return min(_free_of_machine(), _free_of_group()) < LEAST_FREE


def _free_of_machine() -> float:
    """Return the share of the machine's memory that can be had."""
    try:
        text = _MEMINFO.read_text()
    except OSError:
        return 1.0
    found = {key: int(value) for key, value in re.findall(r"(?m)^(\w+): +(\d+) kB", text)}
    return found.get("MemAvailable", 1) / max(1, found.get("MemTotal", 1))


def _free_of_group() -> float:
    """Return the share of the limit of a container (cgroup v2) that is not used yet."""
    try:
        limit, used = (int((_GROUP / f"memory.{name}").read_text()) for name in ("max", "current"))
    except (OSError, ValueError):
        return 1.0
    return 1.0 - used / limit
