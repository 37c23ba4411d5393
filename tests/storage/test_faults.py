"""Real processes, real signals, a real server: what is lost, counted twice, or stuck. Nothing."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pareto_prune.core.records import Study, TrialState
from pareto_prune.storage import StoredStudy, open_storage
from tests.storage.postgres import Server
from tests.storage.scripted import result_of, space_of, study_config

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
Process = subprocess.Popen[str]


@pytest.fixture
def workers() -> Iterator[list[Process]]:
    """Processes to be ended with the test, whatever becomes of it."""
    started: list[Process] = []
    yield started
    for process in started:
        process.kill()
        process.communicate()


def start(workers: list[Process], url: str, *options: str) -> Process:
    command = [sys.executable, "-m", "tests.storage.worker_main", url, *options]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    workers.append(process)
    return process


def line(process: Process) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def go_on(process: Process) -> None:
    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()


def check_whole(study: Study, asked: int) -> None:
    """Every trial asked for, each once, without gaps, nothing running."""
    assert [trial.number for trial in study.trials] == list(range(asked))
    assert {trial.state for trial in study.trials} == {TrialState.COMPLETE}
    for trial in study.trials:
        assert trial.candidate is not None
        assert trial.result is not None
        assert trial.result.values == result_of(trial.candidate).values


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_worker_hands_its_trial_back(
    storage_url: str, study: StoredStudy, workers: list[Process], number: signal.Signals
) -> None:
    worker = start(workers, storage_url, "--block")
    assert line(worker) == "running 0"
    go_on(worker)
    assert line(worker) == "running 1"
    worker.send_signal(number)
    assert line(worker) == "handed_back 1"
    assert worker.wait() == 130
    before = study.read()
    assert [trial.state for trial in before.trials] == [TrialState.COMPLETE, TrialState.WAITING]
    again = start(workers, storage_url)
    assert line(again) == "told 11"
    after = study.read()
    check_whole(after, 12)
    assert after.trials[0] == before.trials[0]
    assert after.trials[1].candidate == before.trials[1].candidate


def test_the_trial_of_a_killed_worker_is_taken_at_once(
    storage_url: str, study: StoredStudy, workers: list[Process]
) -> None:
    worker = start(workers, storage_url, "--block")
    assert line(worker) == "running 0"
    worker.send_signal(signal.SIGKILL)
    worker.wait()
    held = study.read().trials[0]
    assert held.state is TrialState.RUNNING
    again = start(workers, storage_url)
    assert line(again) == "told 12"
    check_whole(study.read(), 12)
    assert study.read().trials[0].candidate == held.candidate


def test_a_worker_waits_for_the_trial_of_one_that_dies(
    storage_url: str, study: StoredStudy, workers: list[Process]
) -> None:
    """The last trial runs elsewhere: who has nothing left stays until it is safe."""
    study.ask_for(1)
    dying = start(workers, storage_url, "--block")
    assert line(dying) == "running 0"
    heir = start(workers, storage_url, "--block")
    dying.send_signal(signal.SIGKILL)
    assert line(heir) == "running 0"
    go_on(heir)
    assert line(heir) == "told 1"
    check_whole(study.read(), 1)


def test_a_worker_that_was_away_discards_its_trial_quietly(
    storage_url: str, study: StoredStudy, workers: list[Process]
) -> None:
    study.ask_for(1)
    worker = start(workers, storage_url, "--block", "--lease", "0.2")
    assert line(worker) == "running 0"
    worker.send_signal(signal.SIGSTOP)
    trial = None
    while trial is None:
        trial = study.claim("heir")
    assert trial.number == 0
    assert trial.candidate is not None
    assert study.tell(trial, result_of(trial.candidate))
    worker.send_signal(signal.SIGCONT)
    go_on(worker)
    assert line(worker) == "lost 0"
    assert line(worker) == "told 0"
    assert worker.wait() == 0
    check_whole(study.read(), 1)


def test_two_workers_share_one_study(
    storage_url: str, study: StoredStudy, workers: list[Process]
) -> None:
    """Both are at work before either ends a trial, and go on in turns."""
    both = [start(workers, storage_url, "--block", "--name", name) for name in ("a", "b")]
    said = [line(worker) for worker in both]
    assert sorted(said) == ["running 0", "running 1"]
    while all(one.startswith("running") for one in said):
        for worker in both:
            go_on(worker)
        said = [line(worker) for worker in both]
    told = [int(one.removeprefix("told ")) for one in said]
    assert sum(told) == 12
    check_whole(study.read(), 12)
    assert {trial.worker for trial in study.read().trials} == {"a", "b"}


def test_workers_killed_at_random_moments_lose_nothing(
    storage_url: str, study: StoredStudy, workers: list[Process]
) -> None:
    asked, kills = (100, 12) if storage_url.startswith("postgresql") else (40, 5)
    study.ask_for(asked)
    chance = random.Random(0)
    finished = 0
    for _ in range(kills):
        victim = start(workers, storage_url, "--say")
        for _ in range(chance.randint(1, 6)):
            line(victim)
        victim.send_signal(signal.SIGKILL)
        victim.wait()
        complete = study.counts()[TrialState.COMPLETE]
        assert complete >= finished
        finished = complete
    last = start(workers, storage_url)
    last.wait()
    trials = study.read().trials
    assert [trial.number for trial in trials] == list(range(asked))
    assert all(trial.state.finished for trial in trials)


@pytest.mark.parametrize("ahead", [3600, -3600])
def test_the_clock_of_a_workers_host_does_not_matter(
    postgres: Server, template: str, workers: list[Process], ahead: float
) -> None:
    """Leases are in the server's time: a fast worker takes no trial, a slow one keeps none."""
    url = postgres.database(f"clock_{'fast' if ahead > 0 else 'slow'}", template)
    study = open_storage(url).create(study_config())
    right = start(workers, url, "--block", "--name", "right")
    assert line(right) == "running 0"
    wrong = start(workers, url, "--say", "--name", "wrong", f"--ahead={ahead}")
    assert [line(wrong) for _ in range(11)] == [f"running {number}" for number in range(1, 12)]
    go_on(right)
    assert line(right) == "told 1"
    assert line(wrong) == "told 11"
    check_whole(study.read(), 12)
    assert study.events() == []


