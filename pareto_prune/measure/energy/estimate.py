"""Joules estimated from CPU time, for machines without a counter."""

from __future__ import annotations

import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pydantic

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.records import Grade
from pareto_prune.measure.clock import Clock
from pareto_prune.measure.energy import CounterError, meters

Watts = Annotated[float, pydantic.Field(gt=0, allow_inf_nan=False)]

MEMORY_WATTS = 0.392
"""Watts a GB of memory: Cloud Carbon Footprint, methodology, section "Memory"."""
OTHERWISE = 3.5
_CPUINFO = Path("/proc/cpuinfo")
_STATM = Path("/proc/self/statm")
_GIB = 2**30

_TABLE: tuple[tuple[str, int, range, range, float], ...] = (
    ("AuthenticAMD", 23, range(0x00, 0x30), range(99), 2.55),
    ("AuthenticAMD", 23, range(0x30, 0x40), range(99), 1.69),
    ("AuthenticAMD", 25, range(0x00, 0x10), range(99), 2.02),
    ("GenuineIntel", 6, range(0x55, 0x56), range(5), 4.26),
    ("GenuineIntel", 6, range(0x55, 0x56), range(5, 8), 3.97),
)
"""Vendor, family, models, steppings, watts a vCPU: EPYC 1 to 3, Skylake, Cascade Lake. Means of
Cloud Carbon Footprint's SPECpower coefficients (design, cloud-carbon-coefficients)."""


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
    """Return watts a vCPU by the text of ``/proc/cpuinfo``, and what they are the watts of."""
    vendor, name = _line(cpuinfo, "vendor_id"), _line(cpuinfo, "model name")
    family, model, stepping = (
        int(found) if (found := _line(cpuinfo, key)).isdigit() else -1
        for key in ("cpu family", "model", "stepping")
    )
    for row_vendor, row_family, models, steppings, watts in _TABLE:
        same = vendor == row_vendor and family == row_family
        if same and model in models and stepping in steppings:
            return watts, f"the table, for {name}"
    return OTHERWISE, f"no table entry for {name or 'this CPU'}"


def _line(cpuinfo: str, key: str) -> str:
    match = re.search(rf"^{key}\s*: (.*)$", cpuinfo, re.MULTILINE)
    return match[1].strip() if match else ""


def _cpuinfo() -> str:
    try:
        return _CPUINFO.read_text()
    except OSError:
        return ""


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
