"""Kept models: each attempt at a place of its own, nothing of others touched, nothing left."""

from __future__ import annotations

import os
import shutil
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import fsspec
import pytest

from pareto_prune.core.errors import UserError
from pareto_prune.core.records import Failure, TrialState
from pareto_prune.export.kept_models import folder_digest, owner, store
from pareto_prune.export.kept_models.places import check_root, get_folder
from pareto_prune.export.kept_models.store import GRACE_SECONDS, Artifacts, Kept, opened
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.running.run_study import Unwatched, Watch
from pareto_prune.running.trial_runner import Runner
from pareto_prune.running.worker import work
from pareto_prune.storage import StoredStudy, open_storage
from pareto_prune.trials.trial import Finished
from tests.storage.scripted import ARCHITECTURE, reference, result_of, space_of, study_config
from tests.tiny import tiny_model

SPACE = space_of(study_config())
PLAN = PruningPlan.dense(ARCHITECTURE)
CANDIDATE = SPACE.to_candidate({g.name: g.only for g in SPACE.genes})


@pytest.fixture
def study(tmp_path: Path) -> StoredStudy:
    made = open_storage(f"sqlite:///{tmp_path}/study.db").create(study_config())
    made.set_reference(reference())
    made.keep_artifacts_at(str(tmp_path / "models"))
    (tmp_path / "models/dense").mkdir(parents=True)
    return made


