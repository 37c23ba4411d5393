"""Embeddings from a study file to exported folders: no label, no training of the dense model."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import transformers
from scipy.stats import spearmanr

from pareto_prune import api
from pareto_prune.core.errors import StudyFileError
from pareto_prune.core.records import TrialState
from pareto_prune.export.deployed.predict import predict
from pareto_prune.export.deployed.scoring import score
from pareto_prune.export.deployed.views import scorecard_view
from pareto_prune.export.manifest import Manifest
from pareto_prune.inputs import data
from pareto_prune.inputs.sentence_folder import read_pooling, written
from pareto_prune.inputs.tasks import tasks
from pareto_prune.models.sentence_vectors import Pooling
from pareto_prune.running.study_file import read_study
from pareto_prune.storage import open_storage
from pareto_prune.trials import bench
from tests.small_study import ScriptedMeasurer, make_study
from tests.tasks.words import WORDS

TEXTS = ["the film was good", "not a plot"]


def texts(count, seed=0):
    """Different lines of words."""
    rng = np.random.default_rng(seed)
    lines = (" ".join(rng.choice(WORDS, rng.integers(3, 9))) for _ in range(9 * count))
    return list(dict.fromkeys(lines))[:count]


def embedding_study(folder, modules=True, **tables):
    """Write a study of texts without labels, on a folder of sentence-transformers."""
    strategies = ["layer_wise", "l1", "balanced"]
    search = {"strategies": strategies, "importances": ["fisher", "taylor", "obs"]}
    search |= {"references": ["short_texts"], "starters": ["dense", "half_depth"]}
    given = {"search": search, "limits": {"trials": 6}, "finetune": {"steps": 3, "batch": 8}}
    read = {"task": "embedding", **tables.pop("data", {})}
    path = make_study(folder, data=read, **(given | tables))
    named = 'name = "small"\nobjectives = ["agreement", "latency_ms", "energy_j"]\n'
    path.write_text(path.read_text().replace('name = "small"\n', named))
    with (folder / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text"])
        writer.writerows([line] for line in texts(200))
    if modules:
        describe(folder / "model")
    return path


def describe(folder, mode="mean_tokens", kinds=("Transformer", "Pooling", "Normalize"), **more):
    places = {"Transformer": "", "Pooling": "1_Pooling"}
    modules = [
        {"idx": at, "name": str(at), "path": places.get(kind, f"{at}_{kind}"), "type": f"st.{kind}"}
        for at, kind in enumerate(kinds)
    ]
    (folder / "1_Pooling").mkdir(exist_ok=True)
    (folder / "modules.json").write_text(json.dumps(modules))
    (folder / "1_Pooling" / "config.json").write_text(json.dumps({f"pooling_mode_{mode}": True}))
    (folder / "config_sentence_transformers.json").write_text(json.dumps(more))


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """The study, run, and its smallest model in both formats."""
    root = tmp_path_factory.mktemp("vectors")
    url = f"sqlite:///{root}/study.db"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARETO_PRUNE_CACHE", str(root / "cache"))
        patch.setattr(bench, "_measurer", lambda _c, dense, *_: ScriptedMeasurer(dense.model))
        outcome = api.run(embedding_study(root), url, output=root / "out")
        small = [point for point in outcome.front.members if point.starter != "dense"]
        least = min(small, key=lambda point: point.values["latency_ms"]).number
        for format_ in ("huggingface", "onnx"):
            api.export("small", least, root / format_, format_, url)
        api.export("small", "dense", root / "native", "huggingface", url)
        yield root, url, outcome


def test_its_study_runs_to_a_front_without_a_label(done):
    root, url, outcome = done
    study = open_storage(url).open_study("small").read()
    assert {trial.state for trial in study.trials} <= {TrialState.COMPLETE, TrialState.STOPPED}
    assert len(study.trials) == 6
    assert outcome.front.metric == "agreement"
    assert outcome.front.reference["agreement"] == 1.0
    assert study.reference.quality.metrics == {"agreement": 1.0, "neighbours_at_10": 1.0}
    record = json.loads((root / "out" / "small" / "dense" / "dense.json").read_text())
    assert record["fine_tuned"] is False
    assert [reference.name for reference in api.front("small", url).references] == ["short_texts"]


def test_its_exports_predict_vectors_of_length_one(done):
    root, *_ = done
    found = {name: list(predict(root / name, TEXTS)) for name in ("huggingface", "onnx")}
    for one, other in zip(found["huggingface"], found["onnx"], strict=True):
        assert set(one) == {"text", "vector"}
        assert one["vector"] == pytest.approx(other["vector"], abs=1e-4)
        assert np.linalg.norm(one["vector"]) == pytest.approx(1, abs=1e-5)
    assert len(Manifest.read(root / "onnx").labels) == 32
    card = (root / "huggingface" / "README.md").read_text()
    assert "library_name: sentence-transformers\npipeline_tag: sentence-similarity" in card
    assert 'model = SentenceTransformer("FOLDER"' in card


def test_its_example_runs_alone(done):
    root, *_ = done
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    command = [sys.executable, "-P", str(root / "onnx" / "example.py"), *TEXTS]
    printed = subprocess.run(
        command, env=environment, cwd=root, capture_output=True, text=True, check=True
    )
    for line, said in zip(printed.stdout.splitlines(), predict(root / "onnx", TEXTS), strict=True):
        text, _, numbers = line.partition("\t")
        assert text == said["text"]
        assert [float(n) for n in numbers.split()] == pytest.approx(said["vector"], abs=1e-4)


def test_its_exports_are_tested_against_the_dense_model(done):
    root, *_ = done
    for name in ("huggingface", "onnx"):
        card = score(root / name, measure=False)
        assert card.metric == "agreement"
        assert card.dense.metrics == {"agreement": 1.0, "neighbours_at_10": 1.0}
        assert 0 < card.model.metrics["agreement"] < 1
        assert set(card.differences) == {"agreement", "neighbours_at_10"}
        assert card.report["cosines"]["mean"] > 0
        assert scorecard_view(card).renderables


@pytest.mark.parametrize("name", ["huggingface", "native"])
def test_the_library_itself_says_the_same(done, name):
    library = pytest.importorskip("sentence_transformers")
    folder = done[0] / name
    uneven = (folder / "modeling_pruned.py").is_file()
    assert uneven == (name == "huggingface")
    model = library.SentenceTransformer(str(folder), trust_remote_code=uneven)
    wanted = [said["vector"] for said in predict(folder, TEXTS)]
    np.testing.assert_allclose(model.encode(TEXTS), wanted, atol=1e-5)
    assert model.max_seq_length == 16


def test_a_folder_says_how_its_vectors_are_pooled(tmp_path):
    for mode, wanted in (("mean_tokens", "mean"), ("cls_token", "cls"), ("lasttoken", "last")):
        describe(tmp_path, mode)
        assert read_pooling(str(tmp_path)) == Pooling(wanted, normalised=True)
    describe(tmp_path, kinds=("Transformer", "Pooling"))
    assert not read_pooling(str(tmp_path)).normalised
    (tmp_path / "1_Pooling" / "config.json").write_text('{"pooling_mode": "max"}')
    assert read_pooling(str(tmp_path)).mode == "max"
    for name, content in written(Pooling("cls"), 32, 64).items():
        (tmp_path / name).write_text(json.dumps(content))
    assert read_pooling(str(tmp_path)) == Pooling("cls")
    (tmp_path / "modules.json").unlink()
    assert read_pooling(str(tmp_path)) == Pooling("mean", normalised=False)


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"kinds": ("Transformer", "Pooling", "Dense")}, "has a module Dense, which nothing"),
        ({"mode": "weightedmean_tokens"}, "pools by pooling_mode_weightedmean_tokens, allowed"),
        ({"default_prompt_name": "query"}, "puts a prompt before each text ('query')"),
    ],
)
def test_a_folder_with_parts_that_nothing_computes_is_refused(tmp_path, given, said):
    describe(tmp_path, **given)
    with pytest.raises(StudyFileError) as error:
        read_pooling(str(tmp_path))
    assert said in str(error.value)


def test_a_hub_that_cannot_be_reached_is_not_taken_for_a_bare_encoder(monkeypatch):
    def unreachable(*_, **__):
        raise OSError("offline")

    monkeypatch.setattr(transformers.utils, "cached_file", unreachable)
    with pytest.raises(StudyFileError, match=r"modules.json of 'some/model' cannot be looked for"):
        read_pooling("some/model")
    monkeypatch.setattr(transformers.utils, "cached_file", lambda *_, **__: None)
    assert read_pooling("some/model") == Pooling()


def test_hidden_channels_are_not_cut(tmp_path):
    path = embedding_study(tmp_path, search={"strategies": ["balanced", "channel"]})
    with pytest.raises(StudyFileError, match="'channel' cuts hidden channels, which are what"):
        read_study(path)


def test_texts_come_a_line_each_and_there_must_be_neighbours(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    for name, count in (("train", 40), ("validation", 12), ("test", 11)):
        (tmp_path / f"{name}.txt").write_text("\n\n".join(texts(count)) + "\n")
    splits = {name: f"{name}.txt" for name in ("train", "validation", "test")}
    path = embedding_study(tmp_path, data={"path": str(tmp_path), "splits": splits})
    with pytest.raises(StudyFileError, match=r"11 texts in the test split, too few .* 12 or more"):
        data.load(read_study(path))
    (tmp_path / "test.txt").write_text("\n".join(texts(20)))
    found = data.load(read_study(path))
    assert [len(split) for split in (found.train, found.validation, found.test)] == [40, 12, 20]
    assert found.train.label_names == tuple(map(str, range(32)))


def pairs_study(folder):
    """Write a study of pairs whose score is how many words both have."""
    path = embedding_study(folder, data={"task": "similarity", "text": ["one", "other"]})
    path.write_text(path.read_text().replace('["agreement"', '["spearman"'))
    first, second = texts(100), texts(100, seed=1)
    with (folder / "data.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["one", "other", "label"])
        shared = (
            len(set(one.split()) & set(two.split())) for one, two in zip(first, second, strict=True)
        )
        writer.writerows(zip(first, second, shared, strict=True))
    return path


def test_scored_pairs_are_scored_and_nothing_is_learned_from_the_scores(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    config = read_study(pairs_study(tmp_path))
    found = data.load(config)
    assert [len(split) for split in (found.train, found.validation, found.test)] == [160, 20, 20]
    assert len(data.training_rows(config)) == 80
    task, split = tasks.create("similarity"), found.validation
    assert (split.groups.reshape(-1, 2)[:, 0] == split.groups.reshape(-1, 2)[:, 1]).all()
    vectors = np.random.default_rng(0).normal(size=(20, 32)).astype(np.float32)
    told = replace(split, teacher=vectors)
    quality = task.quality(vectors, told)
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines, gold = (unit[0::2] * unit[1::2]).sum(1), split.labels[0::2, 0]
    assert quality.metrics["spearman"] == pytest.approx(spearmanr(cosines, gold)[0])
    assert quality.metrics["agreement"] == pytest.approx(1)
    assert quality.examples == 10
    broken = told.take(np.array([5, 0, 1, 8, 4]))
    assert sorted(task.outcomes(vectors[[5, 0, 1, 8, 4]], broken)[:, 0]) == sorted(gold[[0, 2]])


@pytest.mark.parametrize(
    ("row", "said"),
    [(("a", "b", "much"), "score 'much' is no number"), (("a", "", 1), "texts of column 'other'")],
)
def test_pairs_without_a_score_or_a_text_are_refused(tmp_path, monkeypatch, row, said):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    path = pairs_study(tmp_path)
    with (tmp_path / "data.csv").open("a", newline="") as file:
        csv.writer(file).writerow(row)
    with pytest.raises(StudyFileError, match=said):
        data.load(read_study(path))


def test_one_column_is_no_pair_and_two_are_no_text(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    config = read_study(pairs_study(tmp_path))
    for task, text, said in (
        ("similarity", ("one",), "one column of texts where pairs are scored"),
        ("embedding", ("one", "other"), "two columns of texts"),
    ):
        table = config.data.model_copy(update={"task": task, "text": text})
        with pytest.raises(StudyFileError, match=said):
            data.load(config.model_copy(update={"data": table}))
