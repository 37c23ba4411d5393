"""Workers of all studies: whose turn it is, what fits, what is kept, and when they end."""

from __future__ import annotations

import functools
import heapq
import itertools
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pareto_prune import api, cli
from pareto_prune.core import memory
from pareto_prune.core.errors import Problem, StorageError, TrialError, UserError
from pareto_prune.core.progress import Progress
from pareto_prune.core.records import TrialResult, TrialState
from pareto_prune.running import all_studies
from pareto_prune.running.all_studies import Service, work_on_all
from pareto_prune.running.any_worker import AnyWorker, in_turn
from pareto_prune.running.assignment import Assignment, RunTrial
from pareto_prune.running.fit import AGAIN_SECONDS, Fit
from pareto_prune.running.interruptions import Interruptions
from pareto_prune.running.launch import Prepare, launchers
from pareto_prune.running.launch.inline import TrialsHere
from pareto_prune.running.run_study import Unwatched
from pareto_prune.running.seats import FIRST_LEASE, MOST_SEATS, Seats, Shop
from pareto_prune.storage import Storage, StoredStudy, open_storage
from tests.storage.scripted import reference, result_of, run_scripted, space_of, study_config

SPACE = space_of(study_config())
CANDIDATE = SPACE.to_candidate({gene.name: gene.only for gene in SPACE.genes})


def study_of(
    storage: Storage, name: str, priority: float = 1.0, trials: int = 500, **tables: object
) -> StoredStudy:
    """Return a study that has begun, as far as workers of all studies go."""
    limits = {"trials": trials, "priority": priority}
    study = storage.create(study_config(name, limits=limits, **tables))
    study.keep_artifacts_at("nowhere")
    study.set_reference(reference())
    return study


