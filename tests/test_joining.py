"""Whoever joins a study has the data and the dense model it was started with, or is refused."""

from __future__ import annotations

import hashlib
import json
import shutil
from types import SimpleNamespace

import pytest
from safetensors.torch import load_file, save_file
from sqlalchemy import text

from pareto_prune import api
from pareto_prune.core.cache import root as cache_root
from pareto_prune.core.errors import MismatchError
from pareto_prune.core.hashing import file_sha256
from pareto_prune.core.progress import Silent
from pareto_prune.export.kept_models import store
from pareto_prune.export.kept_models.folder_digest import folder_digest
from pareto_prune.export.kept_models.store import Artifacts
from pareto_prune.running import trial_runner
from pareto_prune.running.study_file import read_study, with_limits
from pareto_prune.storage import open_storage, schema
from pareto_prune.trials import bench
from pareto_prune.trials import reference as trials
from pareto_prune.trials.reference import measured_reference
from tests.launch import small
from tests.small_study import make_study
from tests.storage.scripted import reference, result_of, space_of, study_config


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bench, "_measurer", small.scripted)


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/study.db"


@pytest.fixture
def begun(tmp_path, url):
    """A study of one trial; returns what asks for one more."""
    path = make_study(tmp_path, limits={"trials": 1})
    api.run(path, url, output=tmp_path / "out")
    return lambda trials=2: api.run(
        with_limits(read_study(path), trials, None), url, output=tmp_path / "out"
    )


def number_of_trials(url):
    return len(open_storage(url).open_study("small").read().trials)


def test_other_data_is_refused_and_costs_nothing(tmp_path, url, begun):
    dense, data = tmp_path / "out/small/dense", tmp_path / "data.csv"
    before, rows = folder_digest(dense), data.read_text()
    data.write_text(rows + rows.splitlines()[-1] + "\n")
    with pytest.raises(MismatchError, match="data is not what the study was started with") as said:
        begun()
    assert str(said.value).count("\n") == 0
    assert folder_digest(dense) == before
    assert number_of_trials(url) == 1
    data.write_text(rows)
    begun()
    assert number_of_trials(url) == 2


@pytest.mark.parametrize("gone", [False, True])
def test_another_tokenizer_is_told_from_other_data(tmp_path, begun, gone):
    """Where the study's own is at hand to read the data as it was."""
    file = tmp_path / "model" / "tokenizer.json"
    content = json.loads(file.read_text())
    words = content["model"]["vocab"]
    words["good"], words["plot"] = words["plot"], words["good"]
    file.write_text(json.dumps(content))
    if gone:
        shutil.rmtree(tmp_path / "out/small/dense")
    with pytest.raises(MismatchError, match="not what the study was started with") as said:
        begun()
    what, where = ("the data", "data.path") if gone else ("the tokenizer", "model.path")
    (problem,) = said.value.problems
    assert problem.where.startswith(f"{where}: {tmp_path}")
    assert problem.wrong.startswith(f"{what} is not")
    assert problem.allowed.startswith(f"allowed: {what} as it was")


def test_a_study_that_recorded_no_data_goes_on(tmp_path, url, begun):
    stored = open_storage(url).open_study("small")
    old = stored.reference.to_json()
    assert old.pop("data")
    said = json.dumps(old)
    stored._database.write(
        lambda c: c.execute(text("UPDATE pareto_studies SET reference = :it"), {"it": said})
    )
    begun()
    assert number_of_trials(url) == 2


def test_a_dense_model_that_is_gone_is_not_made_anew(tmp_path, url, begun):
    shutil.rmtree(tmp_path / "out/small/dense")
    with pytest.raises(MismatchError, match="holds no whole dense model"):
        begun()
    assert not (tmp_path / "out/small/dense").exists()
    assert number_of_trials(url) == 1


def disturb(folder):
    """Make another dense model of the one in a folder, as another number of threads would."""
    weights = load_file(folder / "model.safetensors")
    name = next(iter(weights))
    weights[name] = weights[name] + 1e-3
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    record = json.loads((folder / "dense.json").read_text())
    record["digest"] = file_sha256(folder / "model.safetensors")
    (folder / "dense.json").write_text(json.dumps(record))
    return record["digest"]


def test_another_dense_model_is_refused_and_stays(tmp_path, url, begun):
    disturb(tmp_path / "out/small/dense")
    before = folder_digest(tmp_path / "out/small/dense")
    with pytest.raises(MismatchError, match="the dense model there is not the study's"):
        begun()
    assert folder_digest(tmp_path / "out/small/dense") == before


def shelved(shared, digest):
    return shared / f"dense-{digest[:12]}/dense"


def made_elsewhere(made, study, shared):
    """Let another host have made and shared another dense model, and taken its reference."""
    reference, work = measured_reference(made), shared.parent / "another host"
    shutil.copytree(made.whole.dense.path, work)
    digest = disturb(work)
    shutil.copytree(work, shelved(shared, digest))
    study._database.write(lambda c: c.execute(schema.leases.update().values(expires=1)))
    assert study.acquire("dense", "other")
    study.set_reference(reference.model_copy(update={"digest": digest}), "dense")
    study.release("dense")
    return digest


