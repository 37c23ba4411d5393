"""What the report page shows, as plain JSON: points, history, statistics, environment.

Pure: the same front and study give the same view. Numbers keep six significant digits, so that a
page of thousands of trials stays small. Texts are as they were given; the page escapes them.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from itertools import pairwise
from typing import Any

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.config import flatten
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.quantities import (
    ESTIMATE_FACTOR,
    ESTIMATED,
    UNITS,
    duration,
)
from pareto_prune.core.records import (
    DENSE_STARTER,
    Candidate,
    Study,
    Trial,
    TrialState,
    VocabularyCut,
)
from pareto_prune.results.cautions import cautions
from pareto_prune.results.cold import hot_and_cold
from pareto_prune.results.front import front_of
from pareto_prune.results.history import history
from pareto_prune.results.measured_as import measured_as
from pareto_prune.results.records import Confirmed, Front, NamedReference, Point
from pareto_prune.results.report.environment import environment_rows
from pareto_prune.results.report.notes import notes_of
from pareto_prune.results.rivals import beside_fastest
from pareto_prune.results.savings import savings
from pareto_prune.results.selection import explain
from pareto_prune.results.yardstick import yardstick_of

VIEW_VERSION = 1
_EXPLAINED = 60
_HISTORY_POINTS = 1000
Json = dict[str, Any]


def view_of(front: Front, study: Study) -> Json:
    """Return everything the page of ``front`` shows, in JSON types.

    Args:
        front: of ``study``.
        study: for the trials that are not on the front, the times and the environment.
    """
    every = front_of(study, all_trials=True)
    steps = history(study)
    return {
        "version": VIEW_VERSION,
        "study": study.name,
        "about": _about(study, every),
        "objectives": _objectives(front),
        "units": {name: asdict(unit) for name, unit in UNITS.items()},
        "estimate": {"mark": ESTIMATED, "factor": ESTIMATE_FACTOR},
        "metric": front.metric,
        "dense": _dense(front),
        "points": _points(every, study),
        "export": _export(study, {}),
        "references": [_reference(reference, front) for reference in front.references],
        "counts": front.counts,
        "floor": _rounded(front.floor),
        "below_floor": front.below_floor,
        "hypervolume": _rounded(front.hypervolume),
        "hypervolume_v1": _rounded(front.hypervolume_v1),
        "at_points_lost": [at.to_json() for at in front.at_points_lost],
        "knee": front.knee,
        "recommended": front.recommended.to_json() if front.recommended else None,
        "cautions": list(cautions(front)),
        "explained": _explained(every),
        "history": _thinned(
            [[s.trials, _rounded(s.seconds), _rounded(s.hypervolume)] for s in steps]
        ),
        "searched": duration(steps[-1].seconds) if steps else None,
        "strategies": _statistics(every, lambda point: point.strategy),
        "importances": _statistics(every, lambda point: point.importance),
        "starters": _starters(every),
        "stops": _stops(study, every),
        "failures": _failures(study),
        "notes": notes_of(front, study),
        "environment": environment_rows(study),
        "config": [[key, _text(value)] for key, value in flatten(study.config).items()],
    }


def _about(study: Study, front: Front) -> list[str]:
    """Return model, data, device and size of the study, as far as they are known."""
    config = flatten(study.config)
    finished = front.finished
    parts = [
        config.get("model.path"),
        config.get("data.path"),
        study.reference.environment.device if study.reference else None,
        f"{finished} trials" if finished != 1 else "1 trial",
    ]
    return [str(part) for part in parts if part]


def _objectives(front: Front) -> list[Json]:
    return [
        {
            "name": o.name,
            "label": OBJECTIVES[o.name].label,
            "unit": o.unit,
            "direction": o.direction,
            "kind": OBJECTIVES[o.name].kind,
            "speed": OBJECTIVES[o.name].is_speed,
            "grade": o.grade,
            "source": o.source,
            "estimated": o.grade == "estimated",
        }
        for o in front.objectives
    ]


def _dense(front: Front) -> Json | None:
    if front.reference is None:
        return None
    names = [o.name for o in front.objectives]
    return {
        "values": [_rounded(front.reference.get(name)) for name in names],
        **_bounds(names, front.reference_intervals, front.reference),
        "parameters": front.reference.get("parameters"),
        "trial": next((p.number for p in front.members if p.starter == DENSE_STARTER), None),
        **_shape(front.reference_architecture),
    }


def _points(every: Front, study: Study) -> list[Json]:
    """Return every trial that has all objectives; the others have nothing to draw."""
    names = [o.name for o in every.objectives]
    candidates = {t.number: t.candidate for t in study.trials if t.candidate}
    vocabularies = {t.number: t.result.vocabulary for t in study.trials if t.result}
    return [
        _point(point, names, candidates.get(point.number))
        | _cold(every, point)
        | _rival(every, point)
        | _own_export(study, candidates.get(point.number))
        | _vocabulary(vocabularies.get(point.number))
        for point in every.trials
        if all(name in point.values for name in names)
    ]


def _cold(every: Front, point: Point) -> Json:
    """Return how fast a member of the front is hot and cold, where both are known."""
    said = hot_and_cold(every, point) if point.on_front else None
    return {"cold": f"{said[0].upper()}{said[1:]}."} if said else {}


def _rival(every: Front, point: Point) -> Json:
    """Return what a member of the front costs against the fastest reference, if that is fast."""
    said = beside_fastest(every, point) if point.on_front else None
    return {"rival": f"{said[0].upper()}{said[1:]}."} if said else {}


def _vocabulary(cut: VocabularyCut | None) -> Json:
    """Return what a point kept of the vocabulary, where it did not keep all."""
    return {"vocabulary": cut.sentence()} if cut else {}


def _own_export(study: Study, candidate: Candidate | None) -> Json:
    """Return the options of a point that was deployed otherwise than the study says."""
    deployment = candidate.deployment if candidate else {}
    return {"export": _export(study, deployment)} if deployment else {}


def _export(study: Study, deployment: Mapping[str, str | int]) -> str:
    """Return the options that export a model as it was measured."""
    measured = measured_as(study, deployment)
    return f"--format {measured.format} --dtype {measured.dtype}"


def _point(point: Point, names: Sequence[str], candidate: Candidate | None) -> Json:
    fields = {
        "number": point.number,
        "state": _state(point),
        "strategy": point.strategy,
        "importance": point.importance,
        "starter": point.starter,
        "parent": point.parent,
        "steps": point.steps,
        "front": point.on_front,
        "confirmed": point.confirmed or None,
        "again": _again(point.confirmation, names) if point.confirmation else None,
        "values": [_rounded(point.values[name]) for name in names],
        **_bounds(names, point.intervals, point.values),
        "parameters": point.parameters,
        "native": point.native,
        "target": _rounded(candidate.cost_target if candidate else None),
        "reason": point.reason if not point.on_front else None,
        **_shape(point.architecture),
    }
    return {key: value for key, value in fields.items() if value is not None}


def _again(found: Confirmed, names: Sequence[str]) -> Json:
    """Return what a point was found to be when it was retrained and measured afresh."""
    return {
        "retrainings": found.retrainings,
        "values": [_rounded(found.values.get(name)) for name in names],
        **_bounds(names, found.intervals, found.values),
    }


def _state(point: Point) -> str:
    if _infeasible(point):
        return "infeasible"
    return "too low" if point.below_floor else point.state.value


def _infeasible(point: Point) -> bool:
    return point.state is TrialState.COMPLETE and not point.feasible


def _bounds(names: Sequence[str], intervals: Any, values: Any) -> Json:
    """Return the ends of the intervals by objective; a value without one is its own."""
    ends = [intervals.get(name) or (values.get(name), values.get(name)) for name in names]
    return {
        "low": [_rounded(low) for low, _ in ends],
        "high": [_rounded(high) for _, high in ends],
    }


def _shape(architecture: Architecture | None) -> Json:
    if architecture is None:
        return {}
    layers = [[layer.heads, layer.neurons] for layer in architecture.layers]
    return {"hidden": architecture.hidden, "layers": layers}


def _reference(reference: NamedReference, front: Front) -> Json:
    names = [o.name for o in front.objectives]
    return {
        "name": reference.name,
        "values": [_rounded(reference.values.get(name)) for name in names],
        **_bounds(names, reference.intervals, reference.values),
        "parameters": reference.parameters,
        **_shape(reference.architecture),
    }


def _explained(every: Front) -> dict[str, Json]:
    """Return the explanation of the members of the front, while there are not too many."""
    chosen = {every.knee, every.recommended.trial if every.recommended else None}
    members = every.members
    if len(members) > _EXPLAINED:
        members = tuple(point for point in members if point.number in chosen)
    explained = {str(point.number): explain(every, point.number) for point in members}
    return {
        number: {"sentences": selection.sentences[1:], "tied": selection.tied}
        for number, selection in explained.items()
    }


def _statistics(every: Front, key: Callable[[Point], str | None]) -> list[Json]:
    """Return, by what ``key`` gives, how the trials of the search ended and what was best."""
    groups: dict[str, list[Point]] = defaultdict(list)
    for point in every.trials:
        name = key(point)
        if name and point.state.finished and point.starter != DENSE_STARTER:
            groups[name].append(point)
    rows = [_statistic(name, found, every) for name, found in groups.items()]
    return sorted(rows, key=lambda row: (-row["front"], -row["trials"], row["name"]))


def _statistic(name: str, found: Sequence[Point], every: Front) -> Json:
    states = Counter("infeasible" if _infeasible(p) else p.state.value for p in found)
    good = [p for p in found if p.state is TrialState.COMPLETE and p.feasible and p.values]
    measure = yardstick_of(every)
    return {
        "name": name,
        "trials": len(found),
        "front": sum(point.on_front for point in found),
        "complete": states["complete"],
        "infeasible": states["infeasible"],
        "stopped": states["stopped"],
        "failed": states["failed"],
        "best": _rounded(max((p.values.get(every.metric, -math.inf) for p in good), default=None)),
        "cheapest": _rounded(min((measure.cost(p.relative) for p in good), default=None)),
    }


def _starters(every: Front) -> list[Json]:
    return [
        {"name": p.starter, "number": p.number, "state": p.state.value, "front": p.on_front}
        for p in every.trials
        if p.starter
    ]


def _stops(study: Study, front: Front) -> Json | None:
    """Return what stopping early saved, and how often it was wrong."""
    found = savings(study, {point.number for point in front.members})
    if found is None:
        return None
    seconds = {name: _rounded(getattr(found, name)) for name in ("saved_seconds", "spent_seconds")}
    return found.to_json() | seconds | {"saved": duration(found.saved_seconds)}


def _failures(study: Study) -> list[Json]:
    found: dict[str, list[Trial]] = defaultdict(list)
    for trial in study.trials:
        if trial.state is TrialState.FAILED:
            failure = trial.result.failure if trial.result else None
            found[failure.kind if failure else "unknown"].append(trial)
    return [_failure(kind, trials) for kind, trials in sorted(found.items())]


def _failure(kind: str, trials: Sequence[Trial]) -> Json:
    failure = trials[-1].result.failure if trials[-1].result else None
    return {
        "kind": kind,
        "reason": failure.reason if failure else "",
        "trials": [trial.number for trial in trials],
    }


def _thinned(steps: list[list[Any]]) -> list[list[Any]]:
    """Keep the steps where the hypervolume grew, and the ends, when there are too many."""
    if len(steps) <= _HISTORY_POINTS:
        return steps
    grew = [b for a, b in pairwise(steps) if b[2] != a[2]]
    return [steps[0], *grew, steps[-1]]


def _rounded(value: float | None) -> float | None:
    """Return a number at six significant digits; ``None`` where it is not finite."""
    if value is None or not math.isfinite(value):
        return None
    return float(f"{value:.6g}")


def _text(value: object) -> str:
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(value).lower() if isinstance(value, bool) else str(value)
