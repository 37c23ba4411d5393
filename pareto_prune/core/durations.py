"""Durations as people write them: a number and a unit."""

from __future__ import annotations

import re
from typing import Annotated

import pydantic

_DURATION = re.compile(r"^(\d+(?:\.\d+)?)\s*(s|min|h|d)$")
_SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(duration: str) -> float:
    """Return the seconds of a duration such as ``"90s"``, ``"12min"``, ``"2h"``.

    Raises:
        ValueError: it is not one.
    """
    match = _DURATION.match(duration.strip())
    if match is None or float(match[1]) == 0:
        raise ValueError("allowed: a number above 0 and s, min, h or d, such as '12min'")
    return float(match[1]) * _SECONDS[match[2]]


def _checked_duration(value: str) -> str:
    seconds(value)
    return value


Duration = Annotated[str, pydantic.AfterValidator(_checked_duration)]
