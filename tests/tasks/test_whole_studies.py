"""Tasks whose labels are numbers, from a study file to predictions and tests of an export."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from pareto_prune import api
from pareto_prune.core.errors import UserError
from pareto_prune.export.deployed.predict import predict
from pareto_prune.export.deployed.refreshing import refresh
from pareto_prune.export.deployed.scoring import score
from pareto_prune.export.deployed.views import scorecard_view
from pareto_prune.export.manifest import FILE, Manifest
from pareto_prune.inputs.tasks import tasks
from pareto_prune.trials import bench
from tests.small_study import ROWS, ScriptedMeasurer, make_study
from tests.tasks.words import sentiment


@dataclass(frozen=True)
class Case:
    """A task, with its columns, and what its predictions must be like."""

    task: str
    metric: str
    data: dict[str, object]
    rows: Callable[[int, str], tuple[object, ...]]
    texts: tuple[str, str]
    check: Callable[[dict[str, object], dict[str, object]], bool]
    line: Callable[[dict[str, object]], str]


def labels_of(text):
    return ", ".join(["kind" if "good" in text else "harsh", *["long"] * (text.count(" a") > 2)])


def query(number):
    """Return a text of its own for every four rows."""
    return " ".join(("plot", "film")[number >> bit & 1] for bit in range(2, 8))


CASES = {
    "reranking": Case(
        task="reranking",
        metric="ndcg_at_10",
        data={"text": ["query", "passage"]},
        rows=lambda number, text: (query(number), text, int("good" in text)),
        texts=("the plot\tthe film was good a a", "the plot\tthe film was bad"),
        check=lambda one, other: one["score"] > other["score"],
        line=lambda said: f"{said['score']:.3f}",
    ),
    "multilabel": Case(
        task="multilabel",
        metric="micro_f1",
        data={"label": "labels"},
        rows=lambda _, text: (text, labels_of(text)),
        texts=("the film was good a a", "the film was bad"),
        check=lambda one, other: "kind" in one["labels"] and "harsh" in other["labels"],
        line=lambda said: ", ".join(f"{n} {said['scores'][n]:.3f}" for n in said["labels"]) + ":",
    ),
    "regression": Case(
        task="regression",
        metric="pearson",
        data={"label": ["stars", "length"]},
        rows=lambda _, text: (text, 1 if "good" in text else -1, 0 if "good" in text else 2),
        texts=("the film was good a a", "the film was bad"),
        check=lambda one, other: one["values"]["stars"] > 0 > other["values"]["stars"],
        line=lambda said: " ".join(f"{k} {v:.3f}" for k, v in said["values"].items()),
    ),
}


@pytest.fixture(scope="module", params=CASES)
def done(request, tmp_path_factory):
    """A study of three trials, and an ONNX folder of its smaller model."""
    case, root = CASES[request.param], tmp_path_factory.mktemp(request.param)
    url = f"sqlite:///{root}/study.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARETO_PRUNE_CACHE", str(root / "cache"))
        patch.setattr(bench, "_measurer", lambda _c, dense, *_: ScriptedMeasurer(dense.model))
        outcome = api.run(study_of(case, root), url, output=root / "out")
        small = [point for point in outcome.front.members if point.starter != "dense"]
        api.export("small", small[0].number, root / "onnx", "onnx", url)
        api.export("small", "dense", root / "dense", "huggingface", url)
        yield case, root, outcome


def study_of(case, folder):
    search = {"strategies": ["layer_wise"], "importances": ["fisher"]}
    data = {"task": case.task, **case.data}
    dense = {"epochs": 5}
    path = make_study(folder, data=data, dense=dense, search=search, limits={"trials": 3})
    named = f'name = "small"\nobjectives = ["{case.metric}", "latency_ms"]\n'
    path.write_text(path.read_text().replace('name = "small"\n', named))
    named = [case.data.get("text", "text"), case.data.get("label", "label")]
    header = [[one] if isinstance(one, str) else one for one in named]
    with (folder / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*header[0], *header[1]])
        writer.writerows(case.rows(*each) for each in enumerate(sentiment(ROWS).texts[0]))
    return path


def test_the_dense_model_has_learned(done):
    case, _, outcome = done
    front = outcome.front
    assert front.metric == case.metric
    assert front.reference[case.metric] > 0.8
    assert front.chance < front.reference[case.metric]


def test_exports_predict(done):
    case, root, _ = done
    one, other = predict(root / "onnx", case.texts)
    assert case.check(one, other)


def test_the_example_says_the_same(done):
    case, root, _ = done
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-P", str(root / "onnx" / "example.py"), *case.texts]
    printed = subprocess.run(
        command, env=environment, cwd=root, capture_output=True, text=True, check=True
    )
    said = zip(predict(root / "onnx", case.texts), case.texts, strict=True)
    assert printed.stdout.splitlines() == [f"{case.line(one)} {text}" for one, text in said]


def test_a_reranker_is_a_cross_encoder(done):
    case, root, _ = done
    if case.task != "reranking":
        config = json.loads((root / "dense" / "config.json").read_text())
        assert config["problem_type"] == tasks.create(case.task).problem_type
        return
    pairs = [tuple(text.split("\t")) for text in case.texts]
    library = pytest.importorskip("sentence_transformers")
    found = library.CrossEncoder(str(root / "dense"), device="cpu").predict(pairs)
    assert found == pytest.approx([said["score"] for said in predict(root / "dense", case.texts)])


def test_exports_are_tested(done):
    case, root, _ = done
    card = score(root / "onnx", measure=False)
    assert card.model.metrics[case.metric] > 0.5
    assert np.isfinite(card.differences[case.metric].interval).all()
    assert len(scorecard_view(card).renderables) > 2


def test_exports_are_refreshed(done):
    case, root, _ = done
    to = root / "refreshed"
    found = refresh(root / "dense", root / "data.csv", to, tolerance=0.5)
    assert found.metric == case.metric
    assert found.compared[0].after.metrics[case.metric] > 0.5
    before, after = (Manifest.read(folder).decision for folder in (root / "dense", to))
    assert bool(after) is tasks.create(case.task).tunes
    assert (before == after) is not bool(after)


def test_an_export_keeps_what_was_tuned_for_its_model(done):
    case, root, _ = done
    manifest = Manifest.read(root / "onnx")
    if not tasks.create(case.task).tunes:
        assert manifest.decision == {}
        return
    limits = manifest.decision["thresholds"]
    assert len(limits) == len(manifest.labels)
    assert set(limits) != {0.5}
    file = root / "onnx" / FILE
    kept = file.read_text()
    file.write_text(kept.replace(str(limits[0]), "0.123"))
    try:
        with pytest.raises(UserError, match="says other class names, padding"):
            list(predict(root / "onnx", case.texts))
    finally:
        file.write_text(kept)
