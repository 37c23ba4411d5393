"""The ``onnx`` exporter: the logits of PyTorch, by onnxruntime and tokenizers alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from pareto_prune.core.errors import StudyFileError, UserError
from pareto_prune.export.card import Card
from pareto_prune.export.formats import Examples, exporters
from pareto_prune.export.formats._readme import write_card
from pareto_prune.export.loading import load
from pareto_prune.export.manifest import Manifest
from pareto_prune.inputs.tasks import tasks
from pareto_prune.models import onnx_graph
from pareto_prune.models.onnx_graph import InexactGraphError
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.surgery import cut
from pareto_prune.trials.calibration_texts import calibration_texts
from tests.tasks.words import entities, sentiment, words_tokenizer
from tests.tiny import HEADS, MODEL_TYPES, NEURONS, tiny_batch, tiny_model

WHOLE = (range(HEADS), range(NEURONS))
PLAN = PruningPlan.of([([0, 2], range(0, NEURONS, 3)), ([], []), ([], [1, 2])])
ROWS = {"classification": sentiment(40), "ner": entities()}

BLOCKED = """
import runpy, sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "transformers", "pareto_prune"):
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Blocker())
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def card(task):
    return Card(task=task, settings={"max_length": 8})


def examples_of(task_name):
    task, rows = tasks.create(task_name), ROWS[task_name]
    names = task.label_names({"train": rows})
    split = task.encode(rows, words_tokenizer(), names, 8)
    return Examples(task, split, task.metrics[0].name, calibration_texts(split, task, 0))


def made(model_type="bert", task="classification", labels=2, seed=0):
    return cut(tiny_model(model_type, task, labels=labels, seed=seed), PLAN)


def export(folder, model, task="classification", examples=None, tokenizer=None, **options):
    exporter = exporters.create("onnx", options)
    tokenizer = tokenizer or words_tokenizer()
    return exporter.export(model, tokenizer, PLAN, folder, card(task), examples)


def run(folder, batch):
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"))
    feed = {name: tensor.numpy() for name, tensor in batch.items()}
    feed = {"token_type_ids": np.zeros_like(feed["input_ids"])} | feed
    return session.run(None, {given.name: feed[given.name] for given in session.get_inputs()})[0]


def inputs(**options):
    return {name: t for name, t in tiny_batch(**options).items() if name != "labels"}


@pytest.mark.parametrize("task", ["classification", "ner"])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_any_batch_and_length_gives_the_logits_of_pytorch(tmp_path, model_type, task):
    model = made(model_type, task)
    folder = export(tmp_path / "out", model, task)
    for examples, tokens in ((1, 3), (5, 17)):
        batch = inputs(examples=examples, tokens=tokens)
        with torch.no_grad():
            expected = model(**batch).logits.numpy()
        found = run(folder, batch)
        inside = batch["attention_mask"].numpy() == 1
        if task == "ner":
            found, expected = found[inside], expected[inside]
        np.testing.assert_allclose(found, expected, atol=1e-4)


def test_the_folder_holds_all_that_running_needs(tmp_path):
    folder = export(tmp_path / "out", made(), examples=examples_of("classification"))
    names = {path.name for path in folder.iterdir()}
    assert names >= {"model.onnx", "tokenizer.json", "plan.json", "example.py", "README.md"}
    assert "model.safetensors" not in names
    manifest = Manifest.read(folder)
    manifest.verify(folder)
    assert (manifest.format, manifest.dtype, manifest.plan) == ("onnx", "float32", PLAN)
    assert manifest.labels == ("LABEL_0", "LABEL_1")
    assert manifest.check.examples == 40
    assert manifest.check.logits < 1e-4
    text = (folder / "README.md").read_text()
    assert "library_name: onnx" in text
    assert "Checked against PyTorch on 40 texts" in text
    assert "trust_remote_code" not in text


def test_without_data_arbitrary_tokens_are_compared(tmp_path):
    check = Manifest.read(export(tmp_path / "out", made(), dtype="int8")).check
    assert (check.examples, check.metric, check.lost) == (0, None, None)
    assert check.logits > 0
    assert "arbitrary tokens" in check.sentence("int8")


@pytest.mark.parametrize("dtype", ["float16", "int8"])
@pytest.mark.parametrize("task", ["classification", "ner"])
def test_what_rounds_says_what_that_costs(tmp_path, task, dtype):
    examples = examples_of(task)
    model = made(task=task, labels=len(examples.split.label_names))
    check = Manifest.read(export(tmp_path / "out", model, task, examples, dtype=dtype)).check
    assert check.metric == examples.metric
    assert check.scored == len(examples.split)
    assert check.lost == check.float32 - check.exported
    assert f"in {dtype}" in check.sentence(dtype)
    assert 0 < check.logits < 1


