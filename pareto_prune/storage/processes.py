"""Which process a worker is, so that another one on its host can see that it is gone."""

from __future__ import annotations

import functools
import os
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def identity() -> dict[str, Any]:
    """Return what tells this process from every other, later ones with its id included."""
    return {"place": _place(), "pid": os.getpid(), "started": _started(os.getpid())}


def gone(process: Mapping[str, Any]) -> bool:
    """Return whether a process is known to have ended: only ever true of one of this host."""
    if process.get("place") is None or process["place"] != _place():
        return False
    pid = int(process["pid"])
    started = _started(pid)
    return not _exists(pid) if started is None else started != process.get("started")


def _exists(pid: int) -> bool:
    """Return whether there is a process, which may be one that this user must not look at."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


@functools.cache
def _place() -> str | None:
    """Return a name of the host, its boot and the process namespace; ``None`` off Linux."""
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        return f"{socket.gethostname()}/{boot}/{Path('/proc/self/ns/pid').readlink()}"
    except OSError:
        return None


def _started(pid: int) -> str | None:
    """Return when a process started, in clock ticks since boot; empty for one that has ended.

    ``None`` where that is not to be seen: it is gone, or hidden (``hidepid``), or not on Linux.
    """
    if not sys.platform.startswith("linux"):
        return None
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return "" if fields[0] in "ZX" else fields[19]