def test_a_server_that_restarts_costs_nothing(tmp_path: Path, workers: list[Process]) -> None:
    server = Server()
    try:
        server.start()
        url = server.database("restarted")
        study = open_storage(url).create(study_config(trials=20))
        worker = start(workers, url, "--block")
        for number in range(20):
            assert line(worker) == f"running {number}"
            if number in (3, 11):
                server.stop()
                go_on(worker)
                server.start()
            else:
                go_on(worker)
        assert line(worker) == "told 20"
        check_whole(study.read(), 20)
        assert study.events() == []
    finally:
        server.remove()


def test_a_thread_can_be_told_to_stop(storage_url: str, study: StoredStudy) -> None:
    from pareto_prune.running.assignment import Assignment
    from pareto_prune.running.worker import work
    from pareto_prune.running.worker_events import WorkerEvent

    stop = threading.Event()
    events: list[WorkerEvent] = []

    def stopped_in_the_third(assignment: Assignment):
        if assignment.number == 2:
            stop.set()
        assignment.check()
        return result_of(assignment.candidate)

    thread = threading.Thread(
        target=work,
        args=(study, stopped_in_the_third, space_of(study.config)),
        kwargs={"stop": stop, "on_event": events.append},
    )
    thread.start()
    thread.join()
    assert [event.kind for event in events][-1] == "handed_back"
    assert study.counts()[TrialState.COMPLETE] == 2
    assert study.counts()[TrialState.WAITING] == 1
