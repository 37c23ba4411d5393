"""Caches as a model finds them that has not been asked for a while: full of other data.

Before a cold call a buffer of twice the last level cache is read and written, outside of the
clock. One thread does it: of an engine with several threads the small caches of other cores stay
as they were.
"""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np

from pareto_prune.measure.windows import Call

_CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
OTHERWISE = 32 * 2**20
"""Bytes of the last level where the machine does not tell: what the cores of an EPYC share."""
_TIMES = 2
_UNITS = {"": 1, "K": 2**10, "M": 2**20, "G": 2**30}


def emptier(device: str) -> Call | None:
    """Return a call that fills the caches with other data; ``None`` on a GPU."""
    if device != "cpu":
        return None
    buffer = np.ones(_TIMES * buffered(device) // 4, np.float32)
    return lambda: np.add(buffer, 1, out=buffer)


def buffered(device: str) -> int:
    """Return the bytes of the last level cache that is emptied; 0 where none is."""
    return (last_level() or OTHERWISE) if device == "cpu" else 0


def last_level() -> int | None:
    """Return the bytes of the last level cache of the first core; ``None``: it does not tell."""
    levels = [found for folder in _CACHES.glob("index*") if (found := _level(folder))]
    return max(levels)[1] if levels else None


def _level(folder: Path) -> tuple[int, int] | None:
    """Return the level and the bytes of one cache, where both can be read."""
    try:
        level, size = ((folder / name).read_text().strip() for name in ("level", "size"))
    except OSError:
        return None
    match = re.fullmatch(r"(\d+)([KMG]?)", size)
    return (int(level), int(match[1]) * _UNITS[match[2]]) if match and level.isdigit() else None
