"""The front of a study: which trials nothing beats, how good they are together, which to look at.

::

    Study ──► values ──► dominance ──► members ──► hypervolume, speed-up at 1, 2, 3 points lost
              (search     (dense        of the     knee, recommended point
               values)     included)    front

Pure functions on records; made anew at every reading, never stored. Loads neither torch nor Optuna.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pydantic
from numpy.typing import NDArray

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.objectives import OBJECTIVES, QUALITY_METRICS, Objective
from pareto_prune.core.quantities import change, points, times
from pareto_prune.core.record import Record
from pareto_prune.core.records import (
    Confirmation,
    DenseReference,
    Grade,
    Interval,
    Quality,
    Study,
    Trial,
    TrialResult,
    TrialState,
)
from pareto_prune.results.dominance import gain, hypervolume, nondominated

DENSE = "dense"
QUALITY_SHARE = 0.2
TIMES_CHEAPER = 16.0
POINTS_LOST = (1, 2, 3)
PLATEAU_RISE = 0.01
_LONGEST_PAUSE = 60.0
_SPEEDS = ("latency_ms", "latency_p95_ms", "throughput")
_DEFAULT_OBJECTIVES = ("accuracy", "latency_ms", "energy_j")


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
        tied: other confirmed points of the front that it cannot be told from: the 95 % intervals
            overlap in every objective.
        matched_by: the cheapest other confirmed point of the front that is nowhere dearer beyond
            noise and whose metric is the same within it; ``None`` where there is none cheaper.
    """

    retrainings: int
    steps: int
    values: dict[str, float]
    intervals: dict[str, Interval]
    relative: dict[str, float]
    tied: tuple[int, ...] = ()
    matched_by: int | None = None


