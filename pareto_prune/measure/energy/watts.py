"""Watts of one busy thread of a processor, by what ``/proc/cpuinfo`` says of it.

SPECpower values are those of Cloud Carbon Footprint: watts of the whole server at full load over
its threads, the mean of a family (cloud-carbon-coefficients for the first five rows, so that older
studies keep theirs; ccf-coefficients of 2026-03 for the others). Where there is none, it is the
thermal design power that the vendor's page states over the threads, times ``SERVER``.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

SERVER = 1.1
"""Watts of a server at full load over the thermal design power of its processors: the median of
nine families that have both, by their largest part (EPYC 1 to 4, Cascade Lake to Granite Rapids:
0.9 to 1.6)."""
OTHERWISE = 3.5
"""Watts of a thread of an unknown processor: Cloud Carbon Footprint's average for AWS."""


@dataclass(frozen=True)
class Row:
    """One family of processors.

    Attributes:
        watts: of a thread.
        source: what they are the watts of, and who says so.
    """

    watts: float
    source: str


@dataclass(frozen=True)
class Cpu:
    """What ``/proc/cpuinfo`` says of the first processor.

    Attributes:
        vendor: ``vendor_id``, or ``CPU implementer`` of Arm.
        family: ``cpu family``; -1 for Arm.
        model: ``model``, or ``CPU part`` of Arm; -1 where it is not said.
        stepping: -1 where it is not said.
        name: ``model name``, empty where there is none.
    """

    vendor: str
    family: int
    model: int
    stepping: int
    name: str

    @classmethod
    def of(cls, cpuinfo: str) -> Cpu:
        """Return what a text of ``/proc/cpuinfo`` says."""
        return cls(
            _line(cpuinfo, "vendor_id") or _line(cpuinfo, "CPU implementer"),
            _number(_line(cpuinfo, "cpu family")),
            _number(_line(cpuinfo, "model") or _line(cpuinfo, "CPU part")),
            _number(_line(cpuinfo, "stepping")),
            _line(cpuinfo, "model name"),
        )

    def __str__(self) -> str:
        numbers = f"family {self.family} model {self.model}"
        if self.family < 0:
            numbers = f"implementer {self.vendor} part {self.model:#x}"
        return f"{self.name or 'a CPU'} ({numbers})" if self.vendor else self.name or "this CPU"


def watts_of(cpu: Cpu) -> Row | None:
    """Return the row of a processor; ``None`` where the table has none."""
    if cpu.vendor == _APPLE or cpu.name.startswith("Apple M"):
        return _APPLE_M
    for vendor, family, models, steppings, row in _TABLE:
        same = cpu.vendor == vendor and cpu.family == family
        if same and cpu.model in models and cpu.stepping in steppings:
            return row
    return None


def _spec(family: str, watts: float) -> Row:
    return Row(watts, f"SPECpower by Cloud Carbon Footprint, {family}")


def _tdp(part: str, watts: float, threads: int) -> Row:
    return Row(
        round(watts / threads * SERVER, 2), f"{part}: {watts:g} W over {threads} threads × {SERVER}"
    )


_AMD, _INTEL, _ARM, _APPLE = "AuthenticAMD", "GenuineIntel", "0x41", "0x61"
_ANY = range(-1, 99)
_APPLE_M = Row(5.9, "Apple, power of Mac mini: M1 39 W, M2 50 W, M4 65 W over 8, 8, 10 cores")
_GRAVITON = "EPYC 2nd Gen, which it takes for Graviton"

_TABLE: tuple[tuple[str, int, range, range, Row], ...] = (
    (_AMD, 23, range(0x00, 0x30), _ANY, _spec("EPYC 1st Gen", 2.55)),
    (_AMD, 23, range(0x30, 0x40), _ANY, _spec("EPYC 2nd Gen", 1.69)),
    (_AMD, 25, range(0x00, 0x10), _ANY, _spec("EPYC 3rd Gen", 2.02)),
    (_INTEL, 6, range(0x55, 0x56), range(5), _spec("Skylake", 4.26)),
    (_INTEL, 6, range(0x55, 0x56), range(5, 8), _spec("Cascade Lake", 3.97)),
    (_AMD, 25, range(0x10, 0x20), _ANY, _spec("EPYC 4th Gen", 2.28)),
    (_AMD, 25, range(0xA0, 0xB0), _ANY, _spec("EPYC 4th Gen", 2.28)),
    # Not its mean for the fifth generation, 8.96: that has the EPYC 4005 of small servers in it.
    (_AMD, 26, range(0x00, 0x10), _ANY, _tdp("AMD EPYC 9755", 500, 256)),
    (_AMD, 26, range(0x10, 0x20), _ANY, Row(1.04, "SPECpower, EPYC 9965: 800 W over 768 threads")),
    (_AMD, 25, range(0x20, 0x30), _ANY, _tdp("AMD Ryzen 9 5950X", 105, 32)),
    (_AMD, 25, range(0x40, 0x50), _ANY, _tdp("AMD Ryzen 7 6800H", 45, 16)),
    (_AMD, 25, range(0x50, 0x60), _ANY, _tdp("AMD Ryzen 7 5800H", 45, 16)),
    (_AMD, 25, range(0x60, 0x70), _ANY, _tdp("AMD Ryzen 9 7950X", 170, 32)),
    (_AMD, 25, range(0x70, 0x80), _ANY, _tdp("AMD Ryzen 7 8845HS", 45, 16)),
    (_AMD, 26, range(0x20, 0x30), _ANY, _tdp("AMD Ryzen AI 9 HX 370", 28, 24)),
    (_AMD, 26, range(0x40, 0x50), _ANY, _tdp("AMD Ryzen 9 9950X", 170, 32)),
    (_AMD, 26, range(0x60, 0x70), _ANY, _tdp("AMD Ryzen AI 7 350", 28, 16)),
    (_AMD, 26, range(0x70, 0x80), _ANY, _tdp("AMD Ryzen AI Max+ 395", 55, 32)),
    (_INTEL, 6, range(0x6A, 0x6B), _ANY, _spec("Ice Lake", 3.76)),
    (_INTEL, 6, range(0x6C, 0x6D), _ANY, _spec("Ice Lake", 3.76)),
    (_INTEL, 6, range(0x8F, 0x90), _ANY, _spec("Sapphire Rapids", 4.16)),
    (_INTEL, 6, range(0xCF, 0xD0), _ANY, _spec("Emerald Rapids", 4.48)),
    (_INTEL, 6, range(0xAD, 0xAF), _ANY, _spec("Granite Rapids", 2.53)),
    (_INTEL, 6, range(0xAF, 0xB0), _ANY, _tdp("Intel Xeon 6780E", 330, 144)),
    (_ARM, -1, range(0xD0C, 0xD0D), _ANY, _spec("Neoverse N1 (Ampere Altra, Graviton 2)", 1.71)),
    (_ARM, -1, range(0xD40, 0xD41), _ANY, _spec(_GRAVITON + " 3", 1.69)),
    (_ARM, -1, range(0xD4F, 0xD50), _ANY, _spec(_GRAVITON + " 4", 1.69)),
)
"""Vendor, family, models, steppings (as Linux tells them apart), watts."""


def _line(cpuinfo: str, key: str) -> str:
    match = re.search(rf"^{key}\s*: (.*)$", cpuinfo, re.MULTILINE)
    return match[1].strip() if match else ""


def _number(text: str) -> int:
    try:
        return int(text, 0)
    except ValueError:
        return -1
