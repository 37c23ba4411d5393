"""Launchers: every one runs a study whole; processes also survive what their trials do."""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pareto_prune.core.errors import StorageError, TrialError, UserError
from pareto_prune.core.records import Failure, TrialState
from pareto_prune.running.launch import Job, Prepare, launchers
from pareto_prune.running.launch._child_process import IsolatedTrials
from pareto_prune.running.launch.processes import Processes, gpus
from pareto_prune.running.worker_events import WorkerEvent
from pareto_prune.storage import StoredStudy, open_storage
from tests.launch import jobs
from tests.storage.scripted import prepare_scripted, space_of, study_config

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'study.db'}"


@pytest.fixture
def study(url: str) -> StoredStudy:
    return open_storage(url).create(study_config(trials=6))


def launch(
    url: str,
    study: StoredStudy,
    prepare: Prepare,
    name: str = "processes",
    **options,
) -> list[WorkerEvent]:
    events: list[WorkerEvent] = []
    job = Job(url, study.name, prepare, functools.partial(space_of, study.config))
    launchers.create(name, options).launch(job, events.append, threading.Event())
    return events


def result(study: StoredStudy, number: int):
    found = study.read().trials[number].result
    assert found is not None
    return found


@pytest.mark.parametrize("name", ["inline", "processes"])
def test_a_launcher_runs_the_study_whole(url: str, study: StoredStudy, name: str) -> None:
    events = launch(url, study, prepare_scripted, name)
    assert study.counts()[TrialState.COMPLETE] == 6
    assert [event.kind for event in events].count("told") == 6
    assert len(study.rungs(3)) == 1
    assert all(worker.ended is not None for worker in study.workers())


@pytest.mark.parametrize("name", ["inline", "processes"])
def test_what_the_user_must_change_ends_the_launch(url: str, study: StoredStudy, name: str) -> None:
    with pytest.raises(UserError, match="the data is gone"):
        launch(url, study, jobs.prepare_nothing, name)
    assert study.counts()[TrialState.RUNNING] == 0


@pytest.mark.parametrize("name", ["inline", "processes"])
def test_a_database_that_is_away_ends_the_launch_and_fails_no_trial(
    url: str, study: StoredStudy, name: str
) -> None:
    with pytest.raises(StorageError, match="connection refused"):
        launch(url, study, jobs.prepare_cut_off, name)
    assert study.counts()[TrialState.WAITING] == 1
    assert study.counts()[TrialState.FAILED] == 0


def test_a_child_stays_up_from_trial_to_trial(url: str, study: StoredStudy) -> None:
    launch(url, study, jobs.prepare, workers=1, threads=3)
    told = [result(study, number).timings for number in range(6)]
    assert len({one["pid"] for one in told}) == 1
    assert told[0]["pid"] != os.getpid()
    assert {one["threads"] for one in told} == {3.0}


def test_two_workers_have_a_process_each(url: str, study: StoredStudy) -> None:
    study.ask_for(40)
    launch(url, study, jobs.prepare, workers=2)
    pids = {result(study, number).timings["pid"] for number in range(40)}
    assert len(pids) == 2
    assert len({worker.name for worker in study.workers()}) == 2


@pytest.mark.parametrize(
    ("how", "kind", "reason"),
    [
        ("SIGKILL", "killed", "its process was killed, most likely out of memory"),
        ("SIGSEGV", "crashed", "its process died of SIGSEGV"),
        ("exit", "crashed", "its process ended with code 7"),
    ],
)
def test_a_crash_costs_one_trial(
    url: str, study: StoredStudy, tmp_path: Path, how: str, kind: str, reason: str
) -> None:
    launch(url, study, functools.partial(jobs.prepare_dying, str(tmp_path), how))
    assert study.counts()[TrialState.COMPLETE] == 5
    assert result(study, 2).failure == Failure(kind=kind, reason=reason)


