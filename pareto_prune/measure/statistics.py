"""Order statistics: medians, quantiles and their intervals, without a model of the noise."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE = 0.95


@dataclass(frozen=True)
class Estimate:
    """A value with its interval (95 %, or the whole range where there are too few repeats)."""

    value: float
    low: float
    high: float
    repeats: int

    @property
    def width(self) -> float:
        """Width of the interval of a ratio, as a log: 0.03 is about 3 %."""
        return math.log(self.high / self.low) if self.low > 0 else math.inf


def median_ratio(first: Sequence[float], second: Sequence[float]) -> Estimate:
    """Return the geometric median ratio ``first / second`` of pairs whose order alternates.

    ::

        A B   B A   A B   B A          the pairs, as they were taken
        └──┬──┘                        two neighbours: what drifts steadily cancels in their mean
            └──┬──┘

    The value is the median of the means of two neighbours; the interval is that of the pairs.

    Raises:
        ValueError: there is no pair, or a value is not above 0.
    """
    a, b = np.asarray(first, float), np.asarray(second, float)
    if a.shape != b.shape or a.size == 0 or (a <= 0).any() or (b <= 0).any():
        raise ValueError("pairs of values above 0 are needed")
    return _balanced(np.log(a) - np.log(b))


def median(values: Sequence[float] | NDArray[np.float64]) -> Estimate:
    """Return the median of independent repeats with its interval."""
    return quantile(values, 0.5)


def quantile(values: Sequence[float] | NDArray[np.float64], share: float) -> Estimate:
    """Return a quantile of independent repeats with its order-statistic interval.

    The interval is between the ranks that a binomial count of repeats below the quantile leaves
    with at most 2.5 % on each side (David and Nagaraja 2003, Order Statistics, section 7.1).
    """
    ordered = np.sort(np.asarray(values, float))
    low, high = _ranks(len(ordered), share)
    return Estimate(
        value=float(np.quantile(ordered, share)),
        low=float(ordered[low]),
        high=float(ordered[high]),
        repeats=len(ordered),
    )


def _balanced(logs: NDArray[np.float64]) -> Estimate:
    pairs = median(logs)
    value = float(np.median((logs[1:] + logs[:-1]) / 2)) if len(logs) > 1 else pairs.value
    low, high = min(pairs.low, value), max(pairs.high, value)
    return Estimate(math.exp(value), math.exp(low), math.exp(high), pairs.repeats)


def _ranks(count: int, share: float) -> tuple[int, int]:
    """Return the widest ranks (from 0) that leave at most 2.5 % outside on each side."""
    tail = (1 - CONFIDENCE) / 2
    below = np.cumsum([_binomial(count, k, share) for k in range(count + 1)])
    low = int(np.searchsorted(below, tail, side="right"))
    high = int(np.searchsorted(below, 1 - tail, side="left"))
    return max(low - 1, 0), min(high, count - 1)


def _binomial(count: int, successes: int, share: float) -> float:
    logs = (
        math.lgamma(count + 1)
        - math.lgamma(successes + 1)
        - math.lgamma(count - successes + 1)
        + successes * math.log(share)
        + (count - successes) * math.log(1 - share)
    )
    return math.exp(logs)
