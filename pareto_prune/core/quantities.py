"""How the numbers of a study are written for people: unit, digits, and ``≈`` for estimates.

``UNITS`` says how each unit is written. It is data, so that the report page, which writes numbers
in another language, is given the same table.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from pareto_prune.core.objectives import OBJECTIVES

ESTIMATED = "≈"
ESTIMATE_FACTOR = 2
_SMALL = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_LARGE = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))
_NONE = ((1.0, ""),)


@dataclass(frozen=True)
class Unit:
    """How the values of one unit are written.

    Attributes:
        symbol: behind the number and its prefix; empty for counts.
        factor: a value is multiplied by it first, as a share that is written in per cent.
        decimals: digits after the point of a value without prefix; ``None``: three significant
            digits, which values with a prefix always have.
        prefixes: sizes with their names, the greatest first; the first that a value reaches is
            used, the last one below them all, and none for zero.
    """

    symbol: str
    factor: float = 1.0
    decimals: int | None = None
    prefixes: tuple[tuple[float, str], ...] = _NONE

    def written(self, value: float) -> str:
        """Return ``value`` with this unit, as ``"80.1 mJ"``."""
        scaled = self.factor * value
        size, prefix = self._prefix(scaled) if scaled else (1.0, "")
        exact = self.decimals is not None and not prefix
        number = f"{scaled:.{self.decimals}f}" if exact else digits(scaled / size)
        return f"{number} {prefix}{self.symbol}".rstrip()

    def _prefix(self, scaled: float) -> tuple[float, str]:
        reached = (step for step in self.prefixes if abs(scaled) >= step[0])
        return next(reached, self.prefixes[-1])


UNITS: dict[str, Unit] = {
    "fraction": Unit("%", factor=100, decimals=1),
    "ms": Unit("ms"),
    "samples/s": Unit("/s"),
    "J/sample": Unit("J", prefixes=_SMALL),
    "count": Unit("", decimals=0, prefixes=_LARGE),
    "B": Unit("B", prefixes=_LARGE),
}
_STEPS = {
    "ms": (1.0, "ms"),
    "J/sample": (1e-3, "mJ"),
    "samples/s": (1.0, "sample/s"),
    "count": (1e6, "million parameters"),
    "B": (1e6, "MB"),
}
"""The step that a person would turn, by unit: its size, and its name."""


def written(name: str, value: float | None, estimated: bool = False) -> str:
    """Return the value of objective ``name`` with its unit, as ``"82.5 %"`` or ``"≈20.0 mJ"``."""
    if value is None or not math.isfinite(value):
        return "unknown"
    return (ESTIMATED if estimated else "") + UNITS[OBJECTIVES[name].unit].written(value)


def change(name: str, difference: float) -> str:
    """Return the size of a difference of objective ``name``, without its sign."""
    size = abs(difference)
    if OBJECTIVES[name].unit == "fraction":
        return points(size)
    return written(name, size)


def exchanged(name: str, cost: str, rate: float) -> str:
    """Return what a step of ``cost`` buys of objective ``name``, as ``"0.31 points per mJ"``.

    Args:
        name: the objective that is bought.
        cost: the objective that pays.
        rate: of ``name``, for one unit of ``cost``; its sign is left out.
    """
    step, unit = _STEPS[OBJECTIVES[cost].unit]
    bought = abs(rate) * step
    if OBJECTIVES[name].unit == "fraction":
        return f"{digits(100 * bought, 2)} points per {unit}"
    return f"{digits(bought, 2)} per {unit}"


def titled(label: str, unit: str, estimated: bool = False) -> str:
    """Return the title of an axis or a column of plain numbers, as ``"latency (ms)"``."""
    mark = f"{ESTIMATED} " if estimated else ""
    return f"{mark}{label}" if unit in ("fraction", "count") else f"{mark}{label} ({unit})"


def points(difference: float) -> str:
    """Return a difference of two fractions in points, as ``"0.9 points"``."""
    number = f"{100 * difference:.1f}"
    return f"{number} point" if number == "1.0" else f"{number} points"


def times(factor: float | None) -> str:
    """Return a factor, as ``"2.8×"``."""
    if factor is None or not math.isfinite(factor):
        return "–"
    return f"{digits(factor, 2)}×"


def digits(value: float, significant: int = 3) -> str:
    """Return a number at so many significant digits, never in exponential notation."""
    if value == 0:
        return "0"
    places = significant - 1 - math.floor(math.log10(abs(value)))
    return f"{round(value, places):.{max(0, min(places, 12))}f}"


def duration(seconds: float | None) -> str:
    """Return a duration as a person says it: ``"42 s"``, ``"8 min"``, ``"2 h 05 min"``."""
    if seconds is None or not math.isfinite(seconds):
        return "unknown"
    whole = round(max(0.0, seconds))
    if whole < 90:
        return f"{whole} s"
    minutes = round(whole / 60)
    if minutes < 90:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def count(value: float) -> str:
    """Return a count at three digits, as ``"14.1 M"``."""
    return UNITS["count"].written(value)
