"""Folders of native shapes: plain checkpoints, which say so; and whole studies of them."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

import pareto_prune
from pareto_prune import api, cli
from pareto_prune.export.card import Card
from pareto_prune.export.formats import exporters
from pareto_prune.export.loading import load
from pareto_prune.export.manifest import Manifest
from pareto_prune.inputs.checkpoint import Checkpoint
from pareto_prune.inputs.tasks import tasks
from pareto_prune.models.families import architecture, dense_architecture
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.stock import even_shapes, pooled_scores
from pareto_prune.pruning.strategies.layer_wise import LayerWise
from pareto_prune.pruning.surgery import cut
from pareto_prune.storage import open_storage
from pareto_prune.trials import bench
from tests.pruning.test_surgery import logits
from tests.small_study import ScriptedMeasurer, make_study
from tests.tasks.words import words_tokenizer
from tests.tiny import HEADS, HIDDEN, LAYERS, MODEL_TYPES, NEURONS, tiny_batch, tiny_model

SIZE = HIDDEN // HEADS

READ = """
import sys, warnings
warnings.simplefilter("error")
# so transformers before 5.23 compile parts of DeBERTa
warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
import torch
from transformers import AutoModelForSequenceClassification
assert "pareto_prune" not in sys.modules
batch = torch.load(sys.argv[1])
for folder in sys.argv[2:]:
    expected = torch.load(folder + "/logits.pt")
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    assert model.__class__.__module__.startswith("transformers."), folder
    off = 1e-6 if folder.endswith("deberta") else 0.0
    with torch.no_grad():
        assert torch.allclose(model(**batch).logits, expected, rtol=0, atol=off), folder
