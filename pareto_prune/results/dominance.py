"""Who dominates whom, with several objectives at once.

Arrays only; nothing here knows of trials, units or directions.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Mask = NDArray[np.bool_]
_BLOCK = 256


def nondominated(points: Points) -> Mask:
    """Return which rows of ``points``, shape ``(n, d)``, all minimised, no other row dominates.

    A row dominates another when it is nowhere larger and somewhere smaller, so equal rows stay
    together. Two and three columns take O(n log n) (Kung, Luccio, Preparata 1975, section 3),
    more take comparisons in blocks.

    Raises:
        ValueError: ``points`` has a NaN, or is not two-dimensional.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2 or np.isnan(points).any():
        raise ValueError("points must be a two-dimensional array without NaN")
    if len(points) == 0:
        return np.zeros(0, dtype=np.bool_)
    order = np.lexsort(points.T[::-1])
    ordered = points[order]
    first = np.concatenate(([True], (ordered[1:] != ordered[:-1]).any(axis=1)))
    distinct = ordered[first]
    kept = _sweep(distinct) if points.shape[1] <= 3 else _blocks(distinct)
    result = np.empty(len(points), dtype=np.bool_)
    result[order] = kept[np.cumsum(first) - 1]
    return result


def _sweep(distinct: Points) -> Mask:
    """Mark the non-dominated of distinct rows in lexicographic order, at most three columns.

    Only an earlier row can dominate a later one; the earlier rows' second and third column are
    kept as a staircase.
    """
    width = distinct.shape[1]
    seconds = distinct[:, 1].tolist() if width > 1 else [0.0] * len(distinct)
    thirds = distinct[:, 2].tolist() if width > 2 else [0.0] * len(distinct)
    stairs = _Staircase()
    return np.array([stairs.add(b, c) for b, c in zip(seconds, thirds, strict=True)], dtype=bool)


class _Staircase:
    """Non-dominated pairs, minimised: first coordinates rise, second ones fall."""

    def __init__(self) -> None:
        self._xs: list[float] = []
        self._ys: list[float] = []

    def add(self, x: float, y: float) -> bool:
        """Add a pair; return whether no pair so far is at or below it in both coordinates."""
        xs, ys = self._xs, self._ys
        place = bisect_right(xs, x)
        if place and ys[place - 1] <= y:
            return False
        start = bisect_left(xs, x)
        stop = start
        while stop < len(xs) and ys[stop] >= y:
            stop += 1
        xs[start:stop] = [x]
        ys[start:stop] = [y]
        return True


def _blocks(distinct: Points) -> Mask:
    """Mark the non-dominated of distinct rows in lexicographic order, any number of columns."""
    kept = np.ones(len(distinct), dtype=np.bool_)
    front = distinct[:0]
    for start in range(0, len(distinct), _BLOCK):
        block = distinct[start : start + _BLOCK]
        alive = ~_covered(block, front)
        alive[alive] = ~_strictly_covered(block[alive])
        kept[start : start + _BLOCK] = alive
        front = np.concatenate((front, block[alive]))
    return kept


def _covered(block: Points, front: Points) -> Mask:
    """Return which rows of ``block`` some row of ``front`` is nowhere above."""
    below = np.ones((len(block), len(front)), dtype=np.bool_)
    for column in range(block.shape[1]):
        below &= front[None, :, column] <= block[:, None, column]
    return np.asarray(below.any(axis=1))


def _strictly_covered(block: Points) -> Mask:
    below = np.ones((len(block), len(block)), dtype=np.bool_)
    for column in range(block.shape[1]):
        below &= block[None, :, column] <= block[:, None, column]
    np.fill_diagonal(below, False)
    return np.asarray(below.any(axis=1))
