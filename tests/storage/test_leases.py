"""Leases: who holds a trial, until when, and what becomes of it afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.pool import NullPool

from pareto_prune.core.records import Failure, Trial, TrialState
from pareto_prune.running.status import status_of
from pareto_prune.storage import (
    Storage,
    StoredStudy,
    leases,
    open_storage,
    processes,
    schema,
    workers,
)
from pareto_prune.storage.processes import gone, identity
from tests.storage.postgres import Server
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


def test_a_trial_that_the_server_never_heard_of_is_lost(
    storage_url: str, study: StoredStudy
) -> None:
    """A standby that took over lacks the last commits, the claim among them."""
    trial = claimed(study)
    for table in ("pareto_leases", "pareto_trials", "trial_params", "trials"):
        change(storage_url, f"DELETE FROM {table}")
    assert not study.renew(trial)
    assert not study.hand_back(trial)
    assert claimed(study, "v").number == trial.number


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


def test_who_was_given_up_over_a_trial_is_not_heard(storage_url: str, study: StoredStudy) -> None:
    for attempt in range(3):
        late = open_storage(storage_url).open_study("scripted")
        trial = claimed(late, f"w{attempt}")
        expire(storage_url)
    claimed(study, "next")
    assert not late.tell(trial, result_of(CANDIDATE))
    assert study.read().trials[0].state is TrialState.FAILED


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
    passes(study, clock, 59)
    assert claimed(study, "v").number == 1
    clock.now += 2
    assert claimed(study, "v").number == 0


def passes(study: StoredStudy, clock: Clock, seconds: int) -> None:
    """Let time pass while another worker is at work."""
    for _ in range(seconds):
        clock.now += 1
        study.acquire("any", "at work")


def test_who_is_at_work_is_said_by_the_clock_of_the_storage(timed: Storage, clock: Clock) -> None:
    """This host's own clock is years ahead of it."""
    study = timed.create(study_config(trials=1))
    claimed(study, "busy")
    assert study.claim("killed") is None
    clock.now += 300
    assert study.claim("waiting") is None
    names = [worker.name for worker in status_of(study, study.read()).workers]
    assert names == ["busy", "waiting"]


def test_a_clock_put_forward_costs_nothing(timed: Storage, clock: Clock) -> None:
    study = timed.create(CONFIG)
    other = timed.open_study("scripted")
    trial = claimed(other)
    clock.now += 3600
    assert claimed(study, "v").number == 1
    assert other.tell(trial, result_of(CANDIDATE))


@pytest.mark.parametrize("away", [31, 70, 119, 3600])
def test_a_database_that_was_away_costs_no_trial(timed: Storage, clock: Clock, away: int) -> None:
    """Nobody could renew: who comes back first takes nothing from those who come later."""
    study, other = timed.create(CONFIG), timed.open_study("scripted")
    trial = claimed(study)
    for number in range(1, 5):
        clock.now += 15
        assert study.renew(trial)
        clock.now += away
        assert claimed(other, "v").number == number
    assert study.renew(trial)
    assert study.tell(trial, result_of(CANDIDATE))
    assert study.events() == []


@pytest.mark.parametrize("first", ["renew", "report", "leave", "keep", "acquire", "claim"])
def test_the_first_who_is_back_speaks_for_all(timed: Storage, clock: Clock, first: str) -> None:
    studies = [timed.create(CONFIG), *(timed.open_study("scripted") for _ in range(2))]
    trials = [claimed(study, f"w{place}") for place, study in enumerate(studies)]
    assert studies[0].acquire("dense", "w0")
    clock.now += 70
    back = {
        "renew": lambda: studies[0].renew(trials[0]),
        "report": lambda: studies[0].report(trials[0], rung_of(0)),
        "leave": lambda: studies[0].leave("w0"),
        "keep": lambda: studies[0].keep("dense"),
        "acquire": lambda: studies[0].acquire("other", "w0"),
        "claim": lambda: studies[0].claim("w0"),
    }
    back[first]()
    assert studies[1].claim("w1")
    assert studies[2].renew(trials[2])
    assert studies[2].tell(trials[2], result_of(CANDIDATE))
    assert [event.kind for event in timed.open_study("scripted").events()] == []