"""


def narrower(model_type: str, heads: int) -> PruningPlan:
    """A plan of so many heads in every layer; hidden channels go with them."""
    model = tiny_model(model_type)
    kept = range(HEADS - heads, HEADS)
    layers = [(kept, range(1, NEURONS, 3))] * (LAYERS - 1) + [([], [])]
    if heads == HEADS:
        return PruningPlan.of(layers)
    hidden = range(HIDDEN - heads * SIZE, HIDDEN)
    pooled = range(heads * SIZE) if pooled_scores(model) is not None else None
    return PruningPlan.of(layers, hidden).with_pooled(pooled)


def written(folder: Path, model_type: str, plan: PruningPlan) -> Path:
    model = cut(tiny_model(model_type), plan)
    card = Card(title="Small", study="films", trial=3)
    exporters.create("huggingface").export(model, words_tokenizer(), plan, folder, card)
    torch.save(logits(model, tiny_batch()), folder / "logits.pt")
    return folder


@pytest.mark.parametrize("heads", [HEADS, 3, 1])
def test_transformers_alone_loads_every_type(tmp_path, heads):
    folders = [
        written(tmp_path / name, name, narrower(name, heads))
        for name in MODEL_TYPES
        if (heads * SIZE, name) != (tiny_model("electra").config.embedding_size, "electra")
    ]
    batch = {key: value for key, value in tiny_batch().items() if key != "labels"}
    torch.save(batch, tmp_path / "batch.pt")
    for folder in folders:
        assert not list(folder.glob("*.py"))
        config = json.loads((folder / "config.json").read_text())
        assert "auto_map" not in config
        assert not config["architectures"][0].startswith("Pruned")
        # DeBERTa multiplies with parts of a matrix: another alignment in memory, another last bit
        off = 1e-6 if folder.name == "deberta" else 0.0
        found = logits(load(folder), tiny_batch())
        torch.testing.assert_close(found, torch.load(folder / "logits.pt"), atol=off, rtol=0)
    command = [sys.executable, "-c", READ, str(tmp_path / "batch.pt"), *map(str, folders)]
    found = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path)
    assert found.returncode == 0, found.stderr


def test_the_card_says_which_it_is(tmp_path):
    native = written(tmp_path / "native", "bert", narrower("bert", 2))
    text = (native / "README.md").read_text()
    assert "Native: loads with transformers alone" in text
    assert "trust_remote_code" not in text
    assert "16 of 32 hidden channels" in text
    uneven = PruningPlan.of([([0], [1, 2]), ([0, 1], [3]), ([], [])])
    text = (written(tmp_path / "uneven", "bert", uneven) / "README.md").read_text()
    assert "Uneven: its layers are of unlike width" in text


def test_electra_as_wide_as_its_embeddings_keeps_its_projection_in_a_class_of_ours(tmp_path):
    dense = tiny_model("electra")
    heads = dense.config.embedding_size // SIZE
    assert heads not in even_shapes(dense).hidden
    folder = written(tmp_path / "out", "electra", narrower("electra", heads))
    assert "auto_map" in json.loads((folder / "config.json").read_text())
    torch.testing.assert_close(
        logits(load(folder), tiny_batch()), torch.load(folder / "logits.pt"), atol=0, rtol=0
    )


@pytest.mark.parametrize("model_type", ["bert", "mpnet"])
def test_a_native_export_is_the_dense_model_of_another_study(tmp_path, model_type):
    folder = written(tmp_path / "out", model_type, narrower(model_type, 2))
    checkpoint = Checkpoint.find(str(folder))
    model, head = checkpoint.model(tasks.create("classification"), ("a", "b", "c"))
    assert head
    shape = architecture(model)
    assert (shape.hidden, shape.head_size) == (2 * SIZE, SIZE)
    assert dense_architecture(model) == shape == checkpoint.architecture()
    assert set(even_shapes(model).hidden) == {1, 2}


@pytest.fixture
def scripted(tmp_path, monkeypatch):
    """Measure by the script instead of the clock."""
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bench, "_measurer", lambda _c, dense, _d, _p: ScriptedMeasurer(dense.model))


@pytest.mark.usefixtures("scripted")
def test_a_native_study_from_its_file_to_folders_without_code(tmp_path, monkeypatch, capsys):
    search = {
        "shapes": "native",
        "strategies": ["layer_wise", "channel", "balanced", "l1"],
        "starters": ["dense", "half_depth", "uniform", "balanced"],
        "cost_target": {"low": 0.4, "high": 0.9},
    }
    study = make_study(tmp_path, search=search, limits={"trials": 9})
    url = f"sqlite:///{tmp_path}/study.db"
    outcome = api.run(study, url, output=tmp_path / "out")
    done = [t.result for t in open_storage(url).open_study("small").read().trials if t.result]
    assert all(result.native for result in done if result.architecture and not result.failure)
    assert sum(result.failure is None for result in done) >= 5
    native = api.front("small", url, native=True)
    assert [p.number for p in native.members] == [p.number for p in outcome.front.members]
    arguments = ["front", "small", "--native", "--json", "--storage", url]
    monkeypatch.setattr(sys, "argv", ["pareto-prune", *arguments])
    with pytest.raises(SystemExit):
        cli.main()
    printed = json.loads(capsys.readouterr().out)
    assert printed["native"]
    assert [p["native"] for p in printed["trials"]] == [True] * len(native.members)
    smaller = [point.number for point in native.members if point.starter != "dense"]
    folder = api.export("small", smaller[0], tmp_path / "to", storage=url)
    manifest = Manifest.read(folder)
    assert "auto_map" not in json.loads((folder / "config.json").read_text())
    model = pareto_prune.load(folder)
    assert architecture(model) == manifest.architecture


@pytest.mark.usefixtures("scripted")
def test_a_strategy_that_leaves_layers_unlike_fails_in_a_native_study(tmp_path, monkeypatch):
    unlike = PruningPlan.of([([0], [1, 2]), ([1, 2], [3]), ([0], [4])])
    monkeypatch.setattr(LayerWise, "_plan", lambda *_: unlike)
    search = {"shapes": "native", "strategies": ["layer_wise"]}
    url = f"sqlite:///{tmp_path}/study.db"
    api.run(make_study(tmp_path, search=search, limits={"trials": 2}), url, output=tmp_path / "out")
    dense, other = (t.result for t in open_storage(url).open_study("small").read().trials)
    assert dense.failure is None
    assert other.failure.kind == "not_native"
    assert "layer_wise left a shape that no stock class holds" in other.failure.reason
