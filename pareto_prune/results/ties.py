"""Which points are the same within the noise of the measurement."""

from __future__ import annotations

import math
from collections.abc import Iterable

from pareto_prune.core.records import (
    Interval,
)
from pareto_prune.results.records import Confirmed, Point


def tied(one: Point | Confirmed, other: Point | Confirmed, names: Iterable[str]) -> bool:
    """Whether the intervals of two points overlap in every objective of ``names``."""
    return all(overlap(interval_of(one, name), interval_of(other, name)) for name in names)


def interval_of(point: Point | Confirmed, name: str) -> Interval:
    """Return the interval of an objective; a value without one is its own."""
    value = point.value(name) if isinstance(point, Point) else point.values.get(name)
    exact = math.nan if value is None else value
    return point.intervals.get(name, (exact, exact))


def overlap(one: Interval, other: Interval) -> bool:
    """Whether two intervals have a value in common."""
    return one[0] <= other[1] and other[0] <= one[1]
