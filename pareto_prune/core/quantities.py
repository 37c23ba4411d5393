"""How the numbers of a study are written for people: unit, digits, and ``≈`` for estimates."""

from __future__ import annotations

import math
from collections.abc import Callable

from pareto_prune.core.objectives import OBJECTIVES

ESTIMATED = "≈"
_PREFIXES = ((1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))
_MULTIPLES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""))


def written(name: str, value: float | None, estimated: bool = False) -> str:
    """Return the value of objective ``name`` with its unit, as ``"82.5 %"`` or ``"≈20.0 mJ"``."""
    if value is None or not math.isfinite(value):
        return "unknown"
    return (ESTIMATED if estimated else "") + _WRITERS[OBJECTIVES[name].unit](value)


def change(name: str, difference: float) -> str:
    """Return the size of a difference of objective ``name``, without its sign."""
    size = abs(difference)
    if OBJECTIVES[name].unit == "fraction":
        return points(size)
    return written(name, size)


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
    return _scaled(value, "", _MULTIPLES) if value >= 1000 else f"{value:.0f}"


def _scaled(value: float, unit: str, steps: tuple[tuple[float, str], ...]) -> str:
    size, prefix = next(((s, p) for s, p in steps if abs(value) >= s), steps[-1])
    return f"{digits(value / size)} {prefix}{unit}".rstrip()


def _joules(value: float) -> str:
    return _scaled(value, "J", _PREFIXES) if value else "0 J"


_WRITERS: dict[str, Callable[[float], str]] = {
    "fraction": lambda value: f"{100 * value:.1f} %",
    "ms": lambda value: f"{digits(value)} ms",
    "samples/s": lambda value: f"{digits(value)} /s",
    "J/sample": _joules,
    "count": count,
    "B": lambda value: _scaled(value, "B", _MULTIPLES),
}
