"""A copy stands alone, although the study goes on while it is made."""

from __future__ import annotations

import threading

import pytest
from sqlalchemy import Connection

from pareto_prune.core.records import TrialState
from pareto_prune.running.asker import Asker
from pareto_prune.storage import Storage, StoredStudy, copying, open_storage
from pareto_prune.storage.schema import trials
from tests.storage.postgres import Server
from tests.storage.scripted import result_of, space_of, study_config

SPACE = space_of(study_config())


def running(study: StoredStudy, worker: str = "w"):
    trial = study.claim(worker)
    assert trial is not None
    assigned = Asker(study, SPACE).assign(trial) if trial.candidate is None else trial
    assert assigned is not None
    return assigned


def trial_ids(storage: Storage, study: StoredStudy) -> set[int]:
    def read(connection: Connection) -> set[int]:
        query = trials.select().where(trials.c.study_id == study._id)
        return {row.trial_id for row in connection.execute(query)}

    return storage._database.read(read)


@pytest.mark.parametrize("moment", ["copy_rows", "_copy_trials"])
def test_a_study_at_work_is_copied_as_it_stood(
    postgres: Server, template: str, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    url = postgres.database(f"copied_{moment}", template)
    storage = open_storage(url, patience=10)
    study = storage.create(study_config())
    ended = running(study)
    study.tell(ended, result_of(ended.candidate))
    first = running(study)
    others, went_on = open_storage(url).open_study("scripted"), []

    def goes_on() -> None:
        went_on.append(running(others, "v"))
        study.tell(first, result_of(first.candidate))

    def meanwhile(*arguments):
        thread = threading.Thread(target=goes_on)
        thread.start()
        thread.join(timeout=30)
        return real(*arguments)

    real = getattr(copying, moment)
    monkeypatch.setattr(copying, moment, meanwhile)
    copy = storage.copy("scripted", "copied")
    monkeypatch.undo()
    assert not trial_ids(storage, copy) & trial_ids(storage, study)
    states = [trial.state for trial in copy.read().trials]
    assert states == [TrialState.COMPLETE, TrialState.WAITING]
    for _ in range(3):
        again = running(copy)
        assert copy.tell(again, result_of(again.candidate))
    assert others.tell(went_on[0], result_of(went_on[0].candidate))
    assert [trial.number for trial in copy.read().trials] == list(range(4))
    assert {trial.state for trial in study.read().trials} == {TrialState.COMPLETE}
    storage.close()
