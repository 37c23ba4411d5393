"""No model is trained further or redeployed twice, whatever two workers saw when they asked."""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import Connection, select

from pareto_prune.core.records import Candidate
from pareto_prune.storage.optuna_tables import lock_study
from pareto_prune.storage.schema import trials


class PromotedError(Exception):
    """Another trial does the same with the same model: nothing was written."""


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
        if _alike(json.loads(text), candidate):
            raise PromotedError(candidate.parent)


def _alike(other: dict[str, Any], candidate: Candidate) -> bool:
    """Whether both train the same model further, or take it as it is in the same format."""
    if other.get("parent") != candidate.parent:
        return False
    if other.get("redeployed", False) != candidate.redeployed:
        return False
    return not candidate.redeployed or other.get("deployment") == candidate.deployment
