"""What leaves a study: the model of a trial as it was measured, and the dense model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import pareto_prune
from pareto_prune import api
from pareto_prune.core.errors import UserError
from pareto_prune.core.hashing import file_sha256
from pareto_prune.export.deployed.predict import predict
from pareto_prune.export.deployed.scoring import score
from pareto_prune.export.export_trial import export_trial
from pareto_prune.export.formats import exporters
from pareto_prune.export.manifest import Manifest
from pareto_prune.export.origin import Origin
from pareto_prune.results.front import front_of
from pareto_prune.results.report.view import view_of
from pareto_prune.storage import open_storage


@pytest.fixture
def stored(exported):
    return open_storage(exported.url).open_study("small")


def measured_on(study, engine, dtype):
    """The study, as if it had been measured so."""
    seen = study.reference.environment
    seen = seen.model_copy(update={"details": {**seen.details, "engine": engine}})
    reference = study.reference.model_copy(update={"environment": seen})
    config = {**study.config, "measure": {**study.config["measure"], "dtype": dtype}}
    return study.model_copy(update={"reference": reference, "config": config})


def alone(study):
    """The study, as if its dense model had been no trial."""
    others = tuple(t for t in study.trials if t.result.candidate.starter != "dense")
    return study.model_copy(update={"trials": others})


def best(study):
    return max(front_of(study).members, key=lambda point: point.values["accuracy"]).number


@pytest.mark.parametrize("format_", ["huggingface", "onnx"])
def test_the_dense_model_is_taken_home(exported, stored, tmp_path, format_):
    folder = api.export("small", "dense", tmp_path / "dense", format_, exported.url)
    study, made = stored.read(), Manifest.read(folder)
    assert made.architecture == made.dense == study.reference.architecture
    assert made.parameters == study.reference.parameters
    card = score(folder, measure=False)
    assert card.model.metrics == card.dense.metrics == card.cut.metrics
    assert card.validation == study.reference.quality.metrics["accuracy"]
    assert card.notes == ()
    [found] = predict(folder, ["the film was good"])
    assert found["label"] == "pos"
    text = (folder / "README.md").read_text()
    assert "Nothing was removed." in text
    assert "not pruned" in text
    assert "latency" in text


def test_the_dense_model_is_the_one_that_trials_were_cut_from(exported, tmp_path):
    api.export("small", "dense", tmp_path / "dense", "huggingface", exported.url)
    origin = Origin.read(tmp_path / "dense")
    assert origin.dense_digest == file_sha256(Path(origin.dense) / "model.safetensors")
    cut = Origin.read(exported.huggingface)
    assert (cut.dense, cut.dense_digest) == (origin.dense, origin.dense_digest)


@pytest.mark.parametrize("changed", [False, True])
def test_it_is_compared_on_texts_of_the_study_alone(exported, stored, tmp_path, changed):
    file = exported.root / "data.csv"
    content = file.read_text()
    try:
        file.write_text(content + "the plot was good,neg\n" * changed)
        folder = api.export("small", best(stored.read()), tmp_path / "e", "onnx", exported.url)
    finally:
        file.write_text(content)
    assert (Manifest.read(folder).check.examples == 0) == changed


def test_its_trial_number_is_a_name_of_it(exported, stored, tmp_path):
    """Whether it is on the front, where models are kept, or not."""
    study = stored.read()
    own = next(t.number for t in study.trials if t.result.candidate.starter == "dense")
    weights = []
    for which in (own, "dense"):
        folder = api.export("small", which, tmp_path / f"{which}", "huggingface", exported.url)
        weights.append(file_sha256(folder / "model.safetensors"))
        assert Manifest.read(folder).card.trial == own
    assert len(set(weights)) == 1


def test_where_it_is_no_trial_it_has_the_reference_s_numbers(stored, tmp_path):
    folder = export_trial(
        alone(stored.read()), "dense", tmp_path / "out", stored.artifacts, "huggingface"
    )
    card = Manifest.read(folder).card
    assert card.trial is None
    assert "* Study: small, the dense model" in (folder / "README.md").read_text()
    latency = next(each for each in card.objectives if each.name == "latency_ms")
    assert latency.value == latency.reference


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_it_comes_in_every_number_format(exported, tmp_path, dtype):
    for format_ in ("huggingface", "onnx"):
        if dtype in exporters.create(format_).dtypes:
            folder = tmp_path / f"{format_}-{dtype}"
            api.export("small", "dense", folder, format_, exported.url, dtype=dtype)
            assert Manifest.read(folder).dtype == dtype
            assert next(predict(folder, ["the film was good"]))["label"] == "pos"


def test_bfloat16_loads(exported, tmp_path):
    api.export("small", "dense", tmp_path / "out", "huggingface", exported.url, dtype="bfloat16")
    assert pareto_prune.load(tmp_path / "out").dtype == torch.bfloat16
    assert next(predict(tmp_path / "out", ["the film was good"]))["label"] == "pos"


def test_where_it_is_gone_that_is_said(stored, tmp_path):
    with pytest.raises(UserError, match="dense: is not there"):
        export_trial(alone(stored.read()), "dense", tmp_path / "out", str(tmp_path / "gone"))
    empty = stored.read().model_copy(update={"reference": None, "trials": ()})
    with pytest.raises(UserError, match="has not made its dense model yet"):
        export_trial(empty, "dense", tmp_path / "out", stored.artifacts)


@pytest.mark.parametrize(
    ("engine", "dtype", "made"),
    [
        ("onnxruntime", "float32", ("onnx", "float32")),
        ("onnxruntime", "int8", ("onnx", "int8")),
        ("eager", "float16", ("huggingface", "float16")),
        ("eager", "bfloat16", ("huggingface", "bfloat16")),
        ("eager", "int8", ("huggingface", "float32")),
    ],
)
def test_an_export_is_what_was_measured(stored, tmp_path, engine, dtype, made):
    study = measured_on(stored.read(), engine, dtype)
    folder = export_trial(study, best(study), tmp_path / "out", stored.artifacts)
    found = Manifest.read(folder)
    assert (found.format, found.dtype) == made
    text = (folder / "README.md").read_text()
    as_measured = made[1] == dtype
    assert ("as this folder holds the model." in text) == as_measured
    assert ("this folder holds float32 for PyTorch" in text) != as_measured


def test_a_trial_that_was_deployed_otherwise_leaves_so(stored, tmp_path):
    study = measured_on(stored.read(), "onnxruntime", "float32")
    number = best(study)
    trials = []
    for trial in study.trials:
        if trial.number == number:
            candidate = trial.candidate.model_copy(update={"deployment": {"dtype": "int8"}})
            result = trial.result.model_copy(update={"candidate": candidate})
            trial = trial.model_copy(update={"candidate": candidate, "result": result})
        trials.append(trial)
    study = study.model_copy(update={"trials": tuple(trials)})
    folder = export_trial(study, number, tmp_path / "out", stored.artifacts)
    assert (Manifest.read(folder).format, Manifest.read(folder).dtype) == ("onnx", "int8")
    page = view_of(front_of(study), study)
    shown = {point["number"]: point.get("export", page["export"]) for point in page["points"]}
    assert shown.pop(number) == "--format onnx --dtype int8"
    assert set(shown.values()) == {"--format onnx --dtype float32"}


def test_the_card_of_another_format_says_whose_the_numbers_are(stored, tmp_path):
    study = measured_on(stored.read(), "onnxruntime", "float32")
    root, number = stored.artifacts, best(study)
    narrow = export_trial(study, number, tmp_path / "narrow", root, "onnx", "int8")
    text = (narrow / "README.md").read_text()
    assert (
        "**These numbers were taken in float32 on ONNX Runtime; "
        "this folder holds int8 for ONNX Runtime.**" in text
    )
    assert "in float32, " in text
    assert "in int8." in text
    other = export_trial(study, number, tmp_path / "other", root, "huggingface")
    assert "this folder holds float32 for PyTorch" in (other / "README.md").read_text()
    assert json.loads((other / "plan.json").read_text())["card"]["engine"] == "onnxruntime"


@pytest.mark.parametrize("format_", ["huggingface", "onnx"])
def test_only_the_origin_names_paths_of_the_machine(exported, tmp_path, format_):
    folder = api.export("small", "dense", tmp_path / "out", format_, exported.url)
    score(folder, measure=False)
    here = str(exported.root).encode()
    naming = {path.name for path in folder.iterdir() if here in path.read_bytes()}
    assert naming == {"origin.json"}
    text = (folder / "README.md").read_text()
    assert "* Parent: model (licence" in text
    assert "* Data: data.csv" in text
    assert "base_model" not in text


def test_an_export_finds_its_data_from_another_folder(exported, tmp_path, monkeypatch):
    """A study file may name its model and its data from where it is run."""
    monkeypatch.chdir(exported.root)
    config = exported.root.joinpath("small.toml").read_text().replace(f"{exported.root}/", "")
    exported.root.joinpath("relative.toml").write_text(config)
    outcome = api.run("relative.toml", exported.url, output=exported.root / "out")
    assert outcome.stopped_by is None
    monkeypatch.chdir(tmp_path)
    study = open_storage(exported.url).open_study("small")
    assert study.config.data.path == str(exported.root / "data.csv")
    assert study.config.model.path == str(exported.root / "model")
    assert score(exported.onnx, measure=False).model.examples == 24
