"""Joules estimated from CPU time, for machines without a counter."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pydantic

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.records import Grade
from pareto_prune.measure.clock import Clock
from pareto_prune.measure.energy import CounterError, meters
from pareto_prune.measure.energy.watts import OTHERWISE, Cpu, watts_of
from pareto_prune.measure.environment import cpu_name

Watts = Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)]

MEMORY_WATTS = 0.392
"""Watts a GB of memory: Cloud Carbon Footprint, methodology, section "Memory"."""
_ADVICE = "allowed: measure.watts_per_core, or a calibration_file from a twin with a meter"
_CPUINFO = Path("/proc/cpuinfo")
_STATM = Path("/proc/self/statm")
_GIB = 2**30


@meters.register("estimate")
@dataclass(frozen=True)
class Estimate:
    """CPU seconds × watts per core: no counter needed, right within a factor of 2 (×/÷ 2).

    Attributes:
        watts_per_core: your own; with it nothing is added for memory.
        calibration_file: JSON with ``watts_per_core`` and, if it is not in that,
            ``memory_watts_per_gib``, from a twin machine with a meter.
    """

    rank: ClassVar[int] = 3
    watts_per_core: Watts | None = None
    calibration_file: str | None = None

    @staticmethod
    def why_not() -> str | None:
        """CPU time is always there."""
        return None

    def open(self, device: str, clock: Clock) -> CpuTimeCounter:
        """Return a counter of this process."""
        if device != "cpu":
            raise CounterError(f"it knows CPU time only, and the engine runs on {device}")
        if self.watts_per_core is not None:
            return CpuTimeCounter(clock, self.watts_per_core, 0.0, "yours")
        if self.calibration_file is not None:
            return self._calibrated(clock, Path(self.calibration_file))
        watts, matched = table_watts(_cpuinfo())
        return CpuTimeCounter(clock, watts, MEMORY_WATTS, matched)

    def _calibrated(self, clock: Clock, path: Path) -> CpuTimeCounter:
        twin = _read_calibration(path)
        return CpuTimeCounter(clock, twin.watts_per_core, twin.memory_watts_per_gib, str(path))


class Calibration(pydantic.BaseModel):
    """What a calibration file says; other keys are for people."""

    model_config = pydantic.ConfigDict(frozen=True, extra="ignore")

    watts_per_core: Watts
    memory_watts_per_gib: Annotated[float, pydantic.Field(ge=0, allow_inf_nan=False)] = 0.0


@dataclass
class CpuTimeCounter:
    """Joules of this process: its CPU seconds, each with the memory that it holds.

    Memory is billed for the time that the process runs, not for the time that it waits for a
    neighbour; both models of a pair hold the same memory.
    """

    clock: Clock
    watts: float
    memory_watts: float
    origin: str
    source: str = "cpu_time"
    scope: str = "process"
    grade: Grade = "estimated"
    limit: float | None = None
    flags: tuple[str, ...] = ()
    memory: float = field(default_factory=lambda: _resident_gib())

    def read(self) -> float:
        """Return the joules since the process began."""
        return self.clock.cpu() * (self.watts + self.memory_watts * self.memory)

    def joules(self, start: float, end: float) -> float:
        """Return the joules between two readings."""
        if end < start:
            raise CounterError("CPU time went backwards")
        return end - start

    def power(self) -> float | None:
        """There is no sensor."""
        return None

    def foreign(self) -> bool | None:
        """Other processes are not counted."""
        return False

    def details(self) -> dict[str, str]:
        """Return the watts in use and where they come from."""
        watts = f"{self.watts:g} W/core"
        if self.memory_watts:
            watts += f" + {self.memory_watts:g} W/GiB × {self.memory:.2f} GiB"
        return {"watts": watts, "watts_from": self.origin}

    def close(self) -> None:
        """Nothing is held."""


def table_watts(cpuinfo: str) -> tuple[float, str]:
    """Return watts of a thread by the text of ``/proc/cpuinfo``, and where they come from."""
    cpu = Cpu.of(cpuinfo)
    row = watts_of(cpu)
    if row is None:
        return OTHERWISE, f"no table entry for {cpu}, {_ADVICE}"
    return row.watts, row.source


def _cpuinfo() -> str:
    try:
        return _CPUINFO.read_text()
    except OSError:
        return f"model name : {cpu_name()}\n"


def _resident_gib() -> float:
    try:
        pages = int(_STATM.read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0.0
    return pages * os.sysconf("SC_PAGE_SIZE") / _GIB


def _read_calibration(path: Path) -> Calibration:
    where = "measure.calibration_file"
    try:
        content: Any = json.loads(path.read_text())
    except OSError as error:
        raise UserError(Problem(where, f"cannot read {path}: {error.strerror}")) from error
    except ValueError as error:
        raise UserError(Problem(where, f"{path} is not JSON: {error}")) from error
    try:
        return Calibration.model_validate(content)
    except pydantic.ValidationError as error:
        raise UserError(
            Problem(where, f"{path} has no usable watts_per_core", "allowed: a number above 0")
        ) from error
