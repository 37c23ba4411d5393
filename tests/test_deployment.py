"""Number format, length and threads: what is measured is what the metric is taken in."""

from __future__ import annotations

import pytest
import torch

from pareto_prune import api
from pareto_prune.inputs.tasks import tasks
from pareto_prune.measure.engines import Settings
from pareto_prune.measure.engines.eager import Eager
from pareto_prune.running.study_file import parse_study
from pareto_prune.storage import open_storage
from pareto_prune.trials import bench
from pareto_prune.trials.deployment import Deployment
from pareto_prune.trials.evaluation import evaluate, logits_by, logits_of
from pareto_prune.trials.named_references import Setting, named_references
from pareto_prune.trials.named_references.unstructured import zero_smallest
from tests.learnable import learnable
from tests.small_study import ScriptedMeasurer, make_study
from tests.tiny import tiny_model

CONFIG = {"name": "n", "model": {"path": "m"}, "data": {"path": "d"}}


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def scripted(monkeypatch):
    monkeypatch.setattr(bench, "_measurer", lambda _c, dense, *_: ScriptedMeasurer(dense.model))


def test_a_candidate_overrules_the_study():
    config = parse_study({**CONFIG, "measure": {"dtype": "float16"}})
    assert Deployment.of(config, {}) == Deployment("float16")
    given = {"dtype": "int8", "max_length": 24, "threads": 2}
    assert Deployment.of(config, given) == Deployment("int8", 24, 2)


@pytest.mark.parametrize("by_token", [False, True])
def test_quality_in_an_engine_is_that_of_the_model(by_token):
    data = learnable(by_token=by_token)
    model = tiny_model(task="ner" if by_token else "classification", labels=3)
    task = tasks.create(data.task)
    session = Eager().prepare(model, Settings())
    found = task.quality(logits_by(session.logits, data.validation, 7), data.validation)
    wanted = evaluate(model, data.validation, task)
    assert found.metrics == wanted.metrics
    assert found.loss == pytest.approx(wanted.loss, abs=1e-5)


def test_quality_follows_the_dtype():
    data, model = learnable(), tiny_model(labels=3)
    task, measurer = tasks.create(data.task), ScriptedMeasurer(model)
    whole = Deployment().quality(model, data.validation, task, measurer)
    narrow = Deployment("int8").quality(model, data.validation, task, measurer)
    assert narrow.loss != whole.loss
    assert narrow.loss == pytest.approx(whole.loss, abs=0.1)


def test_bytes_follow_the_dtype():
    model = tiny_model()
    whole, half, narrow = (Deployment(d).size(model) for d in ("float32", "bfloat16", "int8"))
    assert whole["bytes"] == 4 * whole["parameters"] == 2 * half["bytes"]
    linear = sum(m.weight.numel() for m in model.modules() if isinstance(m, torch.nn.Linear))
    assert whole["bytes"] - narrow["bytes"] == 3 * linear


@pytest.mark.usefixtures("scripted")
def test_a_length_is_searched_and_texts_are_cut(tmp_path, monkeypatch):
    seen = []
    original = bench.Bench.at_length

    def at_length(self, fold, max_length):
        found = original(self, fold, max_length)
        seen.append((max_length, int(found.data.validation.lengths.max())))
        return found

    monkeypatch.setattr(bench.Bench, "at_length", at_length)
    url = f"sqlite:///{tmp_path}/study.db"
    search = {"deployment": {"max_length": [4]}, "starters": []}
    api.run(make_study(tmp_path, search=search, limits={"trials": 2}), url, output=tmp_path / "o")
    trials = open_storage(url).open_study("small").read().trials
    assert [trial.candidate.deployment for trial in trials] == [{"max_length": 4}] * 2
    assert set(seen) == {(4, 4)}


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize(("share", "searched"), [(0.5, {"float32", "int8"}), (1.2, {"float32"})])
def test_a_format_is_searched_where_the_dense_model_is_cheaper_in_it(
    tmp_path, monkeypatch, share, searched
):
    monkeypatch.setattr(ScriptedMeasurer, "FORMATS", {"int8": share})
    url = f"sqlite:///{tmp_path}/study.db"
    search = {"deployment": {"dtype": ["float32", "int8"]}, "starters": []}
    api.run(make_study(tmp_path, search=search, limits={"trials": 4}), url, output=tmp_path / "o")
    study = open_storage(url).open_study("small")
    read = study.read()
    costs = {"latency_ms": pytest.approx(share), "energy_j": pytest.approx(share)}
    assert read.reference.formats == {"int8": costs}
    assert {trial.candidate.deployment["dtype"] for trial in read.trials} == searched
    said = [event.text for event in study.events() if event.kind == "format_left_out"]
    assert len(said) == (share > 1)
    assert all(text.startswith("int8 is not searched: the dense model is not") for text in said)


