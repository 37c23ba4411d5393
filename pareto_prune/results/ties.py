"""Which points are the same within the noise of the measurement."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

from pareto_prune.core.records import DENSE_STARTER, Interval, Study
from pareto_prune.results.pairing import DENSE, Kept, alike, kept, told_by
from pareto_prune.results.records import Confirmed, Point


def with_alike(points: Sequence[Point], study: Study, metric: str) -> list[Point]:
    """Return the points; those of the front with the others that their metric is like."""
    members = [point for point in points if point.on_front]
    found = alike(_kept(study, members), told_by(study), metric)
    dense = next((p.number for p in members if p.starter == DENSE_STARTER), DENSE)
    return [
        point.model_copy(update=_found(point, members, found, dense, metric))
        if point.on_front
        else point
        for point in points
    ]


def _kept(study: Study, members: Iterable[Point]) -> dict[int, Kept]:
    """Return what the members and the dense model said to each example."""
    numbers = {point.number for point in members}
    qualities = {
        trial.number: trial.result.quality
        for trial in study.trials
        if trial.number in numbers and trial.result
    }
    if study.reference and not any(point.starter == DENSE_STARTER for point in members):
        qualities[DENSE] = study.reference.quality
    return {number: kept(q.outcomes if q else None) for number, q in qualities.items()}


def _found(
    point: Point,
    members: Iterable[Point],
    found: Mapping[int, set[int]],
    dense: int,
    metric: str,
) -> dict[str, object]:
    paired = point.number in found and dense in found
    like_dense = dense == point.number or dense in found[point.number] if paired else None
    return {
        "paired": point.number in found,
        "alike": tuple(
            other.number
            for other in members
            if other.number != point.number and _same(point, other, found, metric)
        ),
        "like_dense": like_dense,
    }


def _same(one: Point, other: Point, found: Mapping[int, set[int]], metric: str) -> bool:
    if one.number in found and other.number in found:
        return other.number in found[one.number]
    return tied(one, other, [metric])


def same_metric(one: Point, other: Point, metric: str) -> bool:
    """Whether the metric of a point cannot be told from that of a member of the front."""
    return other.number in one.alike if one.on_front else tied(one, other, [metric])


def how(one: Point, others: Iterable[Point]) -> str:
    """Say by what a point was found to be like others."""
    if one.paired and all(other.paired for other in others):
        return "paired by example"
    return "95 % intervals overlap; not paired: what they said to each example was not kept"


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
