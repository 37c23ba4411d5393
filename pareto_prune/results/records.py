"""A front as frozen values that survive JSON: its objectives, its points, what it amounts to.

Made by :func:`pareto_prune.results.front.front_of`.
"""

from __future__ import annotations

from typing import Any

import pydantic

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.objectives import COSTS
from pareto_prune.core.record import Record
from pareto_prune.core.records import (
    Grade,
    Interval,
    TrialState,
    finished_of,
)


class FrontObjective(Record):
    """One objective as the front holds it.

    Attributes:
        grade: measured, attributed or estimated; ``None`` where nothing is measured.
        source: what counted (``"clock"``, ``"nvml"``, …).
    """

    name: str
    unit: str
    direction: str
    grade: Grade | None = None
    source: str | None = None

    @pydantic.model_serializer(mode="wrap")
    def _without_unknown(self, handler: Any) -> dict[str, Any]:
        return {key: value for key, value in handler(self).items() if value is not None}


class Confirmed(Record):
    """What a point was found to be when it was retrained longer and measured afresh.

    Attributes:
        retrainings: how many, each with a seed of its own; the metric is their mean.
        steps: of each.
        values, intervals, relative: as those of a point.
        paired: whether metrics were compared example by example; else by 95 % intervals, since
            what it or another said to each example was not kept.
        tied: other confirmed points of the front that it cannot be told from: in the metric, and
            the 95 % intervals of every cost overlap.
        matched_by: the cheapest other confirmed point of the front that is nowhere dearer beyond
            noise and whose metric is the same within it; ``None`` where there is none cheaper.
    """

    retrainings: int
    steps: int
    values: dict[str, float]
    intervals: dict[str, Interval]
    relative: dict[str, float]
    paired: bool = False
    tied: tuple[int, ...] = ()
    matched_by: int | None = None


class Point(Record):
    """One trial as the front holds it.

    Attributes:
        state: ``complete``, ``stopped``, ``failed``, ``running`` or ``waiting``.
        parent: number of the trial whose model it trained further, or tried in another format.
        dtype: number format that it is deployed in, where several are searched.
        steps: that its model was trained for, those of its parents included.
        confirmed: whether the trial was retrained and measured again after the search.
        confirmation: what it was found to be then; ``values`` stay those of the search.
        values: the objectives; of a trial stopped early, as far as they are known.
        intervals: 95 % intervals of ``values``; those of costs are for a second run.
        relative: cost objectives as shares of the dense model's.
        native: whether a stock class of transformers holds its model; ``None``: not known.
        on_front: whether no other trial dominates it.
        beaten_by: named references that are nowhere worse and somewhere better.
        paired: whether what it said to each example was kept, so that it is compared with others
            example by example.
        alike: other points of the front whose metric cannot be told from its own: by pairs where
            both were kept, else since their 95 % intervals overlap.
        like_dense: whether its metric cannot be told from the dense model's; ``None``: not kept.
        below_floor: whether it lost so much of the metric that it is no point of a front.
        feasible: whether it keeps the study's constraints.
        reason: why it is not complete, not feasible or below the floor, if so.
    """

    number: int
    state: TrialState
    strategy: str | None = None
    importance: str | None = None
    starter: str | None = None
    parent: int | None = None
    dtype: str | None = None
    steps: int | None = None
    confirmed: bool = False
    confirmation: Confirmed | None = None
    parameters: int | None = None
    bytes: int | None = None
    values: dict[str, float] = pydantic.Field(default_factory=dict)
    intervals: dict[str, Interval] = pydantic.Field(default_factory=dict)
    relative: dict[str, float] = pydantic.Field(default_factory=dict)
    architecture: Architecture | None = None
    native: bool | None = None
    on_front: bool = False
    beaten_by: tuple[str, ...] = ()
    paired: bool = False
    alike: tuple[int, ...] = ()
    like_dense: bool | None = None
    below_floor: bool = False
    feasible: bool = True
    reason: str | None = None

    def value(self, name: str) -> float | None:
        """Return the value of an objective, or of ``parameters`` or ``bytes``, where known."""
        if name in self.values:
            return self.values[name]
        return {"parameters": self.parameters, "bytes": self.bytes}.get(name)


