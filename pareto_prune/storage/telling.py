"""How a trial ends: what its result amounts to, for the study, for samplers and for Optuna."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, select

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import Failure, TrialResult, TrialState
from pareto_prune.storage import events, leases, optuna_tables, trial_rows
from pareto_prune.storage.claims import Claim
from pareto_prune.storage.schema import trials


def tell(
    connection: Connection,
    study: int,
    config: StudyConfig,
    claim: Claim,
    result: TrialResult,
    now: Any,
) -> bool:
    """Write the end of a claimed trial; return whether its lease was still held.

    Args:
        connection: within a transaction.
        study: its id.
        config: its study file.
        claim: of the trial.
        result: as :func:`complete` returns it.
        now: the database's time, a number or an expression.
    """
    if not leases.release(connection, study, claim.lease, claim.token):
        return _already_told(connection, study, claim)
    write_end(connection, study, config, claim, result, now)
    return True


def write_end(
    connection: Connection,
    study: int,
    config: StudyConfig,
    claim: Claim,
    result: TrialResult,
    now: Any,
) -> None:
    """Write the end of a trial whose lease is no more; the arguments are those of :func:`tell`."""
    told = summary(result, config.metric)
    trial_rows.finish(connection, study, claim.number, now, result.state, told)
    trial_rows.write_result(connection, study, claim.number, result)
    _tell_optuna(connection, claim.trial_id, config, result)
    for kind, text in _worth_knowing(result, config.metric):
        events.record(connection, study, now, kind, text, claim.number)


def complete(result: TrialResult, config: StudyConfig) -> TrialResult:
    """Return the result, made a failure where it ran to its end without every objective."""
    missing = [n for n in config.objectives if not math.isfinite(result.values.get(n, math.nan))]
    if not missing or result.state is not TrialState.COMPLETE:
        return result
    failure = Failure(kind="no_value", reason=f"{', '.join(missing)} is not a finite number")
    return result.model_copy(update={"failure": failure})


def summary(result: TrialResult, metric: str) -> str:
    """Return what a sampler will know of a result, as JSON.

    A trial stopped early teaches with the metric that the stop decision still thought possible,
    and with predicted costs where it was stopped before they were measured.
    """
    values = dict(result.values)
    if result.state is TrialState.STOPPED:
        values = result.predicted | values
        values |= {} if result.optimistic is None else {metric: result.optimistic}
    violation = sum(max(0.0, value) for value in result.violations.values())
    layers = result.architecture.layers if result.architecture else ()
    kept = [units for layer in layers for units in (layer.heads, layer.neurons)]
    whole = {"values": values, "violation": violation, "kept": kept}
    return json.dumps({key: value for key, value in whole.items() if value})


def _already_told(connection: Connection, study: int, claim: Claim) -> bool:
    """Return whether an earlier attempt, whose answer was lost, wrote this result."""
    query = select(trials.c.state).where(
        trials.c.study_id == study,
        trials.c.number == claim.number,
        trials.c.token == claim.token,
    )
    state = connection.scalar(query)
    return state is not None and TrialState(state).finished


def _tell_optuna(
    connection: Connection, trial_id: int, config: StudyConfig, result: TrialResult
) -> None:
    values = _finite_values(result, config)
    if values is not None and result.state is not TrialState.FAILED:
        optuna_tables.set_values(connection, trial_id, values)
    optuna_tables.set_constraints(connection, trial_id, result.violations)
    optuna_tables.set_user_attributes(connection, trial_id, _shown(result))
    optuna_tables.set_state(connection, trial_id, result.state)


def _finite_values(result: TrialResult, config: StudyConfig) -> list[float] | None:
    """Return the objectives in the study's order, ``None`` unless all are finite numbers."""
    values = [result.values.get(name, math.nan) for name in config.objectives]
    return values if all(map(math.isfinite, values)) else None


def _worth_knowing(result: TrialResult, metric: str) -> Iterable[tuple[str, str]]:
    """Yield the kind and the text of the events that the end of a trial is."""
    if result.failure is not None:
        yield "failed", f"{result.failure.kind}: {result.failure.reason}"
    elif result.stop_reason is not None:
        bound = "" if result.optimistic is None else f", {metric} at most {result.optimistic:.4g}"
        yield "audited" if result.audited else "stopped", result.stop_reason + bound


def _shown(result: TrialResult) -> dict[str, Any]:
    """Return what Optuna's dashboard shows beside the values: small."""
    failure = result.failure
    everything = {
        "parameters": result.parameters,
        "stopped_early": None if result.audited else result.stop_reason,
        "failure": f"{failure.kind}: {failure.reason}"[:200] if failure else None,
        "plan": result.plan_digest[:12] if result.plan_digest else None,
    }
    return {key: value for key, value in everything.items() if value is not None}
