"""The worker's loop: what it claims, tells, hands back, and when it ends."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from pareto_prune.core.errors import (
    RepeatedFailureError,
    StorageAwayError,
    StorageError,
    TrialError,
    UserError,
)
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.records import Candidate, Failure, TrialResult, TrialState
from pareto_prune.results.yardstick import reference_values
from pareto_prune.running.asker import Asker
from pareto_prune.running.assignment import Assignment
from pareto_prune.running.failures import FailureStreak, failure_of
from pareto_prune.running.lease_keeper import Keeper
from pareto_prune.running.run_study import Unwatched, Watch
from pareto_prune.running.worker import work
from pareto_prune.running.worker_events import WorkerEvent
from pareto_prune.search.past import Past
from pareto_prune.search.samplers import Proposal, Request, samplers
from pareto_prune.search.samplers._history import History
from pareto_prune.storage import StoredStudy, open_storage
from pareto_prune.trials.seed import trial_seed
from tests.storage.scripted import (
    reference,
    result_of,
    run_scripted,
    rung_of,
    space_of,
    study_config,
)

CONFIG = study_config()
SPACE = space_of(CONFIG)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("studies")


@pytest.fixture
def study(folder: Path, request: pytest.FixtureRequest) -> StoredStudy:
    storage = open_storage(f"sqlite:///{folder / 'study.db'}")
    if any(one.name == "scripted" for one in storage.studies()):
        storage.delete("scripted")
    return storage.create(CONFIG)


def kinds(events: list[WorkerEvent]) -> list[str]:
    return [event.kind for event in events]


def counts(study: StoredStudy) -> dict[TrialState, int]:
    return {state: count for state, count in study.counts().items() if count}


def test_a_worker_runs_all_trials_and_leaves(study: StoredStudy) -> None:
    events: list[WorkerEvent] = []
    assert work(study, run_scripted, SPACE, worker_name="w", on_event=events.append) == 12
    assert counts(study) == {TrialState.COMPLETE: 12}
    assert kinds(events)[:4] == ["claimed", "rung", "told", "claimed"]
    assert events[2].result is not None
    assert study.workers()[0].ended is not None
    assert study.rungs(3) == [rung_of(0)]
    assert work(study, run_scripted, SPACE) == 0


class Totals(Unwatched):
    """Remembers of how many trials each one was said to be."""

    def __init__(self) -> None:
        self.said: list[tuple[int, int]] = []

    def trial_started(self, number: int, total: int, candidate: Candidate | None) -> None:
        self.said.append((number, total))


def test_trials_asked_for_meanwhile_are_run_and_said(study: StoredStudy, folder: Path) -> None:
    study.ask_for(2)
    other = open_storage(f"sqlite:///{folder / 'study.db'}").open_study("scripted")

    def run(assignment: Assignment) -> TrialResult:
        if assignment.number == 1:
            other.ask_for(3)
        return run_scripted(assignment)

    seen = Totals()
    assert work(study, run, SPACE, on_event=Watch(study, seen, threading.Event())) == 3
    assert seen.said == [(0, 2), (1, 2), (2, 3)]


def test_starters_are_run_first_and_as_they_are(study: StoredStudy) -> None:
    starter = SPACE.to_candidate({gene.name: gene.only for gene in SPACE.genes}, "uniform")
    study.enqueue([starter], SPACE)
    seen: list[Candidate] = []

    def run(assignment: Assignment) -> TrialResult:
        seen.append(assignment.candidate)
        return result_of(assignment.candidate)

    work(study, run, SPACE)
    assert seen[0] == starter
    assert all(candidate.starter is None for candidate in seen[1:])
    assert len(set(map(str, seen))) == 12


def test_the_same_seed_gives_the_same_candidates_even_over_a_break(folder: Path) -> None:
    storage = open_storage(f"sqlite:///{folder / 'twice.db'}")
    whole = storage.create(study_config("whole", 30))
    work(whole, run_scripted, SPACE)
    parts = storage.create(study_config("parts", 13))
    work(parts, run_scripted, SPACE)
    parts.ask_for(30)
    for _ in range(3):
        stop = threading.Event()
        work(parts, _stopping_after(5, stop), SPACE, stop=stop)
    work(parts, run_scripted, SPACE)
    candidates = [[trial.candidate for trial in one.read().trials] for one in (whole, parts)]
    assert candidates[0] == candidates[1]
    other = storage.create(study_config("other", 30, seed=1))
    work(other, run_scripted, SPACE)
    assert [trial.candidate for trial in other.read().trials] != candidates[0]


def _stopping_after(trials: int, stop: threading.Event) -> Callable[[Assignment], TrialResult]:
    """Run some trials, then stop in the middle of the next."""
    ran: list[int] = []

    def run(assignment: Assignment) -> TrialResult:
        ran.append(assignment.number)
        if len(ran) > trials:
            stop.set()
        assignment.check()
        return result_of(assignment.candidate)

    return run


def test_seeds_are_a_hash_of_study_and_number() -> None:
    seeds = {trial_seed(study, number) for study in range(20) for number in range(500)}
    assert len(seeds) == 10_000
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert trial_seed(0, 0) == trial_seed(0, 0)


def test_each_trial_gets_its_own_seed(study: StoredStudy) -> None:
    seeds: list[int] = []

    def run(assignment: Assignment) -> TrialResult:
        seeds.append(assignment.seed)
        return result_of(assignment.candidate)

    work(study, run, SPACE)
    assert seeds == [trial_seed(0, number) for number in range(12)]


class OutOfMemoryError(RuntimeError):
    """As torch has one."""


@pytest.mark.parametrize(
    ("error", "failure"),
    [
        (TrialError("nan_loss", "step 3"), Failure(kind="nan_loss", reason="step 3")),
        (MemoryError(), Failure(kind="out_of_memory", reason="MemoryError")),
        (OutOfMemoryError("CUDA\nmore"), Failure(kind="out_of_memory", reason="CUDA")),
        (
            ZeroDivisionError("by 0"),
            Failure(kind="zero_division_error", reason="ZeroDivisionError: by 0"),
        ),
    ],
)
def test_a_trial_that_raises_has_failed_with_its_reason(
    study: StoredStudy, error: Exception, failure: Failure
) -> None:
    events: list[WorkerEvent] = []

    def run(assignment: Assignment) -> TrialResult:
        if assignment.number == 3:
            raise error
        return result_of(assignment.candidate)

    work(study, run, SPACE, on_event=events.append)
    assert counts(study) == {TrialState.COMPLETE: 11, TrialState.FAILED: 1}
    failed = study.read().trials[3].result
    assert failed is not None
    assert failed.failure == failure == failure_of(error)
    assert failed.timings["total"] >= 0
    assert [event.error for event in events if event.kind == "failed"] == [error]


def test_three_failures_alike_in_a_row_stop_the_run(study: StoredStudy) -> None:
    def run(assignment: Assignment) -> TrialResult:
        if assignment.number in (0, 1, 3, 5, 6, 7):
            raise TrialError("even" if assignment.number == 1 else "odd", "because")
        return result_of(assignment.candidate)

    with pytest.raises(RepeatedFailureError, match=r"3 trials in a row .*: odd: because"):
        work(study, run, SPACE)
    assert counts(study) == {TrialState.COMPLETE: 2, TrialState.FAILED: 6}


def test_a_streak_is_of_one_kind() -> None:
    streak = FailureStreak()
    for kind in ("a", "a", "b", "a", "a"):
        streak.add(Failure(kind=kind, reason=""))
    streak.add(None)
    streak.add(None)
    streak.add(None)
    streak.add(Failure(kind="a", reason=""))
    streak.add(Failure(kind="a", reason=""))
    with pytest.raises(RepeatedFailureError):
        streak.add(Failure(kind="a", reason=""))


def test_what_only_the_user_can_change_ends_the_run(study: StoredStudy) -> None:
    def run(assignment: Assignment) -> TrialResult:
        raise UserError("the data is gone")

    with pytest.raises(UserError, match="the data is gone"):
        work(study, run, SPACE)
    assert counts(study) == {TrialState.WAITING: 1}


@pytest.mark.parametrize("kind", [StorageAwayError, StorageError])
def test_a_database_that_fails_or_is_away_is_no_failure_of_a_trial(
    study: StoredStudy, kind: type[StorageError]
) -> None:
    def run(assignment: Assignment) -> TrialResult:
        raise kind("storage: connection refused")

    with pytest.raises(kind, match="connection refused") as caught:
        work(study, run, SPACE)
    assert caught.value.exit_code == 1
    assert counts(study) == {TrialState.WAITING: 1}


def test_signals() -> None:
    """In a process of their own: one that goes astray would take all other tests with it."""
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
    done = subprocess.run(
        [*command, str(Path(__file__).with_name("worker_signals.py"))],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.startswith("...")


def test_a_trial_past_its_time_limit_fails(study: StoredStudy) -> None:
    limits = CONFIG.limits.model_copy(update={"trial_time": "0.001s", "trials": 1})
    study.ask_for(1)
    study.config = study.config.model_copy(update={"limits": limits})

    def run(assignment: Assignment) -> TrialResult:
        assert assignment.deadline is not None
        while True:
            assignment.check()

    work(study, run, SPACE)
    failed = study.read().trials[0].result
    assert failed is not None
    assert failed.failure == Failure(kind="time_limit", reason="took longer than 0.001s")


def test_a_promotion_has_as_many_times_the_limit_as_steps(study: StoredStudy) -> None:
    limits = CONFIG.limits.model_copy(update={"trial_time": "1h", "trials": 2})
    study.ask_for(2)
    study.config = study.config.model_copy(update={"limits": limits})
    plain = SPACE.to_candidate({gene.name: gene.only for gene in SPACE.genes})
    promoted = plain.model_copy(update={"parent": 0, "rung": 1})
    left: list[float] = []

    def run(assignment: Assignment) -> TrialResult:
        assert assignment.deadline is not None
        left.append(assignment.deadline - time.monotonic())
        return result_of(assignment.candidate)

    study.enqueue([plain, promoted], SPACE)
    work(study, run, SPACE)
    assert [round(seconds / 3600) for seconds in left] == [1, 3]


def test_no_trial_is_begun_after_the_time_limit(study: StoredStudy) -> None:
    assert work(study, run_scripted, SPACE, time_limit=0.0) == 0


def test_no_trial_is_begun_that_would_end_after_the_time_limit(
    study: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each trial takes ten seconds by a scripted clock; of twenty-five there is room for two."""
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])

    def run(assignment: Assignment) -> TrialResult:
        now[0] += 10
        return result_of(assignment.candidate)

    assert work(study, run, SPACE, time_limit=25.0) == 2