@pytest.mark.parametrize("moment", ["made", "about to be put", "put"])
def test_who_loses_the_lease_overwrites_nothing_and_joins(tmp_path, url, monkeypatch, moment):
    """It is stopped at some moment, and another host has it all before it goes on."""
    config = read_study(make_study(tmp_path))
    study, shared = open_storage(url).create(config), tmp_path / "root/small"
    study.keep_artifacts_at(f"shelf://{shared}")
    prepare, remove, share = trial_runner.prepare, Artifacts._remove, Artifacts.share_dense
    benches, digests = [], []

    def overtaken(when):
        if when == moment and not digests:
            other = open_storage(url).open_study("small")
            digests.append(made_elsewhere(benches[0], other, shared))

    def made(*arguments, **options):
        benches.append(prepare(*arguments, **options))
        overtaken("made")
        return benches[-1]

    def put(self, check):
        share(self, check)
        overtaken("put")

    monkeypatch.setattr(trial_runner, "prepare", made)
    monkeypatch.setattr(Artifacts, "_remove", lambda *a: (overtaken("about to be put"), remove(*a)))
    monkeypatch.setattr(Artifacts, "share_dense", put)
    runner = trial_runner.runner_of(study, Silent())
    assert runner.reference.digest == runner.bench.whole.dense.digest == digests[0]
    assert file_sha256(shelved(shared, digests[0]) / "model.safetensors") == digests[0]


def test_a_reference_that_comes_late_is_not_written(tmp_path, url, monkeypatch):
    """Another host makes another dense model under the lease by then, and is not through yet."""
    config = read_study(make_study(tmp_path))
    study, shared = open_storage(url).create(config), tmp_path / "root/small"
    study.keep_artifacts_at(f"shelf://{shared}")
    other, digests = open_storage(url).open_study("small"), []
    real, prepare, benches = type(study).set_reference, trial_runner.prepare, []

    def late(self, reference, *lease):
        if self is not study:
            return real(self, reference, *lease)
        other._database.write(lambda c: c.execute(schema.leases.update().values(expires=1)))
        assert other.acquire("dense", "other")
        try:
            return real(self, reference, *lease)
        finally:
            assert other.reference is None
            digests.append(made_elsewhere(benches[0], other, shared))

    def made(*arguments, **options):
        benches.append(prepare(*arguments, **options))
        return benches[-1]

    monkeypatch.setattr(trial_runner, "prepare", made)
    monkeypatch.setattr(type(study), "set_reference", late)
    runner = trial_runner.runner_of(study, Silent())
    assert runner.reference.digest == runner.bench.whole.dense.digest == digests[0]


def test_a_named_reference_that_comes_late_is_not_kept(url, monkeypatch):
    """Its worker was stopped while it measured, and another has taken it by then."""
    config = study_config(search={"references": ("int8",)})
    study, other = (open_storage(url).create(config) for _ in range(2))
    candidate = space_of(config).to_candidate({g.name: g.only for g in space_of(config).genes})

    def stopped(*_):
        other._database.write(lambda c: c.execute(schema.leases.update().values(expires=1)))
        assert other.acquire("references", "other")
        other.keep_reference("int8", result_of(candidate, bytes=1), "references")
        return result_of(candidate, bytes=2)

    made = SimpleNamespace(alternative=lambda _: "made")
    monkeypatch.setattr(trials.named_references, "create", lambda *_, **__: made)
    monkeypatch.setattr(trials, "_setting", lambda _: None)
    monkeypatch.setattr(trials, "_alternative", stopped)
    trial_runner._take_named_references(study, SimpleNamespace(progress=Silent()), reference())
    assert [one.bytes for one in study.read().references] == [1]
    assert study.events() == []


@pytest.mark.parametrize("shelf", [True, False], ids=["with a shelf", "of before"])
def test_the_dense_model_is_fetched_once_a_host(tmp_path, monkeypatch, shelf):
    shared, fetched = tmp_path / "root", []
    digest = hashlib.sha256(b"weights of dense").hexdigest()
    for name in ("dense", "dense-fold-0"):
        folder = shelved(shared, digest).with_name(name) if shelf else shared / name
        folder.mkdir(parents=True)
        (folder / "model.safetensors").write_text(f"weights of {name}")
        record = {"digest": file_sha256(folder / "model.safetensors")}
        (folder / "dense.json").write_text(json.dumps(record))
    real = store.get_folder
    monkeypatch.setattr(store, "get_folder", lambda *a: (fetched.append(a[0]), real(*a)))
    kept = Artifacts(f"shelf://{shared}")
    kept.fetch_dense(digest)
    kept.fetch_dense(digest)
    assert [one.rpartition("/")[2] for one in fetched] == ["dense", "dense-fold-0"]
    assert kept.folder.is_relative_to(cache_root())
    (kept.folder / "dense-fold-0/model.safetensors").write_text("damaged")
    kept.fetch_dense(digest)
    assert len(fetched) == 4
