"""What is known of a study as a whole: what is written once, and what is written anew.

Written once: the dense model, the device and the place of the models. Written in place of what
was there: where it stands, how many trials it is asked for, named references and confirmations.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, delete, insert, select, update

from pareto_prune.core.errors import MismatchError, Problem
from pareto_prune.core.records import Confirmation, TrialResult
from pareto_prune.core.study_state import StudyState
from pareto_prune.storage.reading import state_of, text_of
from pareto_prune.storage.schema import confirmations, references, studies

_OF_THE_DATA = frozenset({"latency_input", "energy_input"})
"""Keys of a profile that differ where the texts do, not the device."""


def fact(connection: Connection, study: int, column: str) -> Any:
    """Return a column of a study; ``None`` where it has no value."""
    return connection.scalar(select(studies.c[column]).where(studies.c.study_id == study))


def state(connection: Connection, study: int) -> StudyState:
    """Return what a study was told last."""
    return state_of(fact(connection, study, "state"))


def change(connection: Connection, study: int, **columns: Any) -> None:
    """Write columns of a study."""
    connection.execute(update(studies).where(studies.c.study_id == study).values(columns))


def write_once(connection: Connection, study: int, column: str, text: str) -> str:
    """Write a column of a study that has no value yet; return the value that stands."""
    mine = (studies.c.study_id == study) & studies.c[column].is_(None)
    connection.execute(update(studies).where(mine).values({column: text}))
    return str(fact(connection, study, column))


def check_profile(name: str, bound: Mapping[str, str], profile: Mapping[str, str]) -> None:
    """Refuse a device that is not the one a study is bound to.

    Raises:
        MismatchError: one line names what differs.
    """
    keys = differing(bound, profile)
    if keys:
        parts = [f"{key} {bound.get(key)!r} there, {profile.get(key)!r} here" for key in keys]
        same, whose = "device", "belongs to another device"
        if _OF_THE_DATA.issuperset(keys):
            same, whose = "data", "was measured on texts of other lengths"
        wrong = f"{whose}: {'; '.join(parts)}"
        advice = f"allowed: the same {same}, or a new study started --from this one"
        raise MismatchError(Problem(f"study {name!r}", wrong, advice))


def differing(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Return the keys in which two flat mappings differ, sorted."""
    return sorted(key for key in old.keys() | new.keys() if old.get(key) != new.get(key))


def write_reference(connection: Connection, study: int, name: str, result: TrialResult) -> None:
    """Write a named reference, in place of one of the same name."""
    mine = (references.c.study_id == study) & (references.c.name == name)
    row = {"study_id": study, "name": name, "result": text_of(result)}
    _replace(connection, references, mine, row)


def reference_names(connection: Connection, study: int) -> list[str]:
    """Return the names of the named references that are there."""
    query = select(references.c.name).where(references.c.study_id == study)
    return list(connection.scalars(query))


def write_confirmation(connection: Connection, study: int, confirmation: Confirmation) -> None:
    """Write what a trial found out when it was retrained, in place of an earlier time."""
    number = confirmation.number
    mine = (confirmations.c.study_id == study) & (confirmations.c.number == number)
    row = {"study_id": study, "number": number, "confirmation": text_of(confirmation)}
    _replace(connection, confirmations, mine, row)


def _replace(connection: Connection, table: Any, mine: Any, row: Mapping[str, Any]) -> None:
    connection.execute(delete(table).where(mine))
    connection.execute(insert(table).values(row))
