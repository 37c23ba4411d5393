import copy
import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertForSequenceClassification

from pareto_prune.core.errors import StudyFileError, UserError
from pareto_prune.export.card import Card, CardObjective
from pareto_prune.export.formats import exporters
from pareto_prune.export.loading import load
from pareto_prune.export.manifest import FILE, Manifest
from pareto_prune.models.families import architecture
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.surgery import cut
from tests.tasks.words import words_tokenizer
from tests.tiny import HEADS, LAYERS, MODEL_TYPES, NEURONS, tiny_batch, tiny_model, tiny_tokenizer

WHOLE = (range(HEADS), range(NEURONS))
PLANS = {
    "uneven": PruningPlan.of([([0, 2], range(0, NEURONS, 3)), ([], [1, 2]), ([3], [])]),
    "skipping": PruningPlan.of([([1], [7]), ([], []), WHOLE]),
    "narrow": PruningPlan.of([([0], range(9)), ([], []), ([], [1, 2])], range(1, 32, 2)),
    "layers": PruningPlan.of([WHOLE, ([], []), WHOLE]),
    "headless": PruningPlan.of([WHOLE, ([], range(NEURONS)), WHOLE]),
    "nothing": PruningPlan.of([WHOLE] * LAYERS),
}
CARD = Card(
    title="Sentiment, small",
    parent="someone/parent",
    licence="apache-2.0",
    study="films",
    trial=7,
    strategy="layer_wise",
    importance="fisher",
    machine="a laptop",
    objectives=(
        CardObjective(
            name="latency_ms",
            label="latency",
            unit="ms",
            value=2.5,
            reference=10.0,
            interval=(2.4, 2.6),
            grade="measured",
            source="clock",
        ),
        CardObjective(name="parameters", label="parameters", unit="count", value=1000.0),
    ),
    settings={"max_length": 64},
)

READ = """
import copy, sys, warnings
warnings.simplefilter("error")
# so transformers before 5.23 compile parts of DeBERTa
warnings.filterwarnings("ignore", "`torch.jit.script` is deprecated", DeprecationWarning)
import torch
from transformers import (
    AutoModel, AutoModelForSequenceClassification, AutoModelForTokenClassification, AutoTokenizer)
assert "pareto_prune" not in sys.modules
batch = torch.load(sys.argv[1])
# weights in a file start anywhere, and products of unaligned ones round in another way
logits = lambda model: copy.deepcopy(model)(**batch).logits
for folder in sys.argv[2:]:
    expected = torch.load(folder + "/logits.pt")
    tokens = "-ner" in folder
    auto = AutoModelForTokenClassification if tokens else AutoModelForSequenceClassification
    trust = {} if folder.endswith("plain") else {"trust_remote_code": True}
    model = auto.from_pretrained(folder, **trust)
    with torch.no_grad():
        assert torch.equal(logits(model), expected), folder
        # and once more after a step of fine-tuning
        next(model.parameters()).mul_(0.5)
        changed = logits(model)
        model.save_pretrained(folder + "/again")
        again = auto.from_pretrained(folder + "/again", **trust)
        assert torch.equal(logits(again), changed), folder
        base = AutoModel.from_pretrained(folder, **trust)
        assert base(**batch)[0].shape[-1] == model.config.hidden_size
    print("ok", folder)
"""

PIPELINE = """
import sys
from transformers import pipeline
for task, folder in (a.split("=") for a in sys.argv[1:]):
    found = pipeline(task, model=folder, trust_remote_code=True)(["w1 w2 w3", "w4"])
    assert len(found) == 2, found
    print("ok", folder)
"""


def inputs(**options):
    return {k: v for k, v in tiny_batch(**options).items() if k != "labels"}


def logits(model, batch):
    with torch.no_grad():
        return model(**batch).logits


def export(
    folder, plan="uneven", model_type="bert", task="classification", tokenizer=None, **options
):
    model = cut(tiny_model(model_type, task), PLANS[plan])
    card = CARD.model_copy(update={"task": task})
    exporters.create("huggingface", options).export(model, tokenizer, PLANS[plan], folder, card)
    return model