def test_a_stop_in_another_thread_ends_at_the_next_check(study: StoredStudy) -> None:
    stop = threading.Event()
    stop.set()
    assert work(study, run_scripted, SPACE, stop=stop) == 0


def test_a_lost_lease_is_noticed_at_the_next_rung(study: StoredStudy) -> None:
    events: list[WorkerEvent] = []

    def run(assignment: Assignment) -> TrialResult:
        if assignment.number == 1 and not [e for e in events if e.kind == "lost"]:
            study._claims[1] = _stolen(study)
            assignment.report_rung(rung_of(0))
        return result_of(assignment.candidate)

    work(study, run, SPACE, on_event=events.append, linger=False)
    assert kinds(events).count("lost") == 1
    assert counts(study)[TrialState.COMPLETE] == 11


def _stolen(study: StoredStudy):
    import dataclasses

    return dataclasses.replace(study._claims[1], token="another's")


def test_a_lease_is_renewed_while_it_is_kept() -> None:
    renewed = threading.Semaphore(0)
    with Keeper(lambda: renewed.release() or True, 0.004) as keeper:
        for _ in range(3):
            assert renewed.acquire(timeout=10)
    assert not keeper.lost.is_set()


def test_a_keeper_survives_what_renewing_raises() -> None:
    """A database driver or a pool of connections has errors of its own."""
    tries = threading.Semaphore(0)

    def fails() -> bool:
        tries.release()
        raise TimeoutError("QueuePool limit of size 5 overflow 10 reached")

    with Keeper(fails, 0.004) as keeper:
        for _ in range(3):
            assert tries.acquire(timeout=10)
        assert not keeper.lost.is_set()


