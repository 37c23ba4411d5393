"""A whole small study shared by worker processes: one dense model, one front, nothing twice."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pareto_prune import api
from pareto_prune.core.errors import UserError
from pareto_prune.core.records import TrialState
from pareto_prune.running.launch._joint_progress import Crew
from pareto_prune.running.launch._progress_messages import ToldProgress, tell
from pareto_prune.running.run_study import Unwatched
from pareto_prune.running.study_file import read_study, with_limits
from pareto_prune.storage import open_storage, schema
from pareto_prune.storage.reading import text_of
from pareto_prune.trials import bench
from tests.launch import small
from tests.small_study import make_study, model_of
from tests.storage.conftest import postgres  # noqa: F401

ROOT = Path(__file__).parents[2]
ONE = api.Workers(1, "processes")
TWO = api.Workers(count=2)
SIX = {"limits": {"trials": 6}, "early_stopping": {"enabled": False}}
"""Six trials that all run to their end: which plans come twice depends on who ends first."""


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))


class Watcher(Unwatched):
    """Remembers the stages and the trials that it was told of."""

    def __init__(self):
        self.stages, self.ended = [], []

    def stage(self, name, total=None):
        self.stages.append(name)

    def trial_finished(self, trial, front):
        self.ended.append(trial.number)


@pytest.mark.slow
def test_two_processes_share_a_study(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    study, watcher = make_study(tmp_path, **SIX), Watcher()
    outcome = small.run(study, url, tmp_path / "out", workers=TWO, watcher=watcher)
    stored = open_storage(url).open_study("small")
    trials = stored.read().trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    assert trials[0].result.candidate.starter == "dense"
    names = {worker.name.rpartition("/")[2] for worker in stored.workers()}
    assert names == {"0", "1", "dense"}
    assert sorted(watcher.ended) == list(range(6))
    assert watcher.stages.count("fine-tuning the dense model") == 1
    assert all(worker.ended is not None for worker in stored.workers())
    for point in outcome.front.members:
        kept = trials[point.number].result
        place = model_of(tmp_path / "out/small/trials", point.number)
        assert Path(kept.artifact) == place
        api.export("small", point.number, tmp_path / f"to{point.number}", storage=url)


@pytest.mark.slow
def test_two_runs_of_one_study_at_once(tmp_path, postgres):  # noqa: F811
    url = postgres.database("two_runs")
    study = make_study(tmp_path, **SIX)
    command = [sys.executable, "-m", "tests.launch.small", study, url, tmp_path / "out"]
    started = [
        subprocess.Popen(
            command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        for _ in range(2)
    ]
    for process in started:
        out, err = process.communicate()
        assert (process.returncode, out) == (0, "None\n"), err
    trials = open_storage(url).open_study("small").read().trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 6
    assert [trial.result.candidate.starter for trial in trials].count("dense") == 1


@pytest.mark.slow
def test_hosts_that_share_no_disk_share_the_dense_model(tmp_path, monkeypatch):
    url, root = f"sqlite:///{tmp_path}/study.db", f"shelf://{tmp_path}/root"
    study = make_study(tmp_path, limits={"trials": 2})
    small.run(study, url, tmp_path / "out", artifacts=root, workers=ONE)
    (shared,) = (tmp_path / "root/small").glob("dense-*/dense/dense.json")
    dense = shared.read_bytes()
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "another host"))
    stored = open_storage(url).open_study("small")
    stored.ask_for(3)
    watcher = Watcher()
    monkeypatch.setattr("pareto_prune.running.run_study.prepare", small.prepare)
    outcome = api.work("small", url, workers=ONE, watcher=watcher)
    assert "fine-tuning the dense model" not in watcher.stages
    [copy] = (tmp_path / "another host/studies").glob("*/dense/dense.json")
    assert copy.read_bytes() == dense
    assert outcome.stopped_by is None
    assert not list((tmp_path / "root/small").glob(".incoming/*"))
    number = outcome.front.members[0].number
    assert api.export("small", number, tmp_path / "to", storage=url).is_dir()


def test_another_dense_model_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "_measurer", small.scripted)
    url = f"sqlite:///{tmp_path}/study.db"
    study = make_study(tmp_path, limits={"trials": 1})
    api.run(study, url, output=tmp_path / "out")
    stored = open_storage(url).open_study("small")
    other = stored.reference.model_copy(update={"digest": "0" * 64})
    stored._database.write(
        lambda c: c.execute(schema.studies.update().values(reference=text_of(other)))
    )
    more = with_limits(read_study(study), 2, None)
    with pytest.raises(UserError, match="the dense model there is not the study's"):
        api.run(more, url, output=tmp_path / "out")
    assert stored.counts()[TrialState.RUNNING] == 0


def test_a_study_that_was_never_run_has_no_workers_yet(tmp_path):
    from tests.storage.scripted import study_config

    url = f"sqlite:///{tmp_path}/study.db"
    open_storage(url).create(study_config())
    with pytest.raises(UserError, match="has no place for its models yet"):
        api.work("scripted", url)


@pytest.mark.parametrize(
    ("workers", "said"),
    [
        (api.Workers(2, "inline"), "has one worker, in this process"),
        (api.Workers(None, "inline", 1), "has one worker, in this process"),
        (api.Workers(None, "inline", None, 1), "has one worker, in this process"),
        (api.Workers(None, "lambda"), "unknown launcher 'lambda'"),
    ],
)
def test_workers_that_cannot_be_are_refused(workers, said):
    with pytest.raises(UserError, match=said):
        workers.launcher()


def test_a_launcher_is_chosen_by_the_number_of_workers():
    assert type(api.Workers().launcher()).__name__ == "Inline"
    assert type(api.Workers(1).launcher()).__name__ == "Inline"
    assert api.Workers(3).launcher().workers == 3
    assert api.Workers(None, None, 2).launcher().gpus_per_worker == 2
    assert api.Workers(None, None, None, 2).launcher().threads == 2


def test_progress_of_another_process_is_told_in_few_messages():
    sent, hands = [], [0.0]
    told = ToldProgress(lambda *message: sent.append(message), lambda: hands[0])
    hands[0] = 1.0
    told.stage("fine-tune", 40)
    for step in range(40):
        hands[0] = 1.0 + step / 40
        told.advance()
    told.note("so")
    told.quiet()
    assert sent[0] == ("stage", "fine-tune", 40)
    assert [kind for kind, *_ in sent[-2:]] == ["note", "quiet"]
    steps = [rest[0] for kind, *rest in sent if kind == "advance"]
    assert len(steps) <= 5
    assert 30 < sum(steps) <= 40
    watcher = Watcher()
    assert all(tell(watcher, message) for message in sent)
    assert watcher.stages == ["fine-tune"]
    assert not tell(watcher, ("done", "{}"))


def test_several_workers_are_shown_as_one():
    watcher = Watcher()
    crew = Crew(watcher, 2)
    first, second = crew.member(), crew.member()
    for member in (first, second):
        member.stage("reading the data")
    first.stage("fine-tuning the dense model", 9)
    second.stage("waiting")
    assert watcher.stages == ["reading the data", "fine-tuning the dense model", "waiting"]
    first.stage("prune")
    second.stage("prune")
    second.stage("measure")
    assert watcher.stages[3:] == ["1 prune, 1 waiting", "2 prune", "1 measure, 1 prune"]
    assert Crew(watcher, 1).member() is watcher
