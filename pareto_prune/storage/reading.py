"""A study's rows as records: what whoever looks at a study is shown."""

from __future__ import annotations

import gc
import json
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import pydantic
from sqlalchemy import ColumnElement, Connection, Row, false, func, or_, select

from pareto_prune.core.errors import MismatchError, Problem, UserError
from pareto_prune.core.record import Record
from pareto_prune.core.records import (
    Candidate,
    Confirmation,
    DenseReference,
    Study,
    Trial,
    TrialResult,
    TrialState,
)
from pareto_prune.core.study_state import StudyState
from pareto_prune.storage.schema import confirmations, references, results, studies, trials

R = TypeVar("R", bound=Record)

_MANY = 500
_ADVICE = "allowed: the version that wrote it, or a newer one"


@dataclass(frozen=True)
class StudyRows:
    """What the tables hold of a study, read in one transaction.

    Attributes:
        study: its own row.
        trials: those that were asked for, with their results.
        references: named references, as JSON, by name.
        confirmations: as JSON, by number.
    """

    study: Row[Any]
    trials: list[Row[Any]]
    references: list[str]
    confirmations: list[str]

    def to_study(self, listed: tuple[Trial, ...]) -> Study:
        """Return the study with all its trials, which the caller may have read earlier."""
        return Study.model_construct(
            name=self.study.name,
            config=json.loads(self.study.config),
            created=self.study.created,
            trials_asked=self.study.trials_asked,
            reference=reference_of(self.study.reference),
            references=tuple(_named_reference(one) for one in self.references),
            state=state_of(self.study.state),
            trials=listed,
            confirmations=tuple(_confirmation(one) for one in self.confirmations),
        )


def study_rows(
    connection: Connection, study: int, name: str, last: int, unfinished: Collection[int]
) -> StudyRows:
    """Read a study, and of its trials those after ``last`` and those in ``unfinished``.

    Raises:
        UserError: it was deleted.
    """
    named = select(references.c.result).where(references.c.study_id == study)
    confirmed = select(confirmations.c.confirmation).where(confirmations.c.study_id == study)
    return StudyRows(
        _study_row(connection, study, name),
        _trial_rows(connection, study, last, unfinished),
        list(connection.scalars(named.order_by(references.c.name))),
        list(connection.scalars(confirmed.order_by(confirmations.c.number))),
    )


def whole(connection: Connection, row: Row[Any]) -> Study:
    """Return all of a study whose own row was read."""
    rows = study_rows(connection, row.study_id, row.name, -1, ())
    return rows.to_study(tuple(map(to_trial, rows.trials)))


def _study_row(connection: Connection, study: int, name: str) -> Row[Any]:
    row = connection.execute(select(studies).where(studies.c.study_id == study)).one_or_none()
    if row is None:
        raise UserError(f"study {name!r} is no longer in the storage: it was deleted")
    return row


def _trial_rows(
    connection: Connection, study: int, last: int, unfinished: Collection[int]
) -> list[Row[Any]]:
    joined = trials.outerjoin(
        results, (results.c.study_id == trials.c.study_id) & (results.c.number == trials.c.number)
    )
    query = select(trials, results.c.result).select_from(joined)
    return list(connection.execute(news(query, study, last, unfinished)))


def news(query: Any, study: int, last: int, unfinished: Collection[int]) -> Any:
    """Return a query of trials, of those after ``last`` and those in ``unfinished``, in order."""
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


def counts(connection: Connection, study: int) -> dict[TrialState, int]:
    """Return how many trials of a study stand where; every state is there."""
    query = select(trials.c.state, func.count()).where(trials.c.study_id == study)
    rows = connection.execute(query.group_by(trials.c.state))
    found = {TrialState(state): int(count) for state, count in rows}
    return {state: found.get(state, 0) for state in TrialState}


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
    result = None if row.result is None else parsed(TrialResult, row.result, _result(row.number))
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
    return None if text is None else parsed(Candidate, text, "a candidate")


def state_of(text: str | None) -> StudyState:
    """Return what a study was told last; one without a value in the column was told nothing."""
    return StudyState(text or StudyState.OPEN)


def reference_of(text: str | None) -> DenseReference | None:
    """Return the dense model in a column, if it was written."""
    return None if text is None else parsed(DenseReference, text, "the dense model's record")


def parsed(kind: type[R], text: str, what: str) -> R:
    """Return the record in a column.

    Args:
        kind: of record.
        text: JSON.
        what: it is, as it is called.

    Raises:
        MismatchError: another version of this program wrote it.
    """
    try:
        return kind.model_validate_json(text)
    except pydantic.ValidationError as error:
        raise MismatchError(Problem(what, of_another_version(error), _ADVICE)) from None


def of_another_version(error: pydantic.ValidationError) -> str:
    """Return that a record is of another version, and by what that is seen."""
    first = error.errors()[0]
    where = ".".join(map(str, first["loc"])) or "all of it"
    why = first["msg"].removeprefix("Value error, ")
    return f"is of another version of pareto-prune ({where}: {why})"


def _result(number: int) -> str:
    return f"the result of trial {number}"


def _named_reference(text: str) -> TrialResult:
    return parsed(TrialResult, text, "a named reference")


def _confirmation(text: str) -> Confirmation:
    return parsed(Confirmation, text, "what confirming a trial found")