def test_a_lease_in_a_study_that_is_gone_is_lost() -> None:
    def gone() -> bool:
        raise UserError("it was deleted")

    with Keeper(gone, 0.004) as keeper:
        assert keeper.lost.wait(timeout=10)


def test_a_run_that_is_started_again_does_not_use_up_the_study(study: StoredStudy) -> None:
    def fails(assignment: Assignment) -> TrialResult:
        raise TrialError("out_of_memory", "CUDA out of memory")

    for failed in (3, 4, 5):
        with pytest.raises(RepeatedFailureError) as stopped:
            work(study, fails, SPACE)
        assert stopped.value.exit_code == 3
        assert counts(study) == {TrialState.FAILED: failed}
    work(study, run_scripted, SPACE)
    assert counts(study) == {TrialState.FAILED: 5, TrialState.COMPLETE: 7}


def test_who_waits_looks_less_and_less_often(study: StoredStudy) -> None:
    """A thousand workers that wait must not keep the database busy."""
    study.ask_for(1)
    trial = study.claim("elsewhere")
    assert trial is not None
    looks: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            looks.append(timeout or 0.0)
            if len(looks) == 6:
                self.set()
            return self.is_set()

    work(study, run_scripted, SPACE, stop=Stop(), poll=0.5)
    assert looks == [0.5, 1.0, 2.0, 4.0, 5.0, 5.0]


