"""Rows of our tables as records, and back."""

from __future__ import annotations

import gc
import json
import math
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, false, or_, select

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.record import Record
from pareto_prune.core.records import Candidate, Failure, Trial, TrialResult, TrialState
from pareto_prune.search.samplers import Past
from pareto_prune.search.space import SearchSpace
from pareto_prune.storage._schema import results, trials

_MANY = 500


def trial_rows(
    connection: Connection, study: int, last: int, unfinished: Collection[int]
) -> list[Row[Any]]:
    """Return the trials after number ``last`` and those in ``unfinished``, with their results."""
    joined = trials.outerjoin(
        results, (results.c.study_id == trials.c.study_id) & (results.c.number == trials.c.number)
    )
    query = select(trials, results.c.result).select_from(joined)
    return list(connection.execute(_news(query, study, last, unfinished)))


def history_rows(
    connection: Connection, study: int, last: int, unfinished: Collection[int]
) -> list[Row[Any]]:
    """Return what a sampler wants of the same trials: no results."""
    columns = trials.c
    query = select(
        columns.number, columns.state, columns.candidate, columns.attributes, columns.told
    )
    return list(connection.execute(_news(query, study, last, unfinished)))


def _news(query: Any, study: int, last: int, unfinished: Collection[int]) -> Any:
    return (
        query.where(trials.c.study_id == study)
        .where(or_(trials.c.number > last, _among(unfinished)))
        .order_by(trials.c.number)
    )


def _among(numbers: Collection[int]) -> ColumnElement[bool]:
    """Return the condition of being one of ``numbers``; of very many, of lying between them."""
    if not numbers:
        return false()
    if len(numbers) > _MANY:
        return trials.c.number.between(min(numbers), max(numbers))
    return trials.c.number.in_(sorted(numbers))


@contextmanager
def uncollected() -> Iterator[None]:
    """Pause the garbage collector: among thousands of new records it would look in vain."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def to_trial(row: Row[Any]) -> Trial:
    """Return one trial; its result is checked against its schema, the rest is our own."""
    result = None if row.result is None else TrialResult.model_validate_json(row.result)
    return Trial.model_construct(
        number=row.number,
        state=TrialState(row.state),
        candidate=result.candidate if result else candidate_of(row.candidate),
        result=result,
        started=row.started,
        ended=row.ended,
        worker=row.worker,
    )


def text_of(record: Record) -> str:
    """Return a record as JSON; NaN and infinities stay what they are."""
    return json.dumps(record.to_json())


def candidate_of(text: str | None) -> Candidate | None:
    """Return the candidate in a column, if one was written."""
    return None if text is None else Candidate.model_validate_json(text)


def to_past(row: Row[Any], space: SearchSpace) -> Past:
    """Return what a sampler knows of one trial."""
    candidate = candidate_of(row.candidate)
    told = json.loads(row.told) if row.told else {}
    return Past(
        number=row.number,
        state=TrialState(row.state),
        params=None if candidate is None else space.to_params(candidate),
        values=told.get("values"),
        violation=told.get("violation", 0.0),
        attributes=json.loads(row.attributes) if row.attributes else {},
    )


def told(result: TrialResult, metric: str) -> str:
    """Return what a sampler will know of a result, as JSON.

    A trial stopped early teaches with the metric that the stop decision still thought possible,
    and with predicted costs where it was stopped before they were measured.
    """
    values = dict(result.values)
    if result.state is TrialState.STOPPED:
        values = result.predicted | values
        values |= {} if result.optimistic is None else {metric: result.optimistic}
    violation = sum(max(0.0, value) for value in result.violations.values())
    summary = {"values": values, "violation": violation}
    return json.dumps({key: value for key, value in summary.items() if value})


def complete(result: TrialResult, config: StudyConfig) -> TrialResult:
    """Return the result, made a failure where it ran to its end without every objective."""
    missing = [n for n in config.objectives if not math.isfinite(result.values.get(n, math.nan))]
    if not missing or result.state is not TrialState.COMPLETE:
        return result
    failure = Failure(kind="no_value", reason=f"{', '.join(missing)} is not a finite number")
    return result.model_copy(update={"failure": failure})


def finite_values(result: TrialResult, config: StudyConfig) -> list[float] | None:
    """Return the objectives in the study's order, ``None`` unless all are finite numbers."""
    values = [result.values.get(name, math.nan) for name in config.objectives]
    return values if all(map(math.isfinite, values)) else None


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the keys in which two flat mappings differ, sorted."""
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))
