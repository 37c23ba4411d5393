"""Geometry of several objectives at once: who dominates whom, and how much a set dominates.

Arrays only; nothing here knows of trials, units or directions.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable

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


def hypervolume(points: Points) -> float:
    """Return the volume between the origin and ``points``, shape ``(n, d)``, all maximised.

    Coordinates below 0 count as 0. Exact: a sweep with a staircase for up to three columns
    (Fonseca, Paquete, López-Ibáñez 2006, section III), slices of those above.
    """
    points = np.asarray(points, dtype=np.float64)
    if points.ndim != 2:
        raise ValueError("points must be a two-dimensional array")
    points = points[(points > 0).all(axis=1)]
    if len(points) == 0:
        return 0.0
    if points.shape[1] == 1:
        return float(points.max())
    return _sliced(points[np.argsort(-points[:, -1], kind="stable")])


def gain(points: Points, point: Points) -> float:
    """Return the volume that ``point``, shape ``(d,)``, adds to that of ``points``."""
    if len(points) == 0:
        return hypervolume(point[None])
    shared = np.minimum(points, point)
    return float(np.prod(np.maximum(point, 0.0))) - hypervolume(shared)


def _sliced(ordered: Points) -> float:
    """Sum the slices along the last column, which falls; each slice has the others' volume."""
    heights = ordered[:, -1]
    depths = heights - np.append(heights[1:], 0.0)
    if ordered.shape[1] <= 3:
        return float(np.dot(depths, _areas(ordered)))
    volumes = (hypervolume(ordered[: i + 1, :-1]) for i in range(len(ordered)) if depths[i] > 0)
    return float(np.dot(depths[depths > 0], np.fromiter(volumes, np.float64)))


def _areas(ordered: Points) -> Points:
    """Return the volume of the columns but the last, after every row: one or two of them."""
    if ordered.shape[1] == 2:
        return np.maximum.accumulate(ordered[:, 0])
    area = _Area()
    pairs: Iterable[tuple[float, float]] = zip(
        ordered[:, 0].tolist(), ordered[:, 1].tolist(), strict=True
    )
    return np.array([area.add(x, y) for x, y in pairs])


class _Area:
    """The area under a growing set of maximised pairs: first coordinates rise, second ones fall."""

    def __init__(self) -> None:
        self._xs: list[float] = []
        self._ys: list[float] = []
        self._area = 0.0

    def add(self, x: float, y: float) -> float:
        """Add a pair and return the area under all of them."""
        xs, ys = self._xs, self._ys
        stop = bisect_left(xs, x)
        if stop < len(xs) and ys[stop] >= y:
            return self._area
        if stop < len(xs) and xs[stop] == x:
            stop += 1
        start = stop
        while start and ys[start - 1] <= y:
            start -= 1
        self._area += self._added(x, y, start, stop)
        xs[start:stop] = [x]
        ys[start:stop] = [y]
        return self._area

    def _added(self, x: float, y: float, start: int, stop: int) -> float:
        """Return what (x, y) covers above the steps ``start`` to ``stop`` and the one after."""
        xs, ys = self._xs, self._ys
        left = xs[start - 1] if start else 0.0
        added = 0.0
        for step in range(start, stop):
            added += (xs[step] - left) * (y - ys[step])
            left = xs[step]
        floor = ys[stop] if stop < len(ys) else 0.0
        return added + (x - left) * (y - floor)
