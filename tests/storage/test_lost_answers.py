"""A commit that went through, and whose answer was lost: every write is tried with that, once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
import pytest

from pareto_prune.core.records import Confirmation, Trial, TrialState
from pareto_prune.storage import Storage, StoredStudy, open_storage
from tests.storage.scripted import (
    reference,
    result_of,
    rung_of,
    space_of,
    study_config,
)

SPACE = space_of(study_config())
CANDIDATE = SPACE.to_candidate({g.name: g.only for g in SPACE.genes})
CONFIRMATION = Confirmation(number=0, steps=9, metrics=(0.8,), values={"accuracy": 0.8})
OTHER = study_config("other")


@contextmanager
def lost_answers(storage: Storage) -> Iterator[list[str]]:
    """Lose the first answer to a commit that wrote something; yields what was lost."""
    dialect, lost = storage._database._engine.dialect, []
    commit, execute = dialect.do_commit, dialect.do_execute
    wrote = []

    def noticed(cursor, statement, *rest):
        execute(cursor, statement, *rest)
        if statement.lstrip().upper().startswith(("INSERT", "UPDATE", "DELETE")):
            wrote.append(statement)

    def lossy(connection):
        commit(connection)
        if wrote and not lost:
            lost.append(wrote[0])
            if storage._database.is_sqlite:
                raise sqlite3.OperationalError("database is locked")
            raise psycopg.OperationalError("server closed the connection unexpectedly")

    dialect.do_commit, dialect.do_execute = lossy, noticed
    try:
        yield lost
    finally:
        del dialect.do_commit, dialect.do_execute


def claimed(study: StoredStudy) -> Trial:
    trial = study.claim("w")
    assert trial is not None
    return trial


def assigned(study: StoredStudy) -> Trial:
    trial = study.assign(claimed(study), CANDIDATE, SPACE, {"from": "a sampler"})
    assert trial is not None
    return trial


def nothing(study: StoredStudy) -> None:
    """Need nothing beforehand."""


Before = Callable[[StoredStudy], Trial | None]
Verb = Callable[[Storage, StoredStudy, Trial], object]
VERBS: dict[str, tuple[Before, Verb]] = {
    "create": (nothing, lambda storage, _, __: storage.create(OTHER).name),
    "copy": (assigned, lambda storage, _, __: storage.copy("scripted", "other").name),
    "delete": (assigned, lambda storage, _, __: storage.delete("scripted")),
    "enqueue": (nothing, lambda _, study, __: study.enqueue([CANDIDATE], SPACE)),
    "ask_for": (nothing, lambda _, study, __: study.ask_for(99)),
    "claim": (nothing, lambda _, study, __: study.claim("w").number),
    "assign": (claimed, lambda _, study, trial: study.assign(trial, CANDIDATE, SPACE).candidate),
    "renew": (assigned, lambda _, study, trial: study.renew(trial)),
    "report": (assigned, lambda _, study, trial: study.report(trial, rung_of(1))),
    "tell": (assigned, lambda _, study, trial: study.tell(trial, result_of(CANDIDATE))),
    "hand_back": (assigned, lambda _, study, trial: study.hand_back(trial)),
    "leave": (assigned, lambda _, study, __: study.leave("w")),
    "acquire": (nothing, lambda _, study, __: study.acquire("dense", "w")),
    "keep": (
        lambda study: study.acquire("dense", "w") and None,
        lambda _, study, __: study.keep("dense"),
    ),
    "release": (
        lambda study: study.acquire("dense", "w") and None,
        lambda _, study, __: study.release("dense"),
    ),
    "set_reference": (nothing, lambda _, study, __: study.set_reference(reference()).digest),
    "bind_profile": (nothing, lambda _, study, __: study.bind_profile({"device": "one"})),
    "keep_artifacts_at": (nothing, lambda _, study, __: study.keep_artifacts_at("/here")),
    "keep_reference": (
        nothing,
        lambda _, study, __: study.keep_reference("int8", result_of(CANDIDATE)),
    ),
    "confirm": (assigned, lambda _, study, __: study.confirm(CONFIRMATION)),
    "steer": (assigned, lambda storage, _, __: storage.steer("scripted", "cancel")),
    "event": (nothing, lambda _, study, __: study.event("kind", "text", "w")),
}


def test_every_write_is_tried() -> None:
    read = {"read", "history", "counts", "rungs", "workers", "events", "named_references"}
    read |= {"sharing", "held_by_copies"}
    facts = {"trials_asked", "reference", "artifacts", "now", "state"}
    verbs = {name for name in vars(StoredStudy) if not name.startswith("_")} - read - facts
    verbs |= {"create", "copy", "delete", "steer"}
    assert verbs == set(VERBS)


def stands(storage: Storage) -> dict[str, object]:
    """Return all that a storage holds, but for ids, times and places."""
    found: dict[str, object] = {}
    for name in [summary.name for summary in storage.studies()]:
        study = storage.open_study(name)
        read = study.read()
        trials = [(t.number, t.state, t.candidate, t.result, t.worker) for t in read.trials]
        facts = (study.trials_asked, study.state, study.reference, study.artifacts, read.config)
        kept = (read.references, read.confirmations)
        said = [(event.kind, event.text, event.number, event.worker) for event in study.events()]
        held = [(w.name, w.number, w.lease is None, w.ended is None) for w in study.workers()]
        rungs = [study.rungs(trial.number) for trial in read.trials]
        attributes = [past.attributes for past in study.history(SPACE)]
        found[name] = (trials, facts, kept, said, held, rungs, attributes)
    return found


@pytest.mark.parametrize("name", VERBS)
def test_an_answer_that_is_lost_changes_nothing(
    storage_url: str, storage: Storage, study: StoredStudy, name: str
) -> None:
    before, verb = VERBS[name]
    trial = before(study)
    with lost_answers(storage) as lost:
        answer = verb(storage, study, trial)
    assert lost
    found = stands(storage)
    for one in storage.studies():
        storage.delete(one.name)
    again = storage.create(study_config())
    assert verb(storage, again, before(again)) == answer
    assert stands(storage) == found


def test_a_trial_handed_back_runs_again_after_a_lost_answer(
    storage_url: str, storage: Storage, study: StoredStudy
) -> None:
    trial = assigned(study)
    with lost_answers(storage) as lost:
        assert study.hand_back(trial)
    assert lost
    other = open_storage(storage_url).open_study("scripted")
    again = other.claim("v")
    assert again is not None
    assert again.number == trial.number
    assert not study.renew(trial)
    assert other.tell(again, result_of(CANDIDATE))
    assert study.counts()[TrialState.COMPLETE] == 1