def test_who_died_in_an_outage_is_noticed_after_it(timed: Storage, clock: Clock) -> None:
    study, other = timed.create(CONFIG), timed.open_study("scripted")
    assert claimed(study, "dies").number == 0
    clock.now += 100
    assert claimed(other, "v").number == 1
    passes(other, clock, 59)
    assert claimed(other, "v").number == 2
    clock.now += 2
    assert claimed(other, "v").number == 0


def test_a_lease_begins_when_the_lock_is_had(postgres: Server, template: str) -> None:
    """However long a claim waits for the study, its lease lasts as long as any other."""
    url = postgres.database("slow_lock", template)
    study = open_storage(url, lease_seconds=2.0).create(CONFIG)
    engine, got = create_engine(url, poolclass=NullPool), []
    thread = threading.Thread(target=lambda: got.append(study.claim("w")))
    with engine.begin() as connection:
        connection.execute(text("SELECT study_id FROM studies FOR UPDATE"))
        thread.start()
        time.sleep(3.0)
    thread.join(timeout=30)
    assert got[0].number == 0
    (worker,) = study.workers()
    assert worker.lease is not None
    assert worker.lease > 0
    assert claimed(open_storage(url).open_study("scripted"), "v").number == 1


def test_who_leaves_takes_back_no_trial_of_another(
    storage_url: str, study: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between reading its leases and giving them up, a worker may lose them."""
    other = open_storage(storage_url).open_study("scripted")
    trial = claimed(other, "w")
    listed = other._read(lambda c: leases.held_by(c, other._workers["w"]))
    expire(storage_url)
    again = claimed(study, "v")
    assert again.number == trial.number
    monkeypatch.setattr(workers.held_leases, "held_by", lambda *_: listed)
    other.leave("w")
    (now,) = study.read().trials
    assert (now.state, now.worker) == (TrialState.RUNNING, "v")
    assert study.tell(again, result_of(CANDIDATE))


def test_a_claim_costs_the_same_however_many_leases_there_are(storage: Storage) -> None:
    """Those of other hosts that still run are not looked at."""
    study = storage.create(study_config("busy", trials=5000))
    claimed(study, "here")
    far = json.dumps(identity() | {"place": "node17/of/ours"})

    def elsewhere(connection: Connection) -> None:
        now = study._database.now(connection)
        rows = [(f"trial:{10000 + n}", f"token{n}", f"worker{n}") for n in range(300)]
        for name, token, worker in rows:
            lease = {"name": name, "token": token, "worker_id": worker, "study_id": study._id}
            connection.execute(
                schema.leases.insert(), lease | {"seconds": 60.0, "expires": now + 60}
            )
            who = {"worker_id": worker, "study_id": study._id, "name": worker, "host": "node17"}
            times = {"process": far, "started": now, "seen": now}
            connection.execute(schema.workers.insert(), who | times)

    study._database.write(elsewhere)
    moment = study._database.write(lambda c: study._moment(c, "here"))
    doubtful = study._database.read(lambda c: leases.doubtful(c, moment))
    assert [lease.worker for lease in doubtful] == ["here"]


def test_a_process_that_one_may_not_look_at_is_not_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under ``hidepid``: its folder is not there, though it runs."""
    me = identity()
    monkeypatch.setattr(processes, "_started", lambda _: None)
    assert not gone(me)
    monkeypatch.setattr(os, "kill", _not_permitted)
    assert not gone(me)
    monkeypatch.undo()
    monkeypatch.setattr(processes, "_started", lambda _: None)
    assert gone(me | {"pid": 2**22 + 1})


def _not_permitted(pid: int, number: int) -> None:
    raise PermissionError(pid, number)


def test_a_process_that_has_ended_and_is_not_waited_for_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    it = identity() | {"pid": child.pid, "started": processes._started(child.pid)}
    assert not gone(it)
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert gone(it)
    child.communicate()


def test_a_clock_put_back_does_not_keep_a_dead_workers_trial(timed: Storage, clock: Clock) -> None:
    study = timed.create(CONFIG)
    claimed(study, "dies")
    clock.now -= 3600
    assert claimed(study, "v").number == 1
    passes(study, clock, 61)
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