def fresh_python(code, *arguments, home):
    """Run code in a process that cannot import this package by accident, nor write outside."""
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    environment |= {"HF_HOME": str(home), "HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error"}
    command = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(command, env=environment, cwd=home, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
def test_every_type_loads_in_a_fresh_process_with_transformers_alone(tmp_path):
    batch, folders = inputs(), []
    torch.save(batch, tmp_path / "batch.pt")
    for number, model_type in enumerate(MODEL_TYPES):
        task = ("classification", "ner")[number % 2]
        plan = ("uneven", "skipping", "narrow")[number % 3]
        folder = tmp_path / f"{model_type}-{task}-{plan}"
        folders.append((folder, export(folder, plan, model_type, task)))
    for plan in ("layers", "nothing"):
        folder = tmp_path / f"{plan}-plain"
        folders.append((folder, export(folder, plan)))
    for folder, model in folders:
        torch.save(logits(model, batch), folder / "logits.pt")
    paths = [folder for folder, _ in folders]
    printed = fresh_python(READ, tmp_path / "batch.pt", *paths, home=tmp_path)
    assert printed.count("ok") == len(folders)


@pytest.mark.slow
def test_pipelines(tmp_path):
    tokenizer = tiny_tokenizer(tmp_path)
    export(tmp_path / "a", "narrow", tokenizer=tokenizer)
    export(tmp_path / "b", "uneven", "roberta", "ner", tokenizer=tokenizer)
    tasks = [f"text-classification={tmp_path}/a", f"token-classification={tmp_path}/b"]
    assert fresh_python(PIPELINE, *tasks, home=tmp_path).count("ok") == 2


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_tokenizer_needs_no_code_and_no_answer(tmp_path, model_type, monkeypatch, caplog):
    """With its model beside it: the file that narrows layers is for that one alone."""
    from transformers import AutoConfig, AutoTokenizer

    export(tmp_path / "out", "narrow", model_type, tokenizer=words_tokenizer())
    asked = []
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or "n")
    monkeypatch.setattr(logging.getLogger("transformers"), "propagate", True)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "out")
    assert tokenizer("films")["input_ids"] == words_tokenizer()("films")["input_ids"]
    assert AutoConfig.from_pretrained(tmp_path / "out").model_type == model_type
    assert not asked
    assert not caplog.records


@pytest.mark.parametrize("plan", ["uneven", "headless"])
def test_stock_classes_never_fill_what_was_removed(tmp_path, plan, monkeypatch):
    """Neither by their own name nor by an Auto class that nobody gave leave to run code."""
    from transformers import AutoModelForSequenceClassification

    monkeypatch.setattr("builtins.input", lambda _: "n")
    export(tmp_path / "out", plan)
    for stock in (AutoModelForSequenceClassification, BertForSequenceClassification):
        for options in ({}, {"attn_implementation": "eager"}):
            with pytest.raises(ValueError, match="trust_remote_code=True"):
                stock.from_pretrained(tmp_path / "out", **options)
    again = load(tmp_path / "out")
    again.save_pretrained(tmp_path / "again")
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        BertForSequenceClassification.from_pretrained(tmp_path / "again")


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_load_gives_the_same_logits(tmp_path, model_type, plan):
    model, batch = export(tmp_path / "out", plan, model_type), inputs()
    loaded = load(tmp_path / "out")
    assert not loaded.training
    assert architecture(loaded) == architecture(model)
    # weights in a file start anywhere, and products of unaligned ones round in another way
    aligned = copy.deepcopy(loaded)
    torch.testing.assert_close(logits(aligned, batch), logits(model, batch), atol=0, rtol=0)
    eager = load(tmp_path / "out", attention="eager")
    torch.testing.assert_close(logits(eager, batch), logits(model, batch), atol=1e-5, rtol=1e-5)


