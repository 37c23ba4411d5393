"""The launcher ``ray``, on real clusters of this host: lost nodes, interruptions, refusals."""

from __future__ import annotations

import functools
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import types
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from pareto_prune import api
from pareto_prune.core.errors import RepeatedFailureError, TrialError, UserError
from pareto_prune.core.progress import Silent
from pareto_prune.core.records import Failure, TrialState
from pareto_prune.running.launch import Job, launchers
from pareto_prune.running.launch._ray_cluster import Cluster, Node, Share, check_command_line
from pareto_prune.running.launch._ray_node import Order, _seconds_left
from pareto_prune.running.launch.ray import Ray, _ends_at
from pareto_prune.storage import StoredStudy, open_storage
from tests.launch import jobs, small
from tests.launch.loopback import keep_to_loopback
from tests.launch.test_launch import children, launch, result, study, url, wait_until_gone
from tests.small_study import make_study
from tests.storage.conftest import postgres
from tests.storage.postgres import Server
from tests.storage.scripted import prepare_scripted, space_of, study_config

__all__ = ["postgres", "study", "url"]
ROOT = Path(__file__).parents[2]
PATIENCE = 120.0
STORE = 80 * 1024**2
ON_LOOPBACK = {"node_ip_address": "127.0.0.1", "object_store_memory": STORE}


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """A Ray cluster of one node with two CPUs; its processes end with the tests."""
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("RAY_TMPDIR", folder)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        from ray._private import services
        from ray.cluster_utils import Cluster as LocalCluster

        patch.setattr(services, "get_node_ip_address", services.get_node_ip_address)
        keep_to_loopback()
        dead_after = {"health_check_period_ms": 1000, "health_check_failure_threshold": 5}
        head = {"num_cpus": 2, "include_dashboard": False, "_system_config": dead_after}
        started = LocalCluster(initialize_head=True, head_node_args={**ON_LOOPBACK, **head})
        started.folder = Path(folder)
        patch.setenv("RAY_ADDRESS", started.address)
        try:
            yield started
        finally:
            started.shutdown()
            shutil.rmtree(folder)


@pytest.fixture
def second(cluster: Any) -> Iterator[Any]:
    """A second node, which ends with the test, as do others that it adds."""
    yield add_node(cluster, "second")
    for node in list(cluster.worker_nodes):
        cluster.remove_node(node)


def add_node(cluster: Any, name: str, gpus: int = 0) -> Any:
    """Add a node that trials know by ``NODE``, with a CPU and GPUs that are not there."""
    return cluster.add_node(num_cpus=1, num_gpus=gpus, env_vars={"NODE": name}, **ON_LOOPBACK)


run = functools.partial(launch, name="ray")


@pytest.mark.slow
def test_a_study_is_run_whole(cluster: Any, url: str, study: StoredStudy) -> None:
    events = run(url, study, jobs.prepare, workers=2, threads=1)
    assert study.counts()[TrialState.COMPLETE] == 6
    assert [event.kind for event in events].count("told") == 6
    assert len(study.rungs(3)) == 1
    assert all(worker.ended is not None for worker in study.workers())
    assert {result(study, number).timings["threads"] for number in range(6)} == {1.0}
    assert result(study, 0).timings["pid"] != os.getpid()


