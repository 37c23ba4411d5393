"""A trial that can be taken home: it has a result, that of its confirmation where it has one."""

from __future__ import annotations

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.records import (
    DENSE_STARTER,
    Candidate,
    DenseReference,
    Interval,
    Study,
    Trial,
    TrialResult,
    TrialState,
)
from pareto_prune.results.front import front_of


def finished(study: Study, number: int | str) -> Trial:
    """Return a trial of a study, as it was confirmed where it was.

    Args:
        study: as it stands.
        number: of the trial; ``dense`` for the dense model, whether it is a trial or not.

    Raises:
        UserError: there is no such trial, or it has no result.
    """
    if number == DENSE_STARTER:
        return _dense(study)
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


def is_dense(trial: Trial) -> bool:
    """Whether a trial is of the dense model as it is, which has a folder of its own."""
    return result_of(trial).candidate.starter == DENSE_STARTER


def _dense(study: Study) -> Trial:
    """Return the trial of the dense model that the study made; one made up where there is none."""
    reference = study.reference
    if reference is None:
        wrong = "has not made its dense model yet"
        raise UserError(Problem(f"study {study.name!r}", wrong, "allowed: after its first trial"))
    own = next((t for t in study.trials if t.result and t.result.values and is_dense(t)), None)
    if own is not None:
        weights = {"artifact": None, "artifact_digest": None}
        return own.model_copy(update={"result": result_of(own).model_copy(update=weights)})
    result = TrialResult(
        candidate=Candidate(strategy="none", importance="none", starter=DENSE_STARTER),
        architecture=reference.architecture,
        quality=reference.quality,
        measurement=reference.measurement,
        values=_standing(reference),
        intervals=_intervals(reference),
        environment=reference.environment,
    )
    return Trial(number=-1, state=TrialState.COMPLETE, result=result)


def _standing(reference: DenseReference) -> dict[str, float]:
    readings = reference.measurement.readings.items()
    sizes = {"parameters": float(reference.parameters), "bytes": float(reference.bytes)}
    costs = {name: each.value for name, each in readings if each.value is not None}
    return {**reference.quality.metrics, **sizes, **costs}


def _intervals(reference: DenseReference) -> dict[str, Interval]:
    readings = reference.measurement.readings.items()
    costs = {name: each.interval for name, each in readings if each.interval is not None}
    return {**reference.quality.intervals, **costs}


def result_of(trial: Trial) -> TrialResult:
    """Return the result of a trial that has one."""
    assert trial.result is not None
    return trial.result