def test_who_loses_the_lease_is_told() -> None:
    with Keeper(lambda: False, 0.004) as keeper:
        assert keeper.lost.wait(timeout=10)


def test_a_trial_is_nobody_elses_while_its_candidate_is_thought_of(folder: Path) -> None:
    """Others are at work all the time, and take what is left alone."""
    storage = open_storage(f"sqlite:///{folder / 'slow.db'}", lease_seconds=0.2)
    study = storage.create(study_config(trials=1))
    events: list[WorkerEvent] = []

    class Slow:
        def ask(self, history: History, request: Request) -> Proposal:
            for _ in range(10):
                time.sleep(0.05)
                study.acquire("any", "other")
            return quick.ask(history, request)

    quick = samplers.create(study.config.sampler.name)
    work(study, run_scripted, SPACE, sampler=Slow(), on_event=events.append, time_limit=9.0)
    assert kinds(events) == ["claimed", "rung", "told"]


def test_a_sampler_is_told_which_trials_are_within_the_cost_target(study: StoredStudy) -> None:
    measured = reference().measurement
    readings = {"latency_ms": measured.readings["latency_ms"]}
    readings["energy_j"] = readings["latency_ms"].model_copy(update={"unit": "J"})
    changes = {"measurement": measured.model_copy(update={"readings": readings})}
    dense = study.set_reference(reference().model_copy(update=changes))
    values = reference_values(dense, [OBJECTIVES[name] for name in study.config.objectives])
    cheap = {n: v if n == "accuracy" else v / 4 for n, v in values.items()}
    history = Asker(study, space_of(study.config))._history
    done = TrialState.COMPLETE
    history.update([Past(0, done, {}, values), Past(1, done, {}, cheap)])
    assert history.violations[0] > 0
    assert history.violations[1] == 0