@pytest.mark.slow
def test_a_crash_costs_one_trial(
    cluster: Any, url: str, study: StoredStudy, tmp_path: Path
) -> None:
    run(url, study, functools.partial(jobs.prepare_dying, str(tmp_path), "SIGKILL"), workers=1)
    assert study.counts()[TrialState.COMPLETE] == 5
    reason = "its process was killed, most likely out of memory"
    assert result(study, 2).failure == Failure(kind="killed", reason=reason)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("prepare", "error", "said"),
    [
        (jobs.prepare_nothing, UserError, "^on .*: the data is gone$"),
        (jobs.prepare_broken, TrialError, "ZeroDivisionError: in preparing"),
        (jobs.prepare_alike, RepeatedFailureError, "3 trials in a row failed the same way"),
    ],
)
def test_what_ends_a_run_reaches_it(
    cluster: Any,
    url: str,
    study: StoredStudy,
    prepare: Any,
    error: type[Exception],
    said: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # The study may be over before the run has heard of its last trials.
    monkeypatch.setattr("pareto_prune.running.launch._ray_workers._LOOK_SECONDS", 0.0)
    monkeypatch.setattr("pareto_prune.running.launch._ray_workers._STEP_SECONDS", 0.02)
    with pytest.raises(error, match=said):
        run(url, study, prepare, workers=1)
    assert study.counts()[TrialState.RUNNING] == 0


@pytest.mark.slow
def test_code_that_the_nodes_lack_is_named(
    cluster: Any, url: str, study: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = types.ModuleType("only_here")
    monkeypatch.setitem(sys.modules, "only_here", here)
    exec("def prepare(progress): pass", here.__dict__)
    with pytest.raises(UserError, match="No module named 'only_here', allowed: the same packages"):
        run(url, study, here.prepare, workers=1)


@pytest.fixture
def waiting_run(cluster: Any, url: str, study: StoredStudy, tmp_path: Path) -> Iterator[Any]:
    """A real run of two workers whose trials wait for ever."""
    command = [sys.executable, "-m", "tests.launch.main", url, str(tmp_path), "ray"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        try:
            wait_for(lambda: len(children(tmp_path)) == 2)
            yield process
        finally:
            process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_run_hands_everything_back(
    waiting_run: Any, study: StoredStudy, tmp_path: Path, number: signal.Signals
) -> None:
    waiting_run.send_signal(number)
    said, _ = waiting_run.communicate()
    assert waiting_run.returncode == 130
    assert said.split().count("handed_back") == 2
    wait_until_gone(children(tmp_path))
    assert study.counts()[TrialState.WAITING] == 2
    assert study.counts()[TrialState.RUNNING] == 0


@pytest.mark.slow
def test_workers_do_not_outlive_a_killed_run(waiting_run: Any, tmp_path: Path) -> None:
    waiting_run.kill()
    waiting_run.wait()
    wait_until_gone(children(tmp_path))


class Notes(Silent):
    """Remembers what was said, and does something at the first word."""

    def __init__(self, first: Callable[[], Any] = lambda: None) -> None:
        self.said: list[str] = []
        self._first = first

    def note(self, text: str) -> None:
        self.said.append(text)
        if len(self.said) == 1:
            self._first()


@pytest.mark.slow
def test_a_node_killed_in_mid_trial_costs_nothing_but_time(
    cluster: Any,
    second: Any,
    postgres: Server,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    url = postgres.database("lost_node")
    study = open_storage(url).create(study_config(trials=8))
    prepare = functools.partial(jobs.prepare_gated, str(tmp_path))
    notes = Notes()
    space = functools.partial(space_of, study.config)
    job = Job(url, study.name, prepare, space, progress=notes)
    launcher, back = Ray(workers=3, threads=1), "a worker was lost; Ray has started another on "
    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(launcher.launch, job, lambda event: None, threading.Event())
        try:
            wait_for(lambda: (tmp_path / "on-second").exists() or done.done())
            cluster.remove_node(second, allow_graceful=False)
            add_node(cluster, "third")
            wait_for(lambda: any(back in said for said in notes.said) or done.done())
        finally:
            (tmp_path / "go").touch()
        done.result(PATIENCE)
    assert study.counts()[TrialState.COMPLETE] == 8
    assert sum(study.counts().values()) == 8
    assert [event.kind for event in study.events()].count("lost") == 1
    assert [said.startswith(back) for said in notes.said] == [True]
    assert not leaks(cluster.folder, "postgres:secret")
    assert capsys.readouterr().out == ""


@pytest.mark.slow
def test_a_worker_that_fits_nowhere_here_is_refused(
    cluster: Any, url: str, study: StoredStudy
) -> None:
    with pytest.raises(UserError, match="no room for a worker of 64 CPUs and 0 GPUs"):
        run(url, study, prepare_scripted, workers=1, threads=64)


@pytest.mark.slow
def test_a_run_does_not_wait_for_room_when_others_have_finished_the_study(
    cluster: Any, postgres: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareto_prune.running.launch._ray_workers._ROOM_SECONDS", 0.0)
    url = postgres.database("no_room")
    study = open_storage(url).create(study_config(trials=2))
    notes = Notes(lambda: launch(url, study, prepare_scripted, "inline"))
    space = functools.partial(space_of, study.config)
    job = Job(url, study.name, prepare_scripted, space, progress=notes)
    Ray(workers=2, threads=64).launch(job, lambda event: None, threading.Event())
    waiting = "2 of 2 workers wait for room in the Ray cluster, each 64 CPUs and 0 GPUs"
    assert notes.said == [waiting]
    assert study.counts()[TrialState.COMPLETE] == 2


def test_a_time_limit_goes_by_the_clock_of_the_storage(
    url: str, study: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """That of the node is an hour ahead, and Ray has started the worker again late."""
    space = functools.partial(space_of, study.config)
    job = Job(url, study.name, prepare_scripted, space, time_limit=600.0)
    order = Order.of(job, {}, 0, _ends_at(job, study))
    ahead = time.time() + 3600.0
    monkeypatch.setattr(time, "time", lambda: ahead)
    late = types.SimpleNamespace(now=study.now + 500.0)
    storage = types.SimpleNamespace(open_study=lambda _: late)
    assert _seconds_left(Order(**order), storage) == pytest.approx(100.0, abs=5.0)
    assert _seconds_left(Order(**order | {"ends_at": None}), storage) is None


def leaks(folder: Path, secret: str) -> list[Path]:
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert files
    return [path for path in files if secret.encode() in path.read_bytes()]


@pytest.mark.slow
def test_a_worker_has_the_gpu_that_ray_gave_it(cluster: Any, second: Any, postgres: Server) -> None:
    url = postgres.database("gpus")
    study = open_storage(url).create(study_config(trials=2))
    add_node(cluster, "third", gpus=1)
    run(url, study, jobs.prepare_on_gpu, gpus_per_worker=1)
    assert result(study, 1).timings["gpu"] == 0.0


@pytest.mark.slow
def test_a_file_is_no_storage_of_two_nodes(
    cluster: Any, second: Any, url: str, study: StoredStudy
) -> None:
    with pytest.raises(
        UserError, match=r"SQLite is a file of one host, .* has 2 nodes, allowed: p"
    ):
        run(url, study, prepare_scripted)
    assert sum(study.counts().values()) == 0


@pytest.mark.slow
def test_without_a_cluster_one_is_started_for_a_real_study_and_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tempfile.mkdtemp(prefix="ray-", dir="/tmp")
    monkeypatch.setenv("RAY_TMPDIR", folder)
    monkeypatch.setenv("RAY_ADDRESS", "local")
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    storage = f"sqlite:///{tmp_path}/small.db"
    content = make_study(tmp_path, limits={"trials": 2})
    workers = api.Workers(1, "ray", threads=1)
    try:
        outcome = small.run(content, storage, tmp_path / "out", workers=workers)
        import ray

        assert not ray.is_initialized()
    finally:
        shutil.rmtree(folder)
    assert outcome.stopped_by is None
    number = outcome.front.members[0].number
    assert api.export("small", number, tmp_path / "to", storage=storage).is_dir()


def wait_for(ready: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not ready():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("ray://127.0.0.1:10001", "is for Ray's client, allowed: HOST:PORT"),
        ("nonsense", "no Ray cluster answers this host at 'nonsense'"),
        ("127.0.0.1:9", "no Ray cluster answers this host at '127.0.0.1:9'"),
    ],
)
def test_an_address_that_does_not_serve_is_refused(
    url: str, study: StoredStudy, monkeypatch: pytest.MonkeyPatch, address: str, said: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", address)
    with pytest.raises(UserError, match=said):
        run(url, study, prepare_scripted)


def test_without_ray_its_extra_is_named(
    url: str, study: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"pip install 'pareto-prune\[ray\]'"):
        run(url, study, prepare_scripted)
    [entry] = [entry for entry in launchers.entries() if entry.name == "ray"]
    assert not entry.available
    assert "pareto-prune[ray]" in (entry.why_not or "")


def test_a_password_on_the_command_line_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgresql+psycopg://me:s3cret@db.example/studies"
    check_command_line(url)
    monkeypatch.setattr(sys, "orig_argv", ["pareto-prune", "run", "--storage", url])
    with pytest.raises(UserError, match="set PARETO_PRUNE_STORAGE") as refused:
        check_command_line(url)
    assert "s3cret" not in str(refused.value)
    check_command_line("sqlite:///study.db")


BIG = Node(cpus=96, gpus=8)
HEAD = Node(cpus=0)


@pytest.mark.parametrize(
    ("launcher", "nodes", "own", "share"),
    [
        (Ray(), (HEAD, BIG, BIG), False, Share(16, 12, 12, 1)),
        (Ray(gpus_per_worker=4), (BIG,), False, Share(2, 48, 48, 4)),
        (Ray(workers=64), (BIG, BIG), False, Share(64, 12, 12, 1)),
        (Ray(), (Node(16), Node(8)), False, Share(2, 8, 8, 0)),
        (Ray(workers=6), (Node(16), Node(8)), False, Share(6, 2, 2, 0)),
        (Ray(workers=64), (Node(4),), False, Share(64, 1, 1, 0)),
        (Ray(workers=4), (Node(2),), True, Share(4, 1, 0.5, 0)),
        (Ray(threads=3), (Node(8),), False, Share(1, 3, 3, 0)),
        (Ray(workers=2, gpus_per_worker=1), (HEAD,), False, Share(2, 1, 1, 1)),
    ],
)
def test_a_cluster_is_divided(
    launcher: Ray, nodes: tuple[Node, ...], own: bool, share: Share
) -> None:
    assert launcher.share(Cluster(nodes, "here", own)) == share


def test_more_gpus_than_this_host_has_are_refused() -> None:
    with pytest.raises(UserError, match="--gpus-per-worker: 2 is more than there are"):
        Ray(gpus_per_worker=2).share(Cluster((Node(8, 1),), "here", own=True))


def test_the_command_line_chooses_it() -> None:
    assert api.Workers(64, "ray", 1).launcher() == Ray(workers=64, gpus_per_worker=1)


def test_a_cluster_that_has_yet_to_grow_is_asked_for_what_was_said():
    """A head node without CPUs, and workers that come once somebody waits for them."""
    empty = Cluster((Node(0.0),), "head", own=False)
    assert Ray(workers=8).share(empty) == Share(8, 1, 1, 0)
    assert Ray(workers=8, threads=4).share(empty) == Share(8, 4, 4, 0)
