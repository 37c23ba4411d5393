"""The knee of a front: the point nearest to the best of every objective at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.records import DENSE_STARTER
from pareto_prune.results.records import Front, Point
from pareto_prune.results.selection.records import Choice
from pareto_prune.results.yardstick import Yardstick


def knee_of(members: Sequence[Point], measure: Yardstick) -> int | None:
    """Return the member nearest to the ideal point, by the sum of its normalised distances.

    Minimum Manhattan distance (Chiu, Yen, Juan 2016, section III), on hypervolume coordinates
    scaled to the range of the members that still have a metric worth something.
    """
    if not measure.beats_chance or not members:
        return None
    coordinates = measure.coordinates(measure.values([point.values for point in members]))
    metric = measure.names.index(measure.metric.name)
    useful = np.flatnonzero(coordinates[:, metric] > 0)
    if len(useful) == 0:
        return None
    coordinates = coordinates[useful]
    span = np.ptp(coordinates, axis=0)
    scaled = (coordinates - coordinates.max(axis=0)) / np.where(span > 0, span, 1.0)
    nearest = [members[useful[i]] for i in np.argsort(-scaled.sum(axis=1), kind="stable")]
    return next((point.number for point in nearest if point.starter != DENSE_STARTER), None)


def by_knee(front: Front) -> Choice:
    """Choose the knee."""
    point = front.point(front.knee) if front.knee is not None else None
    if point is None:
        raise UserError(Problem("--knee", "this front has no knee: no point keeps a useful metric"))
    return Choice(
        point, "knee", "the knee of the front: nearest to the best of every objective at once"
    )