def test_load_cut_export_load(tmp_path):
    """A loaded model is cut and exported again; its plan still speaks of the dense model."""
    export(tmp_path / "first", "uneven")
    smaller = PruningPlan.of([([2], [0, 6]), ([], []), ([3], [])])
    model = cut(load(tmp_path / "first"), smaller)
    exporters.create("huggingface").export(model, None, smaller, tmp_path / "second", CARD)
    loaded, batch = load(tmp_path / "second"), inputs()
    torch.testing.assert_close(logits(loaded, batch), logits(model, batch), atol=0, rtol=0)
    assert Manifest.read(tmp_path / "second").plan == smaller


def test_loaded_model_trains_and_saves_again(tmp_path):
    export(tmp_path / "out", "narrow")
    model = load(tmp_path / "out").train()
    model(**tiny_batch()).loss.backward()
    torch.optim.SGD(model.parameters(), lr=0.1).step()
    model.eval().save_pretrained(tmp_path / "again")
    config = json.loads((tmp_path / "again" / "config.json").read_text())
    assert config["auto_map"]["AutoConfig"] == "modeling_pruned.PrunedBertConfig"
    assert (tmp_path / "again" / "modeling_pruned.py").is_file()
    again, batch = type(model).from_pretrained(tmp_path / "again"), inputs()
    torch.testing.assert_close(logits(again, batch), logits(model, batch), atol=0, rtol=0)


def test_plain_checkpoint_needs_no_code(tmp_path):
    model, batch = export(tmp_path / "out", "layers"), inputs()
    names = {path.name for path in (tmp_path / "out").iterdir()}
    assert names == {"config.json", "model.safetensors", "plan.json", "README.md"}
    config = json.loads((tmp_path / "out" / "config.json").read_text())
    assert (config["model_type"], config["num_hidden_layers"]) == ("bert", 2)
    assert "auto_map" not in config
    stock = BertForSequenceClassification.from_pretrained(tmp_path / "out")
    torch.testing.assert_close(logits(stock, batch), logits(model, batch), atol=0, rtol=0)


def test_stock_class_refuses_an_uneven_folder(tmp_path):
    from transformers import AutoModelForSequenceClassification

    export(tmp_path / "out", "uneven")
    with pytest.raises(ValueError, match="trust_remote_code=True"):
        AutoModelForSequenceClassification.from_pretrained(
            tmp_path / "out", trust_remote_code=False
        )


def test_float16_halves_the_weights_and_leaves_the_model(tmp_path):
    model = export(tmp_path / "half", dtype="float16")
    export(tmp_path / "full")
    sizes = [(tmp_path / name / "model.safetensors").stat().st_size for name in ("half", "full")]
    assert sizes[0] < 0.6 * sizes[1]
    assert model.dtype == torch.float32
    loaded, batch = load(tmp_path / "half"), inputs()
    assert loaded.dtype == torch.float16
    torch.testing.assert_close(
        logits(loaded.float(), batch), logits(model, batch), atol=2e-2, rtol=2e-2
    )
    assert Manifest.read(tmp_path / "half").dtype == "float16"
    with pytest.raises(StudyFileError, match="dtype"):
        exporters.create("huggingface", {"dtype": "int8"})


def test_card_says_what_was_removed_and_how_it_was_measured(tmp_path):
    export(tmp_path / "out", "uneven")
    card = (tmp_path / "out" / "README.md").read_text()
    for line in (
        "license: apache-2.0",
        "base_model: someone/parent",
        "pipeline_tag: text-classification",
        "- custom_code",
        "# Sentiment, small",
        "| latency | 2.5 | 2.4 to 2.6 | 10 | ms | measured, clock |",
        "| parameters | 1000 | not known | not known | count | counted |",
        "Measured on: a laptop.",
        "| 0 | 2 of 4 | 22 of 64 |  |",
        "| 1 | 0 of 4 | 2 of 64 | attention dropped |",
        "| 2 | 1 of 4 | 0 of 64 | FFN dropped |",
        "* Study: films, trial 7",
        'AutoModelForSequenceClassification.from_pretrained("FOLDER", trust_remote_code=True)',
    ):
        assert line in card, line


