"""Promotions: no model is trained further twice, whatever two workers saw when they asked."""

from __future__ import annotations

import json

from sqlalchemy import Connection, select

from pareto_prune.core.records import Candidate
from pareto_prune.storage.optuna_tables import lock_study
from pareto_prune.storage.schema import trials


class PromotedError(Exception):
    """Another trial trains the same model further: nothing was written."""


def check(connection: Connection, study: int, number: int, candidate: Candidate) -> None:
    """Refuse a promotion that another trial of the study is; holds the study until the end.

    Args:
        connection: within a transaction that has taken no lease yet.
        study: its id.
        number: of the trial that is to be the promotion.
        candidate: of that trial; nothing is looked at where it is no promotion.

    Raises:
        PromotedError: there is another.
    """
    if candidate.parent is None:
        return
    lock_study(connection, study)
    # One of a lower number may be: claimed before its parent was, and given a candidate after it.
    others = (trials.c.study_id == study) & (trials.c.number != number)
    named = trials.c.candidate.contains(f'"parent": {candidate.parent}')
    for text in connection.scalars(select(trials.c.candidate).where(others & named)):
        if json.loads(text).get("parent") == candidate.parent:
            raise PromotedError(candidate.parent)
