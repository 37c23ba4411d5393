"""Studies that were deleted under those who work on them, by us or by Optuna's own tools."""

from __future__ import annotations

import threading
from collections.abc import Callable

import optuna
import pytest
from optuna.storages import RDBStorage
from sqlalchemy import Connection, func, select

from pareto_prune.core.errors import UserError
from pareto_prune.core.records import Confirmation, Trial
from pareto_prune.storage import Storage, StoredStudy, open_storage, optuna_tables, schema
from tests.storage.postgres import Server
from tests.storage.scripted import reference, result_of, rung_of, space_of, study_config

SPACE = space_of(study_config())
CANDIDATE = SPACE.to_candidate({g.name: g.only for g in SPACE.genes})


def running(study: StoredStudy):
    trial = study.claim("w")
    assert trial is not None
    assigned = study.assign(trial, CANDIDATE, SPACE)
    assert assigned is not None
    return assigned


def test_a_worker_does_not_go_on_in_a_study_of_the_same_name(
    storage_url: str, storage: Storage
) -> None:
    old = storage.create(study_config("mine", seed=1))
    trial = running(old)
    elsewhere = open_storage(storage_url)
    elsewhere.delete("mine")
    new = elsewhere.create(study_config("mine", seed=2))
    verbs = (
        lambda: old.claim("w"),
        lambda: old.renew(trial),
        lambda: old.report(trial, rung_of(0)),
        lambda: old.tell(trial, result_of(CANDIDATE)),
        lambda: old.set_reference(reference()),
        lambda: old.ask_for(99),
        lambda: old.acquire("dense", "w"),
        lambda: old.event("kind", "text"),
        old.read,
        old.counts,
    )
    for verb in verbs:
        with pytest.raises(UserError, match="'mine' is no longer in the storage: it was deleted"):
            verb()
    assert new.read().trials == ()
    assert new.reference is None
    assert new.trials_asked == 12
    assert new.events() == []


@pytest.fixture
def taken(optunas: RDBStorage, storage: Storage) -> StoredStudy:
    """A study that Optuna deleted; on SQLite another program's study has its id by now."""
    study = storage.create(study_config("orphan"))
    trial = running(study)
    study.tell(trial, result_of(CANDIDATE))
    optuna.delete_study(study_name="orphan", storage=optunas)
    theirs = optuna.create_study(study_name="theirs", storage=optunas)
    for _ in range(3):
        theirs.tell(theirs.ask(), 1.0)
    return study


def test_it_is_not_there(storage: Storage, taken: StoredStudy) -> None:
    assert storage.studies() == []
    with pytest.raises(UserError, match="unknown study 'orphan'"):
        storage.open_study("orphan")
    for verb in (lambda: storage.delete("orphan"), lambda: storage.copy("orphan", "copy")):
        with pytest.raises(UserError, match="unknown study"):
            verb()
    with pytest.raises(UserError, match="it was deleted"):
        taken.claim("w")


def test_the_study_that_has_its_id_is_left_alone(
    optunas: RDBStorage, storage: Storage, taken: StoredStudy
) -> None:
    again = storage.create(study_config("orphan"))
    assert again.read().trials == ()
    trial = running(again)
    assert trial.number == 0
    assert again.tell(trial, result_of(CANDIDATE))
    theirs = optuna.load_study(study_name="theirs", storage=optunas)
    assert [trial.value for trial in theirs.trials] == [1.0] * 3
    storage.delete("orphan")
    assert optuna.get_all_study_names(optunas) == ["theirs"]


WRITES: dict[str, Callable[[StoredStudy, Trial], object]] = {
    "claim": lambda study, _: study.claim("v"),
    "report": lambda study, trial: study.report(trial, rung_of(0)),
    "tell": lambda study, trial: study.tell(trial, result_of(CANDIDATE)),
    "hand_back": lambda study, trial: study.hand_back(trial),
    "leave": lambda study, _: study.leave("w"),
    "set_reference": lambda study, _: study.set_reference(reference()),
    "bind_profile": lambda study, _: study.bind_profile({"device": "one"}),
    "keep_artifacts_at": lambda study, _: study.keep_artifacts_at("/here"),
    "keep_reference": lambda study, _: study.keep_reference("int8", result_of(CANDIDATE)),
    "confirm": lambda study, _: study.confirm(
        Confirmation(number=0, steps=9, metrics=(0.8,), values={"accuracy": 0.8})
    ),
    "event": lambda study, _: study.event("kind", "text"),
}


def rows_left(storage: Storage, study: int) -> int:
    def count(connection: Connection) -> int:
        queries = [
            select(func.count()).select_from(table).where(table.c.study_id == study)
            for table in schema.OF_A_STUDY
        ]
        return sum(int(connection.scalar(query) or 0) for query in queries)

    return storage._database.read(count)


@pytest.fixture(scope="module")
def busy(postgres: Server, template: str) -> str:
    return postgres.database("busy", template)


@pytest.mark.parametrize("name", WRITES)
def test_what_is_written_while_a_study_is_deleted_is_refused(
    busy: str, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """The deletion is not committed yet when the write begins: it waits, and leaves nothing."""
    storage, elsewhere = open_storage(busy, patience=10), open_storage(busy, patience=10)
    study = storage.create(study_config("mine"))
    trial = running(study)
    deleted, committed, said = threading.Event(), threading.Event(), []
    real = optuna_tables.delete_study

    def not_yet(*arguments):
        real(*arguments)
        deleted.set()
        committed.wait(timeout=30)

    def write() -> None:
        try:
            WRITES[name](study, trial)
        except UserError as error:
            said.append(str(error))

    monkeypatch.setattr(optuna_tables, "delete_study", not_yet)
    threads = [threading.Thread(target=elsewhere.delete, args=("mine",))]
    threads[0].start()
    assert deleted.wait(timeout=30)
    threads.append(threading.Thread(target=write))
    threads[1].start()
    threads[1].join(timeout=0.2)
    committed.set()
    for thread in threads:
        thread.join(timeout=30)
    assert said == ["study 'mine' is no longer in the storage: it was deleted"]
    assert rows_left(storage, study.identity.study) == 0
    storage.close()
    elsewhere.close()