class Point(Record):
    """One trial as the front holds it.

    Attributes:
        state: ``complete``, ``stopped``, ``failed``, ``running`` or ``waiting``.
        confirmed: whether the trial was retrained and measured again after the search.
        confirmation: what it was found to be then; ``values`` stay those of the search.
        values: the objectives; of a trial stopped early, as far as they are known.
        intervals: 95 % intervals of ``values``.
        relative: cost objectives as shares of the dense model's.
        on_front: whether nothing dominates it.
        feasible: whether it keeps the study's constraints.
        reason: why it is not complete or not feasible, if so.
    """

    number: int
    state: TrialState
    strategy: str | None = None
    importance: str | None = None
    starter: str | None = None
    confirmed: bool = False
    confirmation: Confirmed | None = None
    parameters: int | None = None
    bytes: int | None = None
    values: dict[str, float] = pydantic.Field(default_factory=dict)
    intervals: dict[str, Interval] = pydantic.Field(default_factory=dict)
    relative: dict[str, float] = pydantic.Field(default_factory=dict)
    architecture: Architecture | None = None
    on_front: bool = False
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
        hypervolume: share of the unit box that the front dominates; ``None`` where the dense
            model is not there yet or does not beat chance.
        reference: values of the dense model by objective, with ``parameters`` and ``bytes``.
        chance: the metric of always answering the majority class.
        examples: validation examples behind the metric.
        constraints: of the study file.
        counts: trials by state; ``infeasible`` ones are among ``complete``.
        knee: number of the trial at the knee.
        trials: the front's members, best metric first; or every trial by number.
    """

    study: str
    hypervolume: float | None
    objectives: tuple[FrontObjective, ...]
    reference: dict[str, int | float] | None
    reference_intervals: dict[str, Interval] = pydantic.Field(default_factory=dict)
    reference_architecture: Architecture | None = None
    chance: float | None = None
    examples: int | None = None
    constraints: dict[str, str] = pydantic.Field(default_factory=dict)
    counts: dict[str, int] = pydantic.Field(default_factory=dict)
    at_points_lost: tuple[AtPointsLost, ...] = ()
    knee: int | None = None
    recommended: Recommendation | None = None
    references: tuple[NamedReference, ...] = ()
    trials: tuple[Point, ...] = ()

    @property
    def metric(self) -> str:
        """Name of the quality metric."""
        return next(o.name for o in self.objectives if o.name in QUALITY_METRICS)

    @property
    def costs(self) -> tuple[str, ...]:
        """Names of the other objectives."""
        return tuple(o.name for o in self.objectives if o.name not in QUALITY_METRICS)

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


class HistoryPoint(NamedTuple):
    """The hypervolume after ``trials`` finished trials.

    ``seconds`` count from the creation of the study, without pauses of over a minute between
    trials in which nothing ran.
    """

    trials: int
    number: int
    seconds: float
    hypervolume: float


@dataclass(frozen=True)
class Yardstick:
    """What the values of a study are held against.

    Attributes:
        objectives: in the study's order.
        reference: values of the dense model; empty until it was measured.
        chance: the metric of always answering the majority class.
    """

    objectives: tuple[Objective, ...]
    reference: dict[str, float]
    chance: float

    @property
    def metric(self) -> Objective:
        """The quality metric."""
        return next(o for o in self.objectives if o.kind == "quality")

    @property
    def costs(self) -> tuple[Objective, ...]:
        """The other objectives."""
        return tuple(o for o in self.objectives if o.kind != "quality")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the objectives."""
        return tuple(o.name for o in self.objectives)

    @property
    def complete(self) -> bool:
        """Whether the dense model has every objective."""
        return all(name in self.reference for name in self.names)

    @property
    def beats_chance(self) -> bool:
        """Whether there is a metric to lose."""
        return self.complete and self.reference[self.metric.name] > self.chance

    def values(self, rows: Iterable[Mapping[str, float]]) -> NDArray[np.float64]:
        """Return the objectives of ``rows``, shape ``(n, objectives)``."""
        table = [[row[name] for name in self.names] for row in rows]
        return np.array(table, dtype=np.float64).reshape(len(table), len(self.names))

    def signs(self) -> NDArray[np.float64]:
        """Return +1 for objectives that are minimised, -1 for the others."""
        return np.array([o.sign for o in self.objectives], dtype=np.float64)

    def coordinates(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return hypervolume coordinates of ``values``, shape ``(n, objectives)``, not clipped.

        The metric is 1 at the dense model and 0 where a fifth of what the dense model has over
        chance is lost; a cost is 0 at the dense model and 1 at 16 times cheaper, by logarithm.
        """
        columns = [
            self._coordinate(objective, values[:, i]) for i, objective in enumerate(self.objectives)
        ]
        return np.stack(columns, axis=1)

    def _coordinate(self, objective: Objective, values: NDArray[np.float64]) -> NDArray[np.float64]:
        dense = self.reference[objective.name]
        if objective.kind == "quality":
            return 1 - (dense - values) / (QUALITY_SHARE * (dense - self.chance))
        cheaper = np.log(dense / values) / math.log(TIMES_CHEAPER)
        return objective.sign * cheaper

    def relative(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the costs among ``values`` as shares of the dense model's."""
        return {
            o.name: values[o.name] / self.reference[o.name]
            for o in self.costs
            if o.name in values and self.reference.get(o.name)
        }

    def promising(self, values: Mapping[str, float], dearest: float) -> bool:
        """Whether values are where a search is to look.

        They are where the metric has a hypervolume coordinate above 0 and some cost is at most
        ``dearest``, a share of the dense model's. True as long as that cannot be told.
        """
        relative = self.relative(values)
        if not self.beats_chance or not relative:
            return True
        metric = values.get(self.metric.name, math.nan)
        kept = self._coordinate(self.metric, np.array([metric]))[0] > 0
        signs = {o.name: o.sign for o in self.costs}
        return bool(kept) and min(v ** signs[name] for name, v in relative.items()) <= dearest

    def cost(self, relative: Mapping[str, float]) -> float:
        """Return the geometric mean of the costs of a point, 1 for the dense model."""
        logs = [o.sign * math.log(relative[o.name]) for o in self.costs if relative.get(o.name)]
        return math.exp(sum(logs) / len(logs)) if logs else 1.0


def yardstick(study: Study) -> Yardstick:
    """Return what the values of ``study`` are held against."""
    names = study.config.get("objectives") or _DEFAULT_OBJECTIVES
    return yardstick_for([str(name) for name in names], study.reference)  # type: ignore[attr-defined]


def yardstick_for(names: Iterable[str], reference: DenseReference | None) -> Yardstick:
    """Return what objectives are held against; ``reference`` is ``None`` until it is measured."""
    objectives = tuple(OBJECTIVES[name] for name in names)
    values = reference_values(reference, objectives) if reference else {}
    return Yardstick(objectives, values, reference.chance if reference else 0.0)


def reference_values(
    reference: DenseReference, objectives: Sequence[Objective]
) -> dict[str, float]:
    """Return the dense model's values of ``objectives``, as far as they are known."""
    known: dict[str, float | None] = {
        "parameters": reference.parameters,
        "bytes": reference.bytes,
        **reference.quality.metrics,
        **{name: reading.value for name, reading in reference.measurement.readings.items()},
    }
    found = ((o.name, known.get(o.name)) for o in objectives)
    return {name: value for name, value in found if value is not None and math.isfinite(value)}


def yardstick_of(front: Front) -> Yardstick:
    """Return what the values of ``front`` are held against."""
    objectives = tuple(OBJECTIVES[o.name] for o in front.objectives)
    return Yardstick(objectives, front.reference or {}, front.chance or 0.0)


def front_of(study: Study, all_trials: bool = False) -> Front:
    """Return the front of ``study``.

    The dense model takes part; infeasible, early-stopped and failed trials do not.

    Args:
        study: as the storage holds it.
        all_trials: list every trial with its state, not only the members of the front.
    """
    measure = yardstick(study)
    on_front = {trial.number for trial in _members(study.trials, measure)}
    listed = [t for t in study.trials if all_trials or t.number in on_front]
    trials = [_point(trial, measure, trial.number in on_front) for trial in listed]
    trials = _with_confirmations(trials, study.confirmations, measure)
    if all_trials:
        trials.sort(key=lambda point: point.number)
    else:
        trials.sort(key=lambda point: (-point.values[measure.metric.name], point.number))
    members = [point for point in trials if point.on_front]
    knee = _knee(members, measure)
    return Front(
        study=study.name,
        hypervolume=_hypervolume(members, measure),
        objectives=tuple(_objective(o, study.reference) for o in measure.objectives),
        constraints=_texts(study.config.get("constraints")),
        counts=_counts(study.trials),
        at_points_lost=_at_points_lost(members, measure),
        knee=knee,
        recommended=_recommended(members, measure, knee, _standard_error(study, measure)),
        references=tuple(_named(result, measure) for result in study.references),
        trials=tuple(trials),
        **_dense_fields(study.reference, measure),
    )


def history(study: Study) -> list[HistoryPoint]:
    """Return the hypervolume after every finished trial, in the order in which they ended.

    Empty where there is no hypervolume: see :class:`Front`.
    """
    measure = yardstick(study)
    if not measure.beats_chance:
        return []
    finished = [trial for trial in study.trials if trial.state.finished]
    finished.sort(key=lambda trial: (trial.ended or 0.0, trial.number))
    seconds = _active_seconds(study.created, finished)
    front = np.zeros((0, len(measure.objectives)))
    volume = 0.0
    points: list[HistoryPoint] = []
    for count, trial in enumerate(finished, 1):
        if competes(trial, measure):
            added = _clipped([_result(trial).values], measure)[0]
            volume, front = _grown(volume, front, added)
        points.append(HistoryPoint(count, trial.number, seconds[count - 1], volume))
    return points


def plateaued(study: Study, trials: int | None) -> bool:
    """Whether the last ``trials`` finished trials raised the hypervolume by less than 1 %.

    Never before there is a hypervolume above 0, nor without a number of trials.
    """
    if trials is None:
        return False
    volumes = [point.hypervolume for point in history(study)]
    if len(volumes) <= trials or volumes[-trials - 1] <= 0:
        return False
    return volumes[-1] < (1 + PLATEAU_RISE) * volumes[-trials - 1]


def competes(trial: Trial, measure: Yardstick) -> bool:
    """Whether ``trial`` can be on the front: complete, feasible, every objective finite."""
    if trial.state is not TrialState.COMPLETE or trial.result is None:
        return False
    values = trial.result.values
    known = all(math.isfinite(values.get(name, math.nan)) for name in measure.names)
    return known and _feasible(trial.result)


def tied(one: Point | Confirmed, other: Point | Confirmed, names: Iterable[str]) -> bool:
    """Whether the intervals of two points overlap in every objective of ``names``."""
    return all(_overlap(_interval(one, name), _interval(other, name)) for name in names)


def _grown(
    volume: float, front: NDArray[np.float64], added: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    if (front >= added).all(axis=1).any():
        return volume, front
    kept = front[~(front <= added).all(axis=1)]
    return volume + max(0.0, gain(front, added)), np.concatenate((kept, added[None]))


def _active_seconds(created: float, finished: Sequence[Trial]) -> list[float]:
    """Return the seconds from ``created`` to the end of each trial, without the long pauses."""
    ends = [trial.ended or created for trial in finished]
    spans = sorted(
        (trial.started or end, end) for trial, end in zip(finished, ends, strict=True) if end
    )
    pauses: list[tuple[float, float]] = []
    busy_until = math.inf
    for start, end in spans:
        if start - busy_until > _LONGEST_PAUSE:
            pauses.append((start, start - busy_until))
        busy_until = end if busy_until == math.inf else max(busy_until, end)
    starts = np.array([start for start, _ in pauses])
    lost = np.concatenate(([0.0], np.cumsum([length for _, length in pauses])))
    passed = np.searchsorted(starts, np.array(ends), side="right")
    return [max(0.0, end - created - float(lost[i])) for end, i in zip(ends, passed, strict=True)]


def _members(trials: Sequence[Trial], measure: Yardstick) -> list[Trial]:
    competing = [trial for trial in trials if competes(trial, measure)]
    rows: list[Mapping[str, float]] = [_result(trial).values for trial in competing]
    if measure.complete and not any(_starter(trial) == DENSE for trial in competing):
        rows.append(measure.reference)
    kept = nondominated(measure.values(rows) * measure.signs())
    return [trial for trial, keep in zip(competing, kept, strict=False) if keep]


def _point(trial: Trial, measure: Yardstick, on_front: bool) -> Point:
    candidate, result = trial.candidate, trial.result
    if candidate is None and result is not None:
        candidate = result.candidate
    fields = _result_fields(result, measure) if result else {}
    return Point(
        number=trial.number,
        state=trial.state,
        strategy=candidate.strategy if candidate else None,
        importance=candidate.importance if candidate else None,
        starter=candidate.starter if candidate else None,
        on_front=on_front,
        **fields,
    )


def _result_fields(result: TrialResult, measure: Yardstick) -> dict[str, Any]:
    finite = {name: v for name, v in result.values.items() if math.isfinite(v)}
    return {
        "parameters": result.parameters,
        "bytes": result.bytes,
        "values": finite,
        "intervals": {name: i for name, i in result.intervals.items() if name in finite},
        "relative": measure.relative(finite),
        "architecture": result.architecture,
        "feasible": _feasible(result),
        "reason": _reason(result),
    }


def _with_confirmations(
    points: Sequence[Point], confirmations: Sequence[Confirmation], measure: Yardstick
) -> list[Point]:
    """Return the points, each with its confirmation where there is one."""
    found = {one.number: _confirmed(one, measure) for one in confirmations}
    members = {p.number: found[p.number] for p in points if p.on_front and p.number in found}
    return [
        point.model_copy(
            update={"confirmed": True, "confirmation": _tied(point.number, found, members, measure)}
        )
        if point.number in found
        else point
        for point in points
    ]


def _confirmed(one: Confirmation, measure: Yardstick) -> Confirmed:
    return Confirmed(
        retrainings=len(one.metrics),
        steps=one.steps,
        values=one.values,
        intervals=one.intervals,
        relative=measure.relative(one.values),
    )


def _tied(
    number: int,
    found: Mapping[int, Confirmed],
    members: Mapping[int, Confirmed],
    measure: Yardstick,
) -> Confirmed:
    """Return a confirmation with the members of the front that are no different, or as good."""
    own = found[number]
    others = {n: one for n, one in members.items() if n != number}
    names, metric = measure.names, measure.metric.name
    ties = tuple(n for n, one in others.items() if tied(own, one, names))
    cheaper = {
        n: cost
        for n, one in others.items()
        if tied(own, one, (metric,))
        and (cost := measure.cost(one.relative)) < measure.cost(own.relative)
        and not any(_dearer(one, own, objective) for objective in measure.costs)
    }
    least = min(cheaper, key=lambda n: (cheaper[n], n), default=None)
    return own.model_copy(update={"tied": ties, "matched_by": least})


def _dearer(one: Confirmed, other: Confirmed, objective: Objective) -> bool:
    """Whether a cost of one is above that of the other, beyond noise."""
    mine, theirs = _interval(one, objective.name), _interval(other, objective.name)
    return mine[0] > theirs[1] if objective.sign > 0 else mine[1] < theirs[0]


def _reason(result: TrialResult) -> str | None:
    if result.failure:
        return f"{result.failure.kind}: {result.failure.reason}"
    if result.stop_reason and not result.audited:
        return result.stop_reason
    broken = [name for name, violation in result.violations.items() if violation > 0]
    if broken:
        return f"breaks the constraint on {', '.join(broken)}"
    return (
        f"an audit ran on, it would have been stopped: {r}" if (r := result.stop_reason) else None
    )


def _named(result: TrialResult, measure: Yardstick) -> NamedReference:
    return NamedReference(
        name=result.candidate.starter or result.candidate.strategy,
        parameters=result.parameters,
        values=result.values,
        intervals=result.intervals,
        relative=measure.relative(result.values),
        architecture=result.architecture,
    )


def _objective(objective: Objective, reference: DenseReference | None) -> FrontObjective:
    reading = reference.measurement.readings.get(objective.name) if reference else None
    return FrontObjective(
        name=objective.name,
        unit=objective.unit,
        direction=objective.direction,
        grade=reading.grade if reading else None,
        source=reading.source if reading else None,
    )


def _dense_fields(reference: DenseReference | None, measure: Yardstick) -> dict[str, Any]:
    if reference is None:
        return {"reference": None}
    readings = reference.measurement.readings
    intervals = {name: r.interval for name, r in readings.items()} | reference.quality.intervals
    sizes = {"parameters": reference.parameters, "bytes": reference.bytes}
    return {
        "reference": measure.reference | sizes,
        "reference_intervals": {
            name: intervals[name] for name in measure.names if intervals.get(name)
        },
        "reference_architecture": reference.architecture,
        "chance": reference.chance,
        "examples": reference.quality.examples,
    }


def _counts(trials: Sequence[Trial]) -> dict[str, int]:
    states = Counter(trial.state.value for trial in trials)
    infeasible = sum(
        t.state is TrialState.COMPLETE and t.result is not None and not _feasible(t.result)
        for t in trials
    )
    return {state.value: states[state.value] for state in TrialState} | {"infeasible": infeasible}


def _clipped(rows: Sequence[Mapping[str, float]], measure: Yardstick) -> NDArray[np.float64]:
    return np.clip(measure.coordinates(measure.values(rows)), 0.0, 1.0)


def _hypervolume(members: Sequence[Point], measure: Yardstick) -> float | None:
    if not measure.beats_chance:
        return None
    return hypervolume(_clipped([point.values for point in members], measure))


def _at_points_lost(members: Sequence[Point], measure: Yardstick) -> tuple[AtPointsLost, ...]:
    if not measure.complete:
        return ()
    return tuple(_at_loss(lost, members, measure) for lost in POINTS_LOST)


def _at_loss(lost: int, members: Sequence[Point], measure: Yardstick) -> AtPointsLost:
    metric = measure.metric.name
    floor = measure.reference[metric] - lost / 100 - 1e-9
    enough = [point for point in members if point.values[metric] >= floor]
    speed = next((o for o in measure.costs if o.name in _SPEEDS), None)
    energy = next((o for o in measure.costs if o.name == "energy_j"), None)
    time, speedup_trial = _cheapest(enough, speed)
    joules, energy_trial = _cheapest(enough, energy)
    return AtPointsLost(
        points=lost,
        speedup=1 / time if time else None,
        speedup_trial=speedup_trial,
        energy_ratio=joules,
        energy_trial=energy_trial,
    )


def _cheapest(
    members: Sequence[Point], objective: Objective | None
) -> tuple[float | None, int | None]:
    """Return the least cost ratio, at most 1, and whose it is (``None``: the dense model's)."""
    if objective is None:
        return None, None
    ratios = [(p.relative[objective.name] ** objective.sign, p.number) for p in members]
    least = min(ratios, default=(1.0, -1))
    return least if least[0] < 1 else (1.0, None)


def _knee(members: Sequence[Point], measure: Yardstick) -> int | None:
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
    return next((point.number for point in nearest if point.starter != DENSE), None)


def _standard_error(study: Study, measure: Yardstick) -> float:
    """Return the standard error of the dense model's metric; 0 where it is not known."""
    if study.reference is None:
        return 0.0
    return standard_error(study.reference.quality, measure.metric.name)


def standard_error(quality: Quality, metric: str) -> float:
    """Return the standard error of a metric; 0 where it is not known."""
    if metric in quality.intervals:
        low, high = quality.intervals[metric]
        return (high - low) / (2 * 1.96)
    share = quality.metrics.get(metric, 0.0)
    if metric != "accuracy" or not 0 <= share <= 1:
        return 0.0
    return math.sqrt(share * (1 - share) / max(1, quality.examples))


def _recommended(
    members: Sequence[Point], measure: Yardstick, knee: int | None, error: float
) -> Recommendation | None:
    """Recommend the cheapest point that is as good as the dense model, else the knee.

    As good: at most a point or one standard error below it, but never over two points (the rule
    of one standard error, Breiman et al. 1984, section 3.4.3).
    """
    if not measure.complete:
        return None
    metric = measure.metric
    allowed = min(max(0.01, error), 0.02)
    floor = measure.reference[metric.name] - allowed - 1e-9
    cheaper = [point for point in members if measure.cost(point.relative) < 1]
    good = [point for point in cheaper if point.values[metric.name] >= floor]
    if good:
        best = min(good, key=lambda point: (measure.cost(point.relative), point.number))
        bound = f"within {points(allowed)} of the dense model's {metric.label}"
        return Recommendation(
            trial=best.number, reason=f"the cheapest point {bound}: {gains(best, measure)}"
        )
    at_knee = next((point for point in cheaper if point.number == knee), None)
    if at_knee is None:
        return None
    lost = change(metric.name, measure.reference[metric.name] - at_knee.values[metric.name])
    return Recommendation(
        trial=at_knee.number,
        reason=f"the knee of the front, {lost} of {metric.label} below the dense model: "
        f"{gains(at_knee, measure)} (no point is within {points(allowed)})",
    )


def gains(point: Point, measure: Yardstick) -> str:
    """Say what a point costs against the dense model: ``"2.8× faster, 0.25× the energy"``."""
    parts = [_gain(o, point.relative[o.name]) for o in measure.costs if o.name in point.relative]
    return ", ".join(parts)


def _gain(objective: Objective, ratio: float) -> str:
    if objective.name in _SPEEDS:
        speedup = ratio**-objective.sign
        return f"{times(speedup)} faster" if speedup >= 1 else f"{times(1 / speedup)} slower"
    return f"{times(ratio)} the {objective.label}"


def _feasible(result: TrialResult) -> bool:
    return all(violation <= 0 for violation in result.violations.values())


def _result(trial: Trial) -> TrialResult:
    assert trial.result is not None
    return trial.result


def _starter(trial: Trial) -> str | None:
    return _result(trial).candidate.starter


def _interval(point: Point | Confirmed, name: str) -> Interval:
    value = point.value(name) if isinstance(point, Point) else point.values.get(name)
    exact = math.nan if value is None else value
    return point.intervals.get(name, (exact, exact))


def _overlap(one: Interval, other: Interval) -> bool:
    return one[0] <= other[1] and other[0] <= one[1]


def _texts(table: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in table.items()} if isinstance(table, dict) else {}