@pytest.mark.usefixtures("scripted")
def test_named_references_are_taken_once_and_shown(tmp_path, monkeypatch):
    url = f"sqlite:///{tmp_path}/study.db"
    search = {"references": ["float16", "int8", "short_texts", "unstructured"]}
    study = make_study(tmp_path, search=search, limits={"trials": 1})
    front = api.run(study, url, output=tmp_path / "out").front
    named = {reference.name: reference for reference in front.references}
    assert set(named) == {"int8", "short_texts", "unstructured"}
    assert named["unstructured"].values["latency_ms"] == pytest.approx(10.0)
    assert named["int8"].values["bytes"] < named["unstructured"].values["bytes"]

    def refused(*_):
        raise AssertionError("taken twice")

    monkeypatch.setattr("pareto_prune.trials.reference._alternative", refused)
    search = make_study(tmp_path, search=search, limits={"trials": 2})
    api.run(search, url, output=tmp_path / "out")


@pytest.mark.usefixtures("scripted")
def test_a_reference_that_fails_does_not_cost_the_study(tmp_path, monkeypatch):
    def broken(*_, **__):
        raise RuntimeError("no kernel")

    monkeypatch.setattr(ScriptedMeasurer, "session", broken)
    url = f"sqlite:///{tmp_path}/study.db"
    search = {"references": ["int8", "unstructured"]}
    study = make_study(tmp_path, search=search, limits={"trials": 1})
    front = api.run(study, url, output=tmp_path / "out").front
    assert [reference.name for reference in front.references] == ["unstructured"]
    said = [event.text for event in open_storage(url).open_study("small").events()]
    assert any("int8 is left out: RuntimeError: no kernel" in text for text in said)


def setting(model, data, dtype="float32", device="cpu", dtypes=("float32", "int8")):
    return Setting(tasks.create(data.task), model, data.validation, device, dtypes, dtype)


@pytest.mark.parametrize("name", named_references.names())
def test_every_reference_leaves_the_dense_model_as_it_is(name):
    data, model = learnable(), tiny_model(labels=3)
    before = logits_of(model, data.validation)
    made = named_references.create(name).alternative(setting(model, data))
    assert (logits_of(model, data.validation) == before).all()
    if made is not None:
        assert set(made.deployment) <= {"dtype", "max_length"}


def test_references_that_a_study_cannot_have_are_left_out():
    data, model = learnable(), tiny_model(labels=3)
    words = learnable(by_token=True)
    int8, half = named_references.create("int8"), named_references.create("float16")
    assert int8.alternative(setting(model, data, dtypes=("float32",))) is None
    assert int8.alternative(setting(model, data, dtype="int8")) is None
    assert half.alternative(setting(model, data, dtypes=("float32", "float16"))) is None
    on_gpu = setting(model, data, device="cuda:0", dtypes=("float32", "float16"))
    assert half.alternative(on_gpu).deployment == {"dtype": "float16"}
    brain = named_references.create("bfloat16")
    assert brain.alternative(setting(model, data)) is None
    able = setting(model, data, dtypes=("float32", "bfloat16"))
    assert brain.alternative(able).deployment == {"dtype": "bfloat16"}
    assert named_references.create("short_texts").alternative(setting(model, words)) is None


def test_the_smallest_weights_become_zero():
    model = tiny_model()
    weights = [p for p in model.base_model.encoder.layer.parameters() if p.ndim == 2]
    sizes = torch.cat([weight.detach().abs().flatten() for weight in weights])
    zero_smallest(model, 0.25)
    after = torch.cat([weight.detach().abs().flatten() for weight in weights])
    gone = after == 0
    assert float(gone.float().mean()) == pytest.approx(0.25, abs=0.01)
    assert sizes[gone].max() <= sizes[~gone].min()
    assert torch.equal(after[~gone], sizes[~gone])