def test_card_of_a_plain_checkpoint_without_origin(tmp_path):
    model = cut(tiny_model(), PLANS["layers"])
    exporters.create("huggingface").export(model, None, PLANS["layers"], tmp_path / "out", Card())
    card = (tmp_path / "out" / "README.md").read_text()
    assert "trust_remote_code" not in card
    assert "license" not in card
    assert "| 1 | 0 of 4 | 0 of 64 | layer dropped |" in card


def test_manifest_holds_plan_and_card(tmp_path):
    model = export(tmp_path / "out", "narrow")
    manifest = Manifest.read(tmp_path / "out")
    assert manifest.plan == PLANS["narrow"]
    assert manifest.card == CARD
    assert manifest.architecture == architecture(model)
    assert manifest.dense == architecture(tiny_model())
    assert manifest.parameters == sum(p.numel() for p in model.parameters())


def test_wrong_plan_is_refused(tmp_path):
    model = cut(tiny_model(), PLANS["uneven"])
    with pytest.raises(ValueError, match="was not cut by this plan"):
        exporters.create("huggingface").export(
            model, None, PLANS["skipping"], tmp_path / "out", CARD
        )
    assert not (tmp_path / "out").exists()


def test_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.txt").write_text("mine")
    with pytest.raises(
        UserError, match="is there and not empty, allowed: a new or an empty folder"
    ):
        export(tmp_path / "out")
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["mine.txt"]
    export(tmp_path / "an odd näme, with spaces")
    load(tmp_path / "an odd näme, with spaces")


def test_failed_export_leaves_nothing(tmp_path):
    class Broken:
        def save_pretrained(self, folder):
            raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        export(tmp_path / "out", tokenizer=Broken())
    assert list(tmp_path.iterdir()) == []


def tamper_weights(folder: Path):
    weights = load_file(folder / "model.safetensors")
    weights["classifier.bias"] += 1e-3
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def tamper_plan(folder: Path):
    content = json.loads((folder / FILE).read_text())
    content["plan"]["layers"][0]["heads"] = [1, 2]
    (folder / FILE).write_text(json.dumps(content))


def tamper_class(folder: Path):
    content = json.loads((folder / "config.json").read_text())
    content["architectures"] = ["PrunedNothing"]
    (folder / "config.json").write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("tamper", "message"),
    [
        (tamper_weights, r"model.safetensors: is not the file that was exported \(SHA-256"),
        (tamper_plan, r"config.json: does not hold the plan of plan.json"),
        (tamper_class, r"names an unknown class 'PrunedNothing'"),
        (lambda folder: (folder / "model.safetensors").unlink(), r"model.safetensors: is missing"),
        (lambda folder: (folder / FILE).unlink(), r"out: has no plan.json"),
        (lambda folder: (folder / FILE).write_text("{"), r"plan.json: is damaged"),
        (lambda folder: (folder / FILE).write_text("{}"), r"plan.json: is damaged"),
        (lambda folder: (folder / "config.json").unlink(), r"config.json: is missing or damaged"),
        (lambda folder: (folder / "config.json").write_text("[]"), r"config.json: is missing or"),
    ],
)
def test_changed_folders_are_refused(tmp_path, tamper, message):
    export(tmp_path / "out")
    tamper(tmp_path / "out")
    with pytest.raises(UserError, match=message):
        load(tmp_path / "out")


def test_no_folder(tmp_path):
    with pytest.raises(UserError, match="no such folder"):
        load(tmp_path / "nowhere")


def test_other_formats_are_refused(tmp_path):
    export(tmp_path / "out")
    manifest = Manifest.read(tmp_path / "out").model_copy(update={"format": "onnx"})
    manifest.write(tmp_path / "out")
    with pytest.raises(UserError, match="holds a model in the format onnx"):
        load(tmp_path / "out")


def test_listing_exporters_loads_no_torch():
    code = (
        "import sys; from pareto_prune.export.formats import exporters; exporters.entries();"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