@pytest.fixture(params=["folder", "url"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> Artifacts:
    return Artifacts({"folder": f"{tmp_path}/models", "url": f"memory://{tmp_path}"}[request.param])


def claimed(study: StoredStudy, worker: str):
    trial = study.claim(worker)
    assert trial is not None
    if trial.candidate is not None:
        return trial
    assigned = study.assign(trial, CANDIDATE, SPACE)
    assert assigned is not None
    return assigned


def test_who_lost_the_trial_does_not_touch_the_model_that_counts(
    tmp_path: Path, study: StoredStudy, kept: Artifacts
) -> None:
    other = open_storage(f"sqlite:///{tmp_path}/study.db").open_study("scripted")
    dense = SimpleNamespace(whole=SimpleNamespace(dense=SimpleNamespace(tokenizer=None)))
    slow, quick = (Runner(one, dense, reference(), kept) for one in (study, other))
    first = claimed(study, "slow")
    study._database.write(lambda c: c.exec_driver_sql("UPDATE pareto_leases SET expires = 1"))
    second = claimed(other, "quick")
    assert second.number == first.number
    result = quick._keep(second.number, Finished(result_of(CANDIDATE), PLAN, tiny_model()))
    assert other.tell(second, result)
    late = slow._keep(first.number, Finished(result_of(CANDIDATE), PLAN, tiny_model(seed=1)))
    assert not study.tell(first, late)
    with opened(result.artifact, result.artifact_digest) as folder:
        assert folder.is_dir()
    after = study.read()
    kept.sweep(after, after.trials[0].ended + GRACE_SECONDS - 1)
    assert len(kept._listed("trials")) == 2
    kept.sweep(after, after.trials[0].ended + GRACE_SECONDS + 1)
    assert kept._listed("trials") == [Path(result.artifact).name]


def test_an_attempt_that_is_not_over_is_left_alone(study: StoredStudy, kept: Artifacts) -> None:
    trial = claimed(study, "w")
    kept.keep(trial.number, tiny_model(), None, PLAN)
    kept.sweep(study.read(), time.time() + 1e6)
    assert len(kept._listed("trials")) == 1
    study.tell(trial, result_of(CANDIDATE, failure=Failure(kind="odd", reason="because")))
    kept.sweep(study.read(), time.time() + 1e6)
    assert kept._listed("trials") == []


def told(study: StoredStudy, kept: Artifacts, **changes: object) -> Kept:
    trial = claimed(study, "w")
    model = kept.keep(trial.number, tiny_model(), None, PLAN)
    places = {"artifact": model.place, "artifact_digest": model.digest}
    assert study.tell(trial, result_of(CANDIDATE, **places, **changes))
    return model


def test_a_model_stays_while_a_copy_has_it_on_its_front(
    tmp_path: Path, study: StoredStudy, kept: Artifacts
) -> None:
    storage = open_storage(f"sqlite:///{tmp_path}/study.db")
    first, late = told(study, kept), time.time() + 1e6
    copy = storage.copy("scripted", "copied")
    assert copy.artifacts == study.artifacts
    better = {"accuracy": 0.99, "latency_ms": 0.1, "energy_j": 0.001}
    told(study, kept, values=better)
    at_work = claimed(copy, "v")
    attempt = kept.keep(at_work.number, tiny_model(), None, PLAN)
    kept.sweep(study.read(), late, study.sharing)
    for model in (first, attempt):
        with opened(model.place, model.digest) as folder:
            assert folder.is_dir()
    storage.delete("copied")
    kept.sweep(study.read(), late, study.sharing)
    assert len(kept._listed("trials")) == 1


def test_nothing_is_written_where_the_folder_of_the_models_is_away(tmp_path: Path) -> None:
    """The disk of another host is not mounted; an empty folder of this one is in its place."""
    (tmp_path / "mount").mkdir()
    with pytest.raises(FileNotFoundError, match="the study's models are not there"):
        Artifacts(str(tmp_path / "mount/small")).keep(0, tiny_model(), None, PLAN)
    assert not list((tmp_path / "mount").iterdir())


@pytest.mark.parametrize("scheme", ["", "memory://"])
def test_a_root_is_one_studys(tmp_path: Path, scheme: str) -> None:
    """Another of its name, of another database or of before it was deleted, goes elsewhere."""
    root = f"{scheme}{tmp_path}/out/small"
    assert owner.claimed(root, "small", 1.5) == root
    assert owner.claimed(root, "small", 1.5) == root
    other = owner.claimed(root, "small", 2.5)
    assert other.startswith(f"{root}/")
    assert owner.claimed(root, "small", 2.5) == other != owner.claimed(root, "small", 3.5)
    fs, path = fsspec.core.url_to_fs(root)
    fs.pipe_file(f"{path}/{owner.MARK}", b'{"study": "sma')
    assert owner.claimed(root, "small", 1.5) != root


def test_what_a_killed_process_left_goes_after_a_day(
    tmp_path: Path, study: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Artifacts(str(tmp_path / "models"))
    left = [tmp_path / "models" / name for name in (".dense.ab", "trials/.7-12.ab")]
    for folder in left:
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_text("half")
    kept.sweep(study.read(), time.time())
    assert all(folder.is_dir() for folder in left)
    for folder in left:
        os.utime(folder, (0, time.time() - store.LEFT_SECONDS - 1))
    kept.sweep(study.read(), time.time())
    assert not any(folder.exists() for folder in left)


def test_what_a_killed_upload_left_goes_after_a_day(
    tmp_path: Path, study: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Artifacts(f"memory://{tmp_path}/left")
    fs, root = fsspec.core.url_to_fs(kept.root)

    class KilledError(BaseException):
        """Stands for a SIGKILL."""

    def killed(*_, **__):
        monkeypatch.setattr(fs, "rm", lambda *_, **__: None)
        raise KilledError

    monkeypatch.setattr(fs, "mv", killed)
    with pytest.raises(KilledError):
        kept.keep(7, tiny_model(), None, PLAN)
    monkeypatch.undo()
    assert len(kept._listed(".incoming")) == 1
    kept.sweep(study.read(), time.time())
    assert len(kept._listed(".incoming")) == 1
    day = time.time() + store.LEFT_SECONDS + 1
    monkeypatch.setattr(time, "time", lambda: day)
    kept.sweep(study.read(), time.time())
    assert fs.find(f"{root}/.incoming") == []


@pytest.mark.parametrize("moment", ["digest", "body"])
def test_a_model_that_is_removed_while_it_is_read_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    (tmp_path / "models/dense").mkdir(parents=True)
    kept = Artifacts(str(tmp_path / "models"))
    model = kept.keep(0, tiny_model(), None, PLAN)
    if moment == "digest":
        real = folder_digest.files_of
        monkeypatch.setattr(
            folder_digest, "files_of", lambda folder: (real(folder), shutil.rmtree(folder))[0]
        )

    def read() -> None:
        with opened(model.place, model.digest) as folder:
            shutil.rmtree(folder)
            (folder / "config.json").read_text()

    with pytest.raises(UserError, match="was removed while it was read"):
        read()


def test_a_model_that_is_removed_while_it_is_copied_is_said_to_be(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Artifacts(f"memory://{tmp_path}/copied")
    model = kept.keep(0, tiny_model(), None, PLAN)
    fs, path = fsspec.core.url_to_fs(model.place)
    real, copied = fs.get_file, []

    def get_file(*arguments, **options):
        if copied:
            fs.rm(path, recursive=True)
        copied.append(real(*arguments, **options))

    monkeypatch.setattr(fs, "get_file", get_file)
    with (
        pytest.raises(UserError, match="was removed while it was read"),
        opened(model.place, model.digest),
    ):
        pass


class Throttled(Unwatched):
    """Remembers what it was told."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def test_models_that_cannot_be_removed_do_not_end_the_run(
    study: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    def throttled(*_):
        raise OSError(16, "Please reduce your request rate. (SlowDown)")

    monkeypatch.setattr(store, "filesystem", throttled)
    said = Throttled()
    watch = Watch(study, said, threading.Event())
    work(study, lambda given: result_of(given.candidate), SPACE, on_event=watch)
    assert study.counts()[TrialState.COMPLETE] == 12
    assert "SlowDown" in said.notes[0]


class Flat(fsspec.AbstractFileSystem):
    """An object store, whose keys are any text."""

    protocol = "flat"
    cachable = False
    keys = ("b/x/trials/0/model.safetensors", "b/x/trials/0/../../../pwned")

    def find(self, path, **_):
        return sorted(key for key in self.keys if key.startswith(f"{path.rstrip('/')}/"))

    def get_file(self, key, to, **_):
        Path(to).write_text(key)


def test_a_name_that_leads_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    fsspec.register_implementation("flat", Flat, clobber=True)
    with pytest.raises(UserError, match="leads out of the folder"):
        get_folder("flat://b/x/trials/0", tmp_path / "deep/deeper/model")
    assert [path.name for path in tmp_path.rglob("*") if path.is_file()] == []


@pytest.mark.parametrize("root", ["s3://key:hunter2@bucket/x", "ftp://me@host/x"])
def test_credentials_are_not_recorded(root: str) -> None:
    with pytest.raises(UserError, match="holds a user's name or password") as said:
        check_root(root)
    assert "hunter2" not in str(said.value)
    assert "me@" not in str(said.value)


def test_a_name_may_hold_an_at_sign() -> None:
    assert check_root("memory://bucket/at@home/x/") == "memory://bucket/at@home/x"
