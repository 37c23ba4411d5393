"""What a sampler wants of a study's trials: small, and only what is new."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, select

from pareto_prune.core.records import TrialState
from pareto_prune.search.past import Past
from pareto_prune.storage.reading import candidate_of, news
from pareto_prune.storage.schema import trials

if TYPE_CHECKING:
    from pareto_prune.search.space import SearchSpace


def history_rows(
    connection: Connection, study: int, last: int, unfinished: Collection[int]
) -> list[Row[Any]]:
    """Return the trials after number ``last`` and those in ``unfinished``, without results."""
    columns = trials.c
    query = select(
        columns.number, columns.state, columns.candidate, columns.attributes, columns.told
    )
    return list(connection.execute(news(query, study, last, unfinished)))


def to_past(row: Row[Any], space: SearchSpace) -> Past:
    """Return what a sampler knows of one trial.

    Of one that goes on from another that is its number alone: it tells what more training or
    another format is worth, not what its candidate is.
    """
    candidate = candidate_of(row.candidate)
    if candidate is not None and candidate.parent is not None:
        return Past(row.number, TrialState(row.state))
    told = json.loads(row.told) if row.told else {}
    return Past(
        number=row.number,
        state=TrialState(row.state),
        params=None if candidate is None else space.to_params(candidate),
        values=told.get("values"),
        violation=told.get("violation", 0.0),
        kept=tuple(told.get("kept", ())),
        attributes=json.loads(row.attributes) if row.attributes else {},
    )
