"""A trial that can be taken home: it has a result, that of its confirmation where it has one."""

from __future__ import annotations

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.records import Study, Trial, TrialResult
from pareto_prune.results.front import front_of


def finished(study: Study, number: int) -> Trial:
    """Return a trial of a study, as it was confirmed where it was.

    Raises:
        UserError: there is no such trial, or it has no result.
    """
    trial = next((t for t in study.trials if t.number == number), None)
    trial = trial and _as_confirmed(study, trial)
    listed = ", ".join(str(point.number) for point in front_of(study).members) or "none"
    if trial is None or trial.result is None or not trial.result.values:
        wrong = f"there is no trial {number}" if trial is None else f"is {trial.state.value}"
        where = f"study {study.name!r}" if trial is None else f"trial {number}"
        raise UserError(Problem(where, wrong, f"on the front: {listed}"))
    return trial


def _as_confirmed(study: Study, trial: Trial) -> Trial:
    """Return the trial with what confirming it found, weights included, where it was confirmed."""
    found = next((one for one in study.confirmations if one.number == trial.number), None)
    if found is None or trial.result is None:
        return trial
    update = {"values": found.values, "intervals": found.intervals, "artifact": found.artifact}
    update["artifact_digest"] = found.artifact_digest
    measured = {"measurement": found.measurement, "environment": found.environment}
    return trial.model_copy(update={"result": trial.result.model_copy(update=update | measured)})


def result_of(trial: Trial) -> TrialResult:
    """Return the result of a trial that has one."""
    assert trial.result is not None
    return trial.result
