"""The front of a study: which trials nothing beats, how good they are together, which to look at.

::

    Study ──► values ──► dominance ──► members ──► hypervolume, speed-up at 1, 2, 3 points lost
              (search     (dense        of the     knee, recommended point
               values)     included)    front

Pure functions on records; made anew at every reading, never stored. Loads neither torch nor Optuna.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from pareto_prune.core.objectives import Objective
from pareto_prune.core.records import (
    DenseReference,
    Study,
    Trial,
    TrialState,
)
from pareto_prune.results.cold import COLD
from pareto_prune.results.confirmed import with_confirmations
from pareto_prune.results.doubts import doubts_of
from pareto_prune.results.hypervolume import BOX, BOX_V1, Box, hypervolume
from pareto_prune.results.members import below_floor, competes, feasible, members_of
from pareto_prune.results.native import native_trials
from pareto_prune.results.point import named_reference_of, point_of
from pareto_prune.results.points_lost import at_points_lost
from pareto_prune.results.records import Front, FrontObjective, Point
from pareto_prune.results.selection.knee import knee_of
from pareto_prune.results.selection.recommendation import recommended
from pareto_prune.results.standard_error import dense_error
from pareto_prune.results.ties import with_alike
from pareto_prune.results.yardstick import Yardstick, clipped, yardstick


def front_of(study: Study, all_trials: bool = False, native: bool = False) -> Front:
    """Return the front of ``study``.

    The dense model takes part; infeasible, early-stopped and failed trials do not.

    Args:
        study: as the storage holds it.
        all_trials: list every trial with its state, not only the members of the front.
        native: leave out trials whose model no stock class of transformers is known to hold.
    """
    measure, taking_part = yardstick(study), native_trials(study) if native else study.trials
    on_front = {trial.number for trial in members_of(taking_part, measure)}
    listed = [t for t in taking_part if all_trials or t.number in on_front]
    references = tuple(named_reference_of(result, measure) for result in study.references)
    dense = study.reference.architecture if study.reference else None
    trials = [point_of(t, measure, t.number in on_front, references, dense) for t in listed]
    trials = with_alike(trials, study, measure.metric.name)
    trials = with_confirmations(trials, study, measure)
    if all_trials:
        trials.sort(key=lambda point: point.number)
    else:
        trials.sort(key=lambda point: (-point.values[measure.metric.name], point.number))
    members = [point for point in trials if point.on_front]
    knee, doubts = knee_of(members, measure), doubts_of(study, measure)
    star = None if doubts else recommended(members, measure, knee, dense_error(study, measure))
    return Front(
        study=study.name,
        native=native,
        hypervolume=_hypervolume(members, measure, BOX),
        hypervolume_version=BOX.version,
        hypervolume_v1=_hypervolume(members, measure, BOX_V1),
        objectives=tuple(_objective(o, study.reference) for o in measure.objectives),
        constraints=_texts(study.config.get("constraints")),
        broken=_broken(study.trials),
        counts=_counts(study.trials),
        floor=measure.floor,
        below_floor=sum(
            competes(trial, measure) and below_floor(trial, measure) for trial in taking_part
        ),
        at_points_lost=at_points_lost(members, measure),
        knee=knee,
        recommended=star,
        doubts=doubts,
        references=references,
        trials=tuple(trials),
        **_dense_fields(study.reference, measure),
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
    cold = {COLD: readings[COLD].value} if COLD in readings and readings[COLD].value else {}
    return {
        "reference": measure.reference | sizes | cold,
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
        t.state is TrialState.COMPLETE and t.result is not None and not feasible(t.result)
        for t in trials
    )
    return {state.value: states[state.value] for state in TrialState} | {"infeasible": infeasible}


def _broken(trials: Sequence[Trial]) -> dict[str, int]:
    """Return how many complete trials break each constraint, those most broken first."""
    complete = [t.result for t in trials if t.state is TrialState.COMPLETE and t.result]
    found = Counter(name for r in complete for name, over in r.violations.items() if over > 0)
    return dict(found.most_common())


def _hypervolume(members: Sequence[Point], measure: Yardstick, box: Box) -> float | None:
    if not measure.beats_chance:
        return None
    return hypervolume(clipped([point.values for point in members], measure, box))


def _texts(table: object) -> dict[str, str]:
    return {str(k): str(v) for k, v in table.items()} if isinstance(table, dict) else {}