class NamedReference(Record):
    """A well-known alternative that stands beside the front but not on it."""

    name: str
    parameters: int | None = None
    values: dict[str, float]
    intervals: dict[str, Interval]
    relative: dict[str, float]
    architecture: Architecture | None = None


class AtPointsLost(Record):
    """The cheapest the front has at ``points`` points of the metric lost against the dense model.

    Attributes:
        speedup: dense time / time, at least 1.
        energy_ratio: joules / dense joules, at most 1.
        speedup_trial, energy_trial: whose they are; ``None``: the dense model's own.
    """

    points: int
    speedup: float | None = None
    speedup_trial: int | None = None
    energy_ratio: float | None = None
    energy_trial: int | None = None


class Recommendation(Record):
    """The point to look at first, and why."""

    trial: int
    reason: str


class Front(Record):
    """The non-dominated trials of a study and what they amount to.

    Attributes:
        native: whether it is of the native trials alone.
        hypervolume: share of the unit box that the front dominates; ``None`` where the dense
            model is not there yet or does not beat chance.
        hypervolume_version: of that box; see :mod:`pareto_prune.results.hypervolume`.
        hypervolume_v1: by version 1 of the box, for comparison with older numbers.
        reference: values of the dense model by objective, with ``parameters``, ``bytes``, and
            ``latency_cold_ms`` where it was measured.
        chance: the metric of a model that learned nothing.
        floor: the metric above which points of a front are; where the hypervolume begins.
        below_floor: feasible complete trials that are not above it.
        examples: validation examples behind the metric.
        constraints: of the study file.
        broken: complete trials that break each constraint.
        counts: trials by state; ``infeasible`` ones are among ``complete``.
        knee: number of the trial at the knee.
        doubts: why no point is recommended although there may be some.
        trials: the front's members, best metric first; or every trial by number.
    """

    study: str
    native: bool = False
    hypervolume: float | None
    hypervolume_version: int = 1
    hypervolume_v1: float | None = None
    objectives: tuple[FrontObjective, ...]
    reference: dict[str, int | float] | None
    reference_intervals: dict[str, Interval] = pydantic.Field(default_factory=dict)
    reference_architecture: Architecture | None = None
    chance: float | None = None
    floor: float | None = None
    below_floor: int = 0
    examples: int | None = None
    constraints: dict[str, str] = pydantic.Field(default_factory=dict)
    broken: dict[str, int] = pydantic.Field(default_factory=dict)
    counts: dict[str, int] = pydantic.Field(default_factory=dict)
    at_points_lost: tuple[AtPointsLost, ...] = ()
    knee: int | None = None
    recommended: Recommendation | None = None
    doubts: tuple[str, ...] = ()
    references: tuple[NamedReference, ...] = ()
    trials: tuple[Point, ...] = ()

    @property
    def metric(self) -> str:
        """Name of the quality metric."""
        return next(o.name for o in self.objectives if o.name not in COSTS)

    @property
    def costs(self) -> tuple[str, ...]:
        """Names of the other objectives."""
        return tuple(o.name for o in self.objectives if o.name in COSTS)

    @property
    def finished(self) -> int:
        """How many trials have ended."""
        return finished_of(self.counts)

    @property
    def members(self) -> tuple[Point, ...]:
        """The trials on the front, whichever trials are listed."""
        return tuple(point for point in self.trials if point.on_front)

    def estimated(self, name: str) -> bool:
        """Whether the values of objective ``name`` are estimates."""
        return any(o.name == name and o.grade == "estimated" for o in self.objectives)

    def point(self, number: int) -> Point | None:
        """Return the listed trial of this number, if there is one."""
        return next((point for point in self.trials if point.number == number), None)
