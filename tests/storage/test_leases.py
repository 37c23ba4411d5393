"""Leases: who holds a trial, until when, and what becomes of it afterwards."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from pareto_prune.core.records import Failure, Trial, TrialState
from pareto_prune.storage import Storage, StoredStudy, open_storage
from pareto_prune.storage.processes import gone, identity
from tests.storage.scripted import result_of, rung_of, space_of, study_config

CONFIG = study_config()
SPACE = space_of(CONFIG)
CANDIDATE = SPACE.to_candidate({g.name: g.only for g in SPACE.genes})


def claimed(study: StoredStudy, worker: str = "w") -> Trial:
    trial = study.claim(worker)
    assert trial is not None
    if trial.candidate is not None:
        return trial
    assigned = study.assign(trial, CANDIDATE, SPACE)
    assert assigned is not None
    return assigned


def change(url: str, statement: str, **values: object) -> None:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        connection.execute(text(statement), values)


def expire(url: str) -> None:
    change(url, "UPDATE pareto_leases SET expires = 1")


def test_a_lease_that_ran_out_gives_the_trial_to_another(
    storage_url: str, study: StoredStudy
) -> None:
    first = claimed(study, "w")
    study.report(first, rung_of(0))
    expire(storage_url)
    second = claimed(study, "v")
    assert (second.number, second.candidate) == (first.number, CANDIDATE)
    assert study.rungs(0) == [rung_of(0)]
    assert [event.kind for event in study.events()] == ["lost"]


def test_who_lost_the_lease_is_not_heard(storage_url: str, study: StoredStudy) -> None:
    late = open_storage(storage_url).open_study("scripted")
    trial = claimed(late, "w")
    expire(storage_url)
    again = claimed(study, "v")
    assert not late.renew(trial)
    assert not late.report(trial, rung_of(0))
    assert not late.tell(trial, result_of(CANDIDATE, steps=1))
    assert study.tell(again, result_of(CANDIDATE, steps=2))
    (only,) = study.read().trials
    assert only.result is not None
    assert only.result.steps == 2
    assert only.worker == "v"


def test_a_late_result_counts_while_nobody_took_the_trial(
    storage_url: str, study: StoredStudy
) -> None:
    trial = claimed(study)
    expire(storage_url)
    assert study.tell(trial, result_of(CANDIDATE))
    assert study.counts()[TrialState.COMPLETE] == 1


def test_a_lost_trial_cannot_be_handed_back(storage_url: str, study: StoredStudy) -> None:
    late = open_storage(storage_url).open_study("scripted")
    trial = claimed(late)
    expire(storage_url)
    claimed(study, "v")
    assert not late.hand_back(trial)
    assert study.counts()[TrialState.RUNNING] == 1


def test_a_trial_lost_before_its_candidate_was_written_is_lost(
    storage_url: str, study: StoredStudy
) -> None:
    late = open_storage(storage_url).open_study("scripted")
    trial = late.claim("w")
    assert trial is not None
    expire(storage_url)
    again = study.claim("v")
    assert again is not None
    assert again.candidate is None
    assert late.assign(trial, CANDIDATE, SPACE) is None
    assert study.assign(again, CANDIDATE, SPACE) is not None


def test_renewing_puts_the_end_off(storage_url: str, study: StoredStudy) -> None:
    trial = claimed(study)
    expire(storage_url)
    assert study.renew(trial)
    assert claimed(study, "v").number == 1


def test_a_trial_that_kills_its_workers_fails(storage_url: str, study: StoredStudy) -> None:
    for attempt in range(3):
        assert claimed(study, f"w{attempt}").number == 0
        expire(storage_url)
    assert claimed(study, "next").number == 1
    failed = study.read().trials[0]
    assert failed.state is TrialState.FAILED
    assert failed.result is not None
    assert failed.result.failure == Failure(kind="worker_died", reason="3 workers died over it")


def test_handing_back_is_no_death(study: StoredStudy) -> None:
    for _ in range(5):
        study.hand_back(claimed(study))
    assert claimed(study).number == 0


def test_a_worker_known_to_be_dead_loses_its_lease_at_once(
    storage_url: str, study: StoredStudy
) -> None:
    claimed(study, "w")
    code = (
        "import json; from pareto_prune.storage.processes import *; print(json.dumps(identity()))"
    )
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    change(storage_url, "UPDATE pareto_workers SET process = :it", it=ended.stdout.strip())
    assert claimed(study, "v").number == 0


def test_a_process_id_given_away_again_is_another_process() -> None:
    me = identity()
    assert not gone(me)
    assert gone(me | {"started": "0"})
    assert gone(me | {"pid": 2**22 + 1})
    assert not gone(me | {"place": "another host", "pid": 2**22 + 1})
    assert not gone(me | {"place": None})
    assert json.loads(json.dumps(me)) == me


class Clock:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 1e9

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def timed(tmp_path: Path, prepared: Path, clock: Clock) -> Storage:
    (tmp_path / "timed.db").write_bytes(prepared.read_bytes())
    return open_storage(f"sqlite:///{tmp_path / 'timed.db'}", clock=clock, lease_seconds=60)


def test_a_lease_lasts_as_long_as_it_says(timed: Storage, clock: Clock) -> None:
    study = timed.create(CONFIG)
    claimed(study)
    clock.now += 59
    assert claimed(study, "v").number == 1
    clock.now += 2
    assert claimed(study, "v").number == 0


def test_a_clock_put_forward_costs_a_repetition_and_nothing_else(
    timed: Storage, clock: Clock
) -> None:
    study = timed.create(CONFIG)
    other = timed.open_study("scripted")
    trial = claimed(other)
    clock.now += 3600
    again = claimed(study, "v")
    assert again.number == 0
    assert not other.tell(trial, result_of(CANDIDATE))
    assert study.tell(again, result_of(CANDIDATE))
    assert study.counts()[TrialState.COMPLETE] == 1


def test_a_clock_put_back_does_not_keep_a_dead_workers_trial(timed: Storage, clock: Clock) -> None:
    study = timed.create(CONFIG)
    claimed(study, "dies")
    clock.now -= 3600
    assert claimed(study, "v").number == 1
    clock.now += 61
    assert claimed(study, "v").number == 0


def test_workers_in_threads_never_claim_more_than_asked(
    storage_url: str, study: StoredStudy
) -> None:
    study.ask_for(25)
    numbers: list[int] = []

    def run() -> None:
        storage = open_storage(storage_url)
        mine = storage.open_study("scripted")
        name = threading.current_thread().name
        while (trial := mine.claim(name)) is not None:
            numbers.append(trial.number)
            assigned = mine.assign(trial, CANDIDATE, SPACE)
            assert assigned is not None
            mine.tell(assigned, result_of(CANDIDATE))
        storage.close()

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(25))
    assert study.counts()[TrialState.COMPLETE] == 25


def test_a_claim_whose_answer_was_lost_is_not_a_second_one(
    study: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The commit went through, the connection broke before it said so: it is tried again."""
    _lose_the_first_answer(study, monkeypatch)
    trial = study.claim("w")
    assert trial is not None
    assert study.counts()[TrialState.RUNNING] == 1


def test_a_tell_whose_answer_was_lost_still_counts(
    study: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = claimed(study)
    _lose_the_first_answer(study, monkeypatch)
    assert study.tell(trial, result_of(CANDIDATE))
    assert study.counts()[TrialState.COMPLETE] == 1


def _lose_the_first_answer(study: StoredStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    database = study._database
    write = database.write

    def twice(work):
        write(work)
        return write(work)

    monkeypatch.setattr(database, "write", twice)
