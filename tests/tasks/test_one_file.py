"""A task is one file: one that stands in a test goes all the way from a study file to a test."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys

import pytest

import pareto_prune
from pareto_prune import api
from pareto_prune.core.errors import StudyFileError
from pareto_prune.core.records import TrialState
from pareto_prune.export.deployed.predict import predict
from pareto_prune.export.deployed.scoring import score
from pareto_prune.export.deployed.views import scorecard_view
from pareto_prune.export.manifest import Manifest
from pareto_prune.inputs.tasks import metrics
from pareto_prune.results import tables
from pareto_prune.running.study_file import read_study
from pareto_prune.storage import open_storage
from pareto_prune.trials import bench
from tests.small_study import ROWS, ScriptedMeasurer, make_study
from tests.tasks import counts  # noqa: F401, registers its task
from tests.tasks.words import sentiment

TEXTS = ["the film was good a a", "the film was bad"]


def counts_study(folder, objective="count_correlation", label=float):
    """Write a study of a count for each text, by its word."""
    strategies = ["layer_wise", "l1", "balanced"]
    search = {"strategies": strategies, "importances": ["fisher", "taylor", "obs"]}
    search |= {"references": ["short_texts"], "starters": ["dense", "half_depth"]}
    tables = {"data": {"task": "counts"}, "dense": {"epochs": 5}, "search": search}
    path = make_study(folder, **tables, limits={"trials": 6})
    named = f'name = "small"\nobjectives = ["{objective}", "latency_ms", "energy_j"]\n'
    path.write_text(path.read_text().replace('name = "small"\n', named))
    with (folder / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows((text, label(number(text))) for text in sentiment(ROWS).texts[0])
    return path


def number(text):
    return 6 if "good" in text else 1


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The study, run, and its best small model in both formats."""
    root = tmp_path_factory.mktemp("counts")
    url = f"sqlite:///{root}/study.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARETO_PRUNE_CACHE", str(root / "cache"))
        patch.setattr(bench, "_measurer", lambda _c, dense, *_: ScriptedMeasurer(dense.model))
        outcome = api.run(counts_study(root), url, output=root / "out")
        small = [point for point in outcome.front.members if point.starter != "dense"]
        best = max(small, key=lambda point: point.values["count_correlation"]).number
        for format_ in ("huggingface", "onnx"):
            api.export("small", best, root / format_, format_, url)
        yield root, url, outcome


def test_its_study_runs_to_a_front_and_a_page(done):
    _, url, outcome = done
    study = open_storage(url).open_study("small").read()
    assert {trial.state for trial in study.trials} <= {TrialState.COMPLETE, TrialState.STOPPED}
    assert len(study.trials) == 6
    assert outcome.front.metric == "count_correlation"
    assert outcome.front.reference["count_correlation"] > 0.8
    assert outcome.front.chance == 0
    assert outcome.front.hypervolume > 0
    front = api.front("small", url)
    assert json.loads(tables.front_json(front))["objectives"][0]["name"] == "count_correlation"
    assert "counts" in outcome.page.read_text(encoding="utf-8")
    columns = pareto_prune.front("small", url).columns
    assert {"count_correlation", "count_correlation_low", "count_correlation_high"} <= set(columns)
    assert [reference.name for reference in front.references] == ["short_texts"]


def test_where_it_is_not_installed_its_study_says_so(done):
    _, url, _ = done
    command = [sys.executable, "-m", "pareto_prune.cli", "front", "small", "--storage", url]
    told = subprocess.run(command, capture_output=True, text=True)
    assert told.returncode == 2
    [line] = told.stderr.splitlines()
    assert line.startswith("the file of study 'small': ")
    others = [name for name in metrics() if name != "count_correlation"]
    assert f"objectives: allowed: {', '.join(others)}, latency_ms" in line
    assert "count_correlation" not in line


def test_its_exports_predict_numbers(done):
    root, *_ = done
    model = pareto_prune.load(root / "huggingface")
    found = {name: list(predict(root / name, TEXTS)) for name in ("huggingface", "onnx")}
    for one, other, text in zip(found["huggingface"], found["onnx"], TEXTS, strict=True):
        assert set(one) == {"text", "value"}
        assert one["value"] == pytest.approx(other["value"], abs=1e-4)
        assert (one["value"] > 4) == (number(text) > 4)
    assert model.config.num_labels == 1
    manifest = Manifest.read(root / "onnx")
    assert manifest.labels == ("value",)
    assert manifest.check.examples == 24
    card = (root / "huggingface" / "README.md").read_text()
    assert "pipeline_tag: text-classification" in card
    assert "from transformers import AutoModelForSequenceClassification, AutoTokenizer" in card
    assert "| counts |" in card


def test_its_example_runs_alone(done):
    root, *_ = done
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-P", str(root / "onnx" / "example.py"), *TEXTS]
    printed = subprocess.run(
        command, env=environment, cwd=root, capture_output=True, text=True, check=True
    )
    values = [answer["value"] for answer in predict(root / "onnx", TEXTS)]
    lines = [f"value {value:.3f} {text}" for value, text in zip(values, TEXTS, strict=True)]
    assert printed.stdout.splitlines() == lines


def test_its_exports_are_tested(done):
    root, *_ = done
    for name in ("huggingface", "onnx"):
        card = score(root / name, measure=False)
        assert card.metric == "count_correlation"
        assert set(card.model.metrics) == set(card.dense.metrics) == {"count_correlation"}
        assert card.model.metrics["count_correlation"] > 0.5
        assert set(card.differences) == {"count_correlation"}
        assert card.report["errors"]["mean"] > 0
        assert scorecard_view(card).renderables


def test_its_metrics_are_its_own(tmp_path):
    with pytest.raises(StudyFileError, match=r"'f1' is not a metric of task 'counts'.*count_corr"):
        read_study(counts_study(tmp_path, objective="f1"))


def test_labels_that_are_no_numbers_are_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    path = counts_study(tmp_path, label=lambda value: f"about {value}")
    with pytest.raises(StudyFileError, match="a label is no number"):
        api.run(path, f"sqlite:///{tmp_path}/study.db", output=tmp_path / "out")
