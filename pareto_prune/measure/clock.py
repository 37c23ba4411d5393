"""Clocks: wall, processor, and what else the machine is doing. Replaced by a script in tests."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Protocol

_STAT = Path("/proc/stat")


class Clock(Protocol):
    """What time it is."""

    def now(self) -> float:
        """Return seconds on a monotonic clock."""

    def cpu(self) -> float:
        """Return the CPU seconds of this process, all threads."""

    def busy(self) -> float | None:
        """Return the CPU seconds of the whole machine, stolen ones included; None if unknown."""

    def sleep(self, seconds: float) -> None:
        """Wait."""

    @property
    def cores(self) -> int:
        """Cores of the machine."""


class SystemClock:
    """The clocks of this machine."""

    def __init__(self) -> None:
        self.cores = os.cpu_count() or 1
        self._ticks = os.sysconf("SC_CLK_TCK") if hasattr(os, "sysconf") else 100

    def now(self) -> float:
        """Return seconds on a monotonic clock."""
        return time.perf_counter()

    def cpu(self) -> float:
        """Return the CPU seconds of this process, all threads."""
        return time.process_time()

    def busy(self) -> float | None:
        """Return user, nice, system, interrupt and stolen time of all cores from ``/proc/stat``."""
        try:
            fields = _STAT.read_text().split("\n", 1)[0].split()
            values = [int(field) for field in fields[1:9]]
        except (OSError, ValueError):
            return None
        user, nice, system, _idle, _waiting, *interrupts_and_steal = values
        return (user + nice + system + sum(interrupts_and_steal)) / self._ticks

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)