class Notes(Unwatched):
    """Keeps what is said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def note(self, text: str) -> None:
        self.said.append(text)


class Closed(TrialsHere):
    """Trials that remember of which study they were let go."""

    names: list[str]

    def close(self) -> None:
        self.names.append(self._prepare.args[1])  # type: ignore[attr-defined]
        super().close()


def any_worker(
    storage: Storage,
    run: Callable[[str], RunTrial] = lambda name: run_scripted,
    *,
    name: str = "any",
    labels: tuple[str, ...] = (),
    idle: float | None = 0.0,
    short: Callable[[], bool] = lambda: False,
    stop: threading.Event | None = None,
    closed: list[str] | None = None,
) -> tuple[AnyWorker, Notes]:
    """Return a worker whose trials are scripted, by the name of their study."""
    notes, ends, trials = Notes(), stop or threading.Event(), closed if closed is not None else []

    def prepare(_url: str, study: str, _progress: Progress) -> RunTrial:
        return run(study)

    def here(prepared: Prepare) -> Closed:
        made = Closed(prepared, notes)
        made.names = trials
        return made

    shop = Shop(
        "", name, notes, here, ends, threading.Lock(), prepare, lambda url, study: SPACE, short
    )
    fit = Fit(storage, name, labels, usable=lambda table: None)
    return AnyWorker(storage, Seats(storage, shop), fit, ends, idle, poll=0.01), notes


def complete(storage: Storage, name: str) -> int:
    return storage.open_study(name).counts()[TrialState.COMPLETE]


class Scene:
    """Workers and a clock that the test turns: each trial takes as long as is said."""

    def __init__(self, folder: Path) -> None:
        self.now = 1e9
        self.storage = open_storage(f"sqlite:///{folder / 'study.db'}", clock=lambda: self.now)
        self.fit = Fit(self.storage, "w", usable=lambda table: None)
        self._count = itertools.count()
        self._busy: list[tuple[float, int, str, object]] = []

    def begin(self, worker: str, seconds: dict[str, float]) -> None:
        """Let a worker begin a trial of the study whose turn it is."""
        name = in_turn(self.storage, self.fit)[0].identity.name
        study = self.storage.open_study(name)
        trial = study.claim(worker)
        assert trial is not None
        ready = study.assign(trial, CANDIDATE, SPACE)
        heapq.heappush(
            self._busy, (self.now + seconds[name], next(self._count), worker, (study, ready))
        )

    def pass_by(self, trials: int, seconds: dict[str, float]) -> Counter[str]:
        """Let so many trials end, each followed by another; return whose they were."""
        ended: Counter[str] = Counter()
        for _ in range(trials):
            self.now, _, worker, (study, trial) = heapq.heappop(self._busy)  # type: ignore[misc]
            assert study.tell(trial, result_of(CANDIDATE))
            ended[study.name] += 1
            self.begin(worker, seconds)
        return ended


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


@pytest.mark.parametrize("seconds", [{"a": 10.0, "b": 10.0}, {"a": 25.0, "b": 5.0}])
def test_two_workers_divide_their_time_by_priority(scene: Scene, seconds: dict[str, float]) -> None:
    """Two to one of the time, whether or not the trials are as long as each other."""
    for name, priority in (("a", 2.0), ("b", 1.0)):
        study_of(scene.storage, name, priority)
    for worker in ("v", "w"):
        scene.begin(worker, seconds)
    ended = scene.pass_by(90, seconds)
    times = {name: ended[name] * seconds[name] for name in ended}
    assert times["a"] / sum(times.values()) == pytest.approx(2 / 3, rel=0.1)


def test_who_comes_late_or_back_is_not_given_all(scene: Scene) -> None:
    """What the others had before counts for nothing; nor does what was missed in a pause."""
    seconds = dict.fromkeys("ab", 10.0)
    study_of(scene.storage, "a")
    scene.begin("w", seconds)
    assert scene.pass_by(20, seconds) == {"a": 20}
    study_of(scene.storage, "b")
    assert scene.pass_by(20, seconds)["b"] == pytest.approx(10, abs=1)
    scene.storage.steer("b", "pause")
    scene.pass_by(1, seconds)
    assert scene.pass_by(20, seconds) == {"a": 20}
    scene.storage.steer("b", "resume")
    assert scene.pass_by(20, seconds)["b"] == pytest.approx(10, abs=1)


def test_two_threads_divide_their_time_by_priority(storage: Storage) -> None:
    """Neither part is ahead by more than the trials that were last begun: whatever they took."""
    for name, priority in (("a", 2.0), ("b", 1.0)):
        study_of(storage, name, priority)
    stop, ran = threading.Event(), []

    def run(name: str) -> RunTrial:
        def trial(assignment: Assignment) -> TrialResult:
            time.sleep(0.02)
            ran.append(name)
            if len(ran) >= 60:
                stop.set()
            return result_of(assignment.candidate)

        return trial

    workers = [any_worker(storage, run, name=name, stop=stop, idle=None)[0] for name in "vw"]
    threads = [threading.Thread(target=worker.work) for worker in workers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    used = {one.name: had for one, had in storage.used(storage.queue()).items()}
    assert abs(used["a"] / 2.0 - used["b"] / 1.0) <= 2 * _longest(storage, "a", "b")
    assert complete(storage, "a") + complete(storage, "b") == len(ran)
    assert all(w.ended is not None for name in "ab" for w in storage.open_study(name).workers())


def _longest(storage: Storage, *names: str) -> float:
    """Return the seconds of the longest trial of some studies."""
    trials = [trial for name in names for trial in storage.open_study(name).read().trials]
    return max((trial.ended or 0.0) - (trial.started or 0.0) for trial in trials if trial.ended)


def test_a_study_that_comes_later_is_taken_up_and_idleness_ends_it(storage: Storage) -> None:
    study_of(storage, "first", trials=2)

    def run(name: str) -> RunTrial:
        def trial(assignment: Assignment) -> TrialResult:
            if name == "first" and assignment.number == 1:
                study_of(storage, "later", trials=3)
            return result_of(assignment.candidate)

        return trial

    worker, notes = any_worker(storage, run, idle=0.05)
    assert worker.work() == 5
    assert [note.partition(":")[0] for note in notes.said] == [
        "trials of study 'first'",
        "trials of study 'later'",
    ]
    assert all("preparing for it took" in note for note in notes.said)


def test_what_does_not_fit_is_left_alone_and_says_so(storage_url: str, storage: Storage) -> None:
    study_of(storage, "plain", trials=1)
    study_of(storage, "wants", trials=1, measure={"labels": ("gpu=h100",)})
    for _ in range(2):
        any_worker(storage, labels=("gpu=t4",))[0].work()
    assert (complete(storage, "plain"), complete(storage, "wants")) == (1, 0)
    said = "worker any: the study wants a worker with --label gpu=h100"
    assert api.status("wants", storage_url).waits == said
    assert api.status("plain", storage_url).waits is None
    any_worker(storage, labels=("gpu=h100", "more"))[0].work()
    assert complete(storage, "wants") == 1
    assert api.status("wants", storage_url).waits is None


def test_an_engine_that_is_not_there_is_said(storage_url: str, storage: Storage) -> None:
    study_of(storage, "wants", trials=1)

    def usable(table: object) -> None:
        raise UserError(Problem("measure.engine", "onnxruntime cannot be used: not installed"))

    worker, _ = any_worker(storage)
    worker.fit = Fit(storage, "any", usable=usable)
    assert worker.work() == 0
    said = "worker any: measure.engine: onnxruntime cannot be used: not installed"
    assert api.status("wants", storage_url).waits == said


def test_what_is_wrong_with_one_study_is_not_the_others_business(storage: Storage) -> None:
    for name in ("broken", "failing", "well"):
        study_of(storage, name, trials=4)

    def run(name: str) -> RunTrial:
        def fails(assignment: Assignment) -> TrialResult:
            raise TrialError("out_of_memory", "CUDA out of memory")

        if name == "broken":
            raise UserError("the data is gone")
        return fails if name == "failing" else run_scripted

    worker, _ = any_worker(storage, run)
    worker.work()
    assert complete(storage, "well") == 4
    assert storage.open_study("failing").counts()[TrialState.FAILED] == 3
    said = {name: storage.open_study(name).events()[-1] for name in ("broken", "failing")}
    assert (said["broken"].kind, said["broken"].text) == ("unfit", "the data is gone")
    assert said["failing"].text.startswith("3 trials in a row failed the same way: out_of_memory")


def test_what_was_set_aside_is_looked_at_again(storage: Storage) -> None:
    study_of(storage, "mended")
    now = [0.0]
    fit = Fit(storage, "any", usable=lambda table: None, clock=lambda: now[0])
    [queued] = storage.queue()
    fit.set_aside(queued, "the data is gone")
    fit.set_aside(queued, "the data is gone")
    assert not fit(queued)
    now[0] = AGAIN_SECONDS
    assert fit(queued)
    assert len(storage.open_study("mended").events()) == 1


def test_the_last_few_stay_prepared_for(storage: Storage) -> None:
    names = ["a", "b", "c", "d"]
    studies = {name: study_of(storage, name) for name in names}
    made: list[str] = []
    closed: list[str] = []

    def run(name: str) -> RunTrial:
        made.append(name)
        return run_scripted

    worker, notes = any_worker(storage, run, closed=closed)
    with Interruptions() as interruptions:
        for name in ("a", "b", "a", "c", "d", "a"):
            assert worker.seats.at(studies[name].identity, interruptions) is not None
        assert (made, closed) == (names, ["b"])
        assert len(notes.said) == 6
        worker.seats.leave_all(interruptions)
    assert sorted(closed) == names
    assert len(names) == MOST_SEATS + 1


def test_nothing_is_kept_where_memory_is_short(storage: Storage) -> None:
    studies = [study_of(storage, name) for name in ("a", "b")]
    closed: list[str] = []
    worker, _ = any_worker(storage, short=lambda: True, closed=closed)
    with Interruptions() as interruptions:
        for study in (*studies, studies[0]):
            worker.seats.at(study.identity, interruptions)
    assert closed == ["a", "b"]


def test_one_worker_makes_what_is_made_once_and_the_others_go_elsewhere(storage: Storage) -> None:
    new = storage.create(study_config("new", trials=2))
    new.keep_artifacts_at("nowhere")
    study_of(storage, "old", trials=3)
    maker = storage.open_study("new")
    assert maker.acquire(FIRST_LEASE, "maker")

    def run(name: str) -> RunTrial:
        storage.open_study(name).set_reference(reference())
        return run_scripted

    assert any_worker(storage, run)[0].work() == 3
    assert new.reference is None
    maker.release(FIRST_LEASE)
    assert any_worker(storage, run)[0].work() == 2
    assert not maker.held_by_copies(FIRST_LEASE)
    assert maker.acquire(FIRST_LEASE, "maker")


@pytest.mark.parametrize("verb", ["pause", "stop", "cancel"])
def test_an_order_to_one_study_leaves_the_others(storage_url: str, verb: str) -> None:
    """Given while a trial of it runs, and its worker is at it."""
    storage = open_storage(storage_url, lease_seconds=0.2)
    for name in ("told", "other"):
        study_of(storage, name, trials=3)

    def run(name: str) -> RunTrial:
        def trial(assignment: Assignment) -> TrialResult:
            if name == "told":
                api.steer("told", verb, storage_url)
                end = time.monotonic() + (30 if verb == "cancel" else 0)
                while time.monotonic() < end:
                    assignment.check()
                    time.sleep(0.01)
            return result_of(assignment.candidate)

        return trial

    any_worker(storage, run)[0].work()
    assert complete(storage, "other") == 3
    assert complete(storage, "told") == (0 if verb == "cancel" else 1)
    assert storage.open_study("told").counts()[TrialState.RUNNING] == 0


def test_an_interruption_hands_back_and_leaves_all(storage: Storage) -> None:
    for name in ("a", "b"):
        study_of(storage, name)

    def run(name: str) -> RunTrial:
        def trial(assignment: Assignment) -> TrialResult:
            if name == "b":
                raise KeyboardInterrupt
            return result_of(assignment.candidate)

        return trial

    with pytest.raises(KeyboardInterrupt):
        any_worker(storage, run)[0].work()
    assert storage.open_study("b").counts()[TrialState.WAITING] == 1
    assert all(w.ended is not None for name in "ab" for w in storage.open_study(name).workers())


def test_a_study_without_a_place_for_models_or_room_is_not_in_the_queue(storage: Storage) -> None:
    storage.create(study_config("placeless"))
    full = study_of(storage, "full", trials=1)
    assert full.claim("w") is not None
    assert storage.queue() == []


@pytest.mark.parametrize(
    ("available", "limit", "short"),
    [(500, None, False), (100, None, True), (500, "max", False), (500, "1000", True)],
)
def test_memory_is_short_where_machine_or_container_has_little_left(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    available: int,
    limit: str | None,
    short: bool,
) -> None:
    meminfo = tmp_path / "meminfo"
    meminfo.write_text(f"MemTotal:    1000 kB\nMemFree:  1 kB\nMemAvailable:  {available} kB\n")
    monkeypatch.setattr(memory, "_MEMINFO", meminfo)
    monkeypatch.setattr(memory, "_GROUP", tmp_path)
    if limit is not None:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text("800\n")
    assert memory.is_short() is short


class TwoHere:
    """A launcher of two workers in this process."""

    def hands(self, progress: Progress) -> list[Callable[[Prepare], TrialsHere]]:
        return [lambda prepare: TrialsHere(prepare, progress)] * 2


@pytest.mark.parametrize("wrong", [False, True])
def test_workers_of_one_command_end_together(
    storage_url: str, storage: Storage, monkeypatch: pytest.MonkeyPatch, wrong: bool
) -> None:
    study_of(storage, "a", trials=8)

    def prepare(_url: str, _name: str, _progress: Progress) -> RunTrial:
        def trial(assignment: Assignment) -> TrialResult:
            if wrong and assignment.number == 3:
                raise StorageError("disk full")
            return run_scripted(assignment)

        return trial

    made = functools.partial(
        Shop, prepare=prepare, space=lambda url, name: SPACE, short=lambda: False
    )
    monkeypatch.setattr(all_studies, "Shop", made)
    service = Service(storage_url, Unwatched(), idle=0.01)
    if wrong:
        with pytest.raises(StorageError, match="disk full"):
            work_on_all(service, TwoHere())  # type: ignore[arg-type]
    else:
        assert work_on_all(service, TwoHere()) == 8  # type: ignore[arg-type]
    workers = storage.open_study("a").workers()
    assert {worker.name[-2:] for worker in workers} <= {"/0", "/1"}
    assert all(worker.ended is not None for worker in workers)


def test_a_cluster_has_no_workers_of_all_studies() -> None:
    with pytest.raises(UserError, match="places the workers of one study, allowed: inline"):
        launchers.create("ray").hands(Unwatched())


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "worker: names no study, allowed: NAME, or --any"),
        (("a", "--any"), "worker: names one study and all of them, allowed: NAME, or --any"),
        (("a", "--idle", "9s"), "worker: --label and --idle are of workers of all studies"),
        (("--any", "--idle", "soon"), "--idle: 'soon', allowed: a number above 0 and s, min"),
    ],
)
def test_a_worker_is_of_one_study_or_of_all(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    said: str,
) -> None:
    monkeypatch.setattr(sys, "argv", ["pareto-prune", "worker", *words])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith(said)