def test_int8_is_calibrated_where_there_are_texts(tmp_path):
    model, examples = made(labels=2), examples_of("classification")
    for name, given in (("calibrated", examples), ("dynamic", None)):
        export(tmp_path / name, model, examples=given, dtype="int8")
        nodes = onnx.load(tmp_path / name / "model.onnx").graph.node
        assert ("DynamicQuantizeLinear" in {n.op_type for n in nodes}) == (name == "dynamic")
    assert Manifest.read(tmp_path / "calibrated").check.logits < 0.2


def test_a_graph_that_is_off_on_real_texts_is_refused(tmp_path, monkeypatch):
    other = onnx_graph.export(made(seed=1))
    monkeypatch.setattr(onnx_graph, "export", lambda *_: other)
    with pytest.raises(InexactGraphError, match="logits of real texts differ by"):
        export(tmp_path / "out", made(), examples=examples_of("classification"))
    assert list(tmp_path.iterdir()) == []


def test_a_slow_tokenizer_is_refused(tmp_path):
    class Slow:
        is_fast = False

    with pytest.raises(UserError, match=r"a slow one.*tokenizer\.json"):
        export(tmp_path / "out", made(), tokenizer=Slow())
    with pytest.raises(StudyFileError, match="dtype: 'bfloat16' is wrong"):
        exporters.create("onnx", {"dtype": "bfloat16"})


def test_a_folder_that_holds_something_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UserError, match="is there and not empty"):
        export(tmp_path, made())
    with pytest.raises(ValueError, match="was not cut by this plan"):
        export(tmp_path / "out", tiny_model())


def test_pytorch_does_not_load_it(tmp_path):
    with pytest.raises(UserError, match="holds a model in the format onnx"):
        load(export(tmp_path / "out", made()))


@pytest.mark.slow
def test_the_example_runs_without_torch(tmp_path):
    def call(folder, *texts):
        environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
        command = [sys.executable, "-c", BLOCKED, str(folder / "example.py"), *texts]
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines()

    model = made()
    texts = ["the film was good", "the plot\tthe film", "bad " * 50]
    found = call(export(tmp_path / "one", model), *texts)
    tokenizer = words_tokenizer()
    for line, text in zip(found, texts, strict=True):
        encoded = tokenizer(*text.split("\t"), truncation=True, max_length=8, return_tensors="pt")
        with torch.no_grad():
            shares = model(**encoded).logits.softmax(-1)[0]
        assert line.startswith(f"LABEL_{int(shares.argmax())} {float(shares.max()):.3f} ")
    names = examples_of("ner").split.label_names
    tagger = made(task="ner", labels=len(names))
    tagger.config.id2label = dict(enumerate(names))
    [tagged] = call(export(tmp_path / "two", tagger, "ner"), "anna films paris" + " a" * 9)
    pairs = [pair.split("/") for pair in tagged.split()]
    assert [word for word, _ in pairs][:3] == ["anna", "films", "paris"]
    assert all(tag in (*names, "cut") for _, tag in pairs)
    assert pairs[-1][1] == "cut"


def test_the_example_runs_on_the_engine_that_was_measured(tmp_path):
    """On OpenVINO the example answers as on ONNX Runtime, and needs it no more."""
    folder = export(tmp_path / "out", made(), examples=examples_of("classification"))
    texts = ["good fine good", "bad awful"]
    answers = [ran(folder, texts)]
    manifest = json.loads((folder / "plan.json").read_text())
    manifest["card"]["engine"] = "openvino"
    (folder / "plan.json").write_text(json.dumps(manifest))
    answers.append(ran(folder, texts, blocked="onnxruntime"))
    assert answers[0] == answers[1]
    assert len(answers[0]) == len(texts)
    assert "numpy, onnxruntime and tokenizers" in (folder / "README.md").read_text()
    write_card(folder, Manifest.read(folder))
    assert "numpy, openvino and tokenizers" in (folder / "README.md").read_text()


def ran(folder, texts, blocked="openvino"):
    """Return the lines of a folder's example with a package out of reach."""
    code = BLOCKED.replace("torch", blocked, 1)
    command = [sys.executable, "-c", code, str(folder / "example.py"), *texts]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return [line.rpartition(" ")[0] for line in done.stdout.splitlines()]