def test_a_failure_does_not_cost_the_child(url: str, study: StoredStudy) -> None:
    launch(url, study, jobs.prepare_failing)
    assert result(study, 1).failure == Failure(kind="nan_loss", reason="step 3")
    assert len({result(study, number).timings["pid"] for number in (0, 2, 4)}) == 1


def test_a_hang_costs_one_trial(
    url: str, study: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    trials = functools.partial(IsolatedTrials, grace=0.1)
    monkeypatch.setattr("pareto_prune.running.launch.processes.IsolatedTrials", trials)
    limits = {"trials": 3, "trial_time": "1s"}
    study = open_storage(url).create(study_config(limits=limits))
    launch(url, study, jobs.prepare_hanging)
    assert study.counts()[TrialState.COMPLETE] == 2
    failure = result(study, 1).failure
    assert failure is not None
    assert failure.kind == "time_limit"


@pytest.mark.parametrize("workers", [1, 2])
def test_what_fails_while_preparing_costs_no_trial(
    url: str, study: StoredStudy, workers: int
) -> None:
    with pytest.raises(TrialError, match="ZeroDivisionError: in preparing"):
        launch(url, study, jobs.prepare_broken, workers=workers)
    assert sum(study.counts().values()) == 0


@pytest.fixture
def run(url: str, study: StoredStudy, tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    """A real run of two workers whose trials wait for ever."""
    command = [sys.executable, "-m", "tests.launch.main", url, str(tmp_path)]
    process = subprocess.Popen(
        command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        for _ in range(2):
            assert process.stderr.readline() == "running\n"
        yield process
    finally:
        process.kill()
        process.communicate()


def children(folder: Path) -> list[int]:
    return [int(path.name.removeprefix("pid-")) for path in folder.glob("pid-*")]


def alive(pid: int) -> bool:
    state = Path(f"/proc/{pid}/stat")
    return state.exists() and state.read_text().rpartition(")")[2].split()[0] not in "ZX"


def wait_until_gone(pids: list[int]) -> None:
    end = time.monotonic() + 30
    while any(map(alive, pids)):
        assert time.monotonic() < end, f"still there: {pids}"
        time.sleep(0.05)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_launch_hands_everything_back(
    run: subprocess.Popen[str], study: StoredStudy, tmp_path: Path, number: signal.Signals
) -> None:
    assert len(children(tmp_path)) == 2
    run.send_signal(number)
    assert run.wait() == 130
    wait_until_gone(children(tmp_path))
    assert study.counts()[TrialState.WAITING] == 2
    assert study.counts()[TrialState.RUNNING] == 0


def test_a_signal_to_every_process_of_a_launch_costs_no_trial(
    run: subprocess.Popen[str], study: StoredStudy, tmp_path: Path
) -> None:
    """As Slurm and systemd send it; those who run the trials hear it first."""
    for pid in children(tmp_path):
        os.kill(pid, signal.SIGTERM)
    run.send_signal(signal.SIGTERM)
    assert run.wait() == 130
    wait_until_gone(children(tmp_path))
    assert study.counts()[TrialState.WAITING] == 2
    assert study.counts()[TrialState.FAILED] == 0


def test_children_do_not_outlive_a_killed_launch(
    run: subprocess.Popen[str], study: StoredStudy, url: str, tmp_path: Path
) -> None:
    run.send_signal(signal.SIGKILL)
    run.wait()
    wait_until_gone(children(tmp_path))
    launch(url, study, prepare_scripted, "inline")
    assert study.counts()[TrialState.COMPLETE] == 6


def test_gpus_and_threads_are_divided(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    assert gpus() == ["4", "6"]
    listed = Processes().environments(gpus(), cores=8)
    assert [one["CUDA_VISIBLE_DEVICES"] for one in listed] == ["4", "6"]
    assert [one["OMP_NUM_THREADS"] for one in listed] == ["4", "4"]
    assert len(Processes(workers=3).environments(["0", "1"], 8)) == 3
    assert Processes(workers=4).environments([], 2)[3] == {
        "OMP_NUM_THREADS": "1",
        "MKL_NUM_THREADS": "1",
    }
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "-1")
    assert gpus() == []
