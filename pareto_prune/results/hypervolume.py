"""How much of the box a front dominates, and what the box is.

The box has one side an objective, from 0 to 1. The metric is 1 at the dense model and 0 where
``QUALITY_SHARE`` of what the dense model has over chance is lost; a cost is 0 at the dense model
and 1 where the box ends, by logarithm. What lies outside counts where the box ends.

======= ==================== ===================================================================
version ends at              where
======= ==================== ===================================================================
2       64 times cheaper     ``hypervolume``: shown, searched by, followed until it stops rising
1       16 times cheaper     ``hypervolume_v1``: beside it, for comparison with older numbers
======= ==================== ===================================================================

While no point is more than 16 times cheaper, version 2 is version 1 times (2/3)^costs, 4/9 for
two costs, so that both order fronts alike. Only version 2 tells apart what is cheaper than that.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from pareto_prune.results.dominance import Points

QUALITY_SHARE = 0.2


@dataclass(frozen=True)
class Box:
    """Where the sides of the costs end.

    Attributes:
        version: of the definition.
        times_cheaper: than the dense model.
    """

    version: int
    times_cheaper: float


BOX, BOX_V1 = Box(2, 64.0), Box(1, 16.0)


def metric_side(values: Points, dense: float, chance: float) -> Points:
    """Return the coordinates of values of the metric in the box, not clipped."""
    return 1 - (dense - values) / (QUALITY_SHARE * (dense - chance))


def metric_floor(dense: float, chance: float) -> float:
    """Return the value of the metric where the box begins; what is at or below it adds nothing."""
    return dense - QUALITY_SHARE * (dense - chance)


def cost_side(values: Points, dense: float, sign: int, box: Box = BOX) -> Points:
    """Return the coordinates of values of a cost in the box, not clipped.

    Args:
        values: of the cost.
        dense: the dense model's.
        sign: +1 where less is better, -1 where more is.
        box: which one.
    """
    return sign * np.log(dense / values) / math.log(box.times_cheaper)


def box_told(metric: str, chance: str) -> str:
    """Say what the box is, with the metric and its value at chance as people read them."""
    return (
        f"Hypervolume: {metric} counts from {100 * QUALITY_SHARE:.0f} % of the dense model's lead "
        f"over chance ({chance}) below it, costs by logarithm up to {BOX.times_cheaper:.0f} times "
        f"cheaper; 1 is the whole box. That is version {BOX.version} of the box."
    )


def volume_v1_told(volume: float) -> str:
    """Say what a hypervolume is in the box of before."""
    return f"{volume:.3f} in version {BOX_V1.version}, which ended at {BOX_V1.times_cheaper:.0f}×"


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
