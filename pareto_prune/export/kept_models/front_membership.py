"""Whose models are kept: who joins the front, and who left it when."""

from __future__ import annotations

from pareto_prune.core.records import Study, Trial, TrialResult, TrialState
from pareto_prune.results.front import front_of
from pareto_prune.results.yardstick import Yardstick, yardstick


def joins(study: Study, number: int, result: TrialResult) -> bool:
    """Return whether a trial that ends so would be on the front."""
    if result.state is not TrialState.COMPLETE:
        return False
    others = tuple(trial for trial in study.trials if trial.number != number)
    ended = Trial(number=number, state=TrialState.COMPLETE, result=result)
    front = front_of(study.model_copy(update={"trials": (*others, ended)}))
    return any(point.number == number for point in front.members)


def left_front(study: Study, among: set[int]) -> dict[int, float]:
    """Return when trials that have ended left the front, in seconds since the epoch.

    Those never on it left it when they ended; so do those with a member's very values.
    """
    measure, members = yardstick(study), {point.number for point in front_of(study).members}
    on_it = [trial for trial in study.trials if trial.number in members]
    return {
        trial.number: max([trial.ended or 0.0, *_beaten(trial, on_it, measure)])
        for trial in study.trials
        if trial.number in among - members and trial.state.finished
    }


def _beaten(trial: Trial, members: list[Trial], measure: Yardstick) -> list[float]:
    """Return when the first of the members that dominate a trial ended, if one does."""
    own = _values(trial, measure)
    ends = [
        member.ended or 0.0
        for member in members
        if own and all(a <= b for a, b in zip(_values(member, measure), own, strict=True))
    ]
    return [min(ends)] if ends else []


def _values(trial: Trial, measure: Yardstick) -> list[float]:
    """Return the objectives of a trial, all minimised; empty where one is not known."""
    values = trial.result.values if trial.result else {}
    if any(name not in values for name in measure.names):
        return []
    return [objective.sign * values[objective.name] for objective in measure.objectives]
