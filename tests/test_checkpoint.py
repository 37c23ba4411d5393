"""What a checkpoint must be before it is searched, each refusal one line."""

from __future__ import annotations

import json

import pytest
import torch
import transformers
from safetensors.torch import load_file, save_file

from pareto_prune.core.errors import StudyFileError
from pareto_prune.inputs.checkpoint import Checkpoint
from pareto_prune.inputs.tasks import tasks
from tests.tasks.words import words_tokenizer
from tests.tiny import MODEL_TYPES, tiny_model

TASK = tasks.create("classification")


def refused(action):
    with pytest.raises(StudyFileError) as error:
        action()
    (problem,) = error.value.problems
    assert problem.where == "model.path"
    assert "\n" not in str(problem)
    return problem


@pytest.fixture
def folder(tmp_path):
    """A whole checkpoint of a body."""
    tiny_model().base_model.save_pretrained(tmp_path / "body")
    words_tokenizer().save_pretrained(tmp_path / "body")
    return tmp_path / "body"


class TestWhatIsNoModel:
    def test_an_adapter(self, folder):
        (folder / "config.json").unlink()
        (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
        (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
        problem = refused(lambda: Checkpoint.find(str(folder)))
        assert "holds an adapter" in problem.wrong
        assert "merged into its model" in problem.allowed

    def test_a_merged_one_is_a_model(self, folder):
        (folder / "adapter_config.json").write_text("{}")
        assert Checkpoint.find(str(folder)).path == str(folder)

    def test_a_file(self, folder):
        problem = refused(lambda: Checkpoint.find(str(folder / "model.safetensors")))
        assert "is a file" in problem.wrong

    def test_pickled_weights(self, folder):
        (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
        problem = refused(lambda: Checkpoint.find(str(folder)).model(TASK, ("a", "b")))
        assert "holds no weights but pytorch_model.bin" in problem.wrong
        assert "save_pretrained" in problem.allowed


class TestTheWholeBody:
    """Weights of the body that nothing reads mean another model than the user's."""

    def load(self, folder):
        return Checkpoint.find(str(folder)).model(TASK, ("a", "b", "c"))

    @pytest.mark.parametrize("model_type", MODEL_TYPES)
    @pytest.mark.parametrize("head", [False, True])
    def test_a_layer_that_the_configuration_lacks(self, tmp_path, model_type, head):
        model = tiny_model(model_type)
        (model if head else model.base_model).save_pretrained(tmp_path / "m")
        self.load(tmp_path / "m")
        counted = next(
            name
            for name in ("num_hidden_layers", "n_layers", "n_layer")
            if name in model.config.to_dict()
        )
        kinds = {"layer_types": model.config.layer_types[:2]} if model_type == "modernbert" else {}
        changed(tmp_path / "m", **{counted: 2}, **kinds)
        assert "nothing reads" in refused(lambda: self.load(tmp_path / "m")).wrong

    def test_settings_that_contradict_each_other(self, tmp_path):
        tiny_model("modernbert").save_pretrained(tmp_path / "m")
        changed(tmp_path / "m", num_hidden_layers=2)
        problem = refused(lambda: self.load(tmp_path / "m"))
        assert "config.json cannot be read (`num_hidden_layers` (2) must be equal" in problem.wrong

    @pytest.mark.parametrize("prefix", ["", "bert."])
    def test_relative_positions(self, tmp_path, prefix):
        model = tiny_model()
        (model if prefix else model.base_model).save_pretrained(tmp_path / "m")
        key = f"{prefix}encoder.layer.0.attention.self.distance_embedding.weight"
        added(tmp_path / "m", {key: torch.zeros(79, 8)})
        problem = refused(lambda: self.load(tmp_path / "m"))
        assert f"nothing reads ({key}; 1 in all)" in problem.wrong

    def test_a_language_model_and_old_buffers_are_read(self, tmp_path):
        transformers.BertForPreTraining(tiny_model().config).save_pretrained(tmp_path / "bert")
        added(tmp_path / "bert", {"bert.embeddings.position_ids": torch.arange(40)[None]})
        self.load(tmp_path / "bert")
        transformers.GPT2LMHeadModel(tiny_model("gpt2").config).save_pretrained(tmp_path / "gpt2")
        masks = {f"transformer.h.0.attn.{name}": torch.ones(1) for name in ("bias", "masked_bias")}
        added(tmp_path / "gpt2", masks)
        self.load(tmp_path / "gpt2")

    def test_a_pooler_that_taggers_have_no_use_for(self, folder):
        Checkpoint.find(str(folder)).model(tasks.create("ner"), ("O", "B-x", "I-x"))


@pytest.mark.parametrize("kind", ["multi_label_classification", "regression"])
def test_a_head_of_another_problem_becomes_one_of_classes(tmp_path, kind):
    model = tiny_model(labels=1 if kind == "regression" else 3)
    model.config.problem_type = kind
    model.save_pretrained(tmp_path / "m")
    loaded, _ = Checkpoint.find(str(tmp_path / "m")).model(TASK, ("a", "b", "c"))
    loaded.save_pretrained(tmp_path / "saved")
    assert "problem_type" not in json.loads((tmp_path / "saved" / "config.json").read_text())
    pipe = transformers.pipeline(
        "text-classification", loaded, tokenizer=words_tokenizer(), top_k=None
    )
    assert sum(found["score"] for found in pipe(["the film was good"])[0]) == pytest.approx(1.0)


class TestRows:
    """Every token that the tokenizer can give has a row in the model."""

    @pytest.mark.parametrize("task", ["classification", "ner"])
    def test_added_tokens_without_a_row(self, folder, task):
        tokenizer = words_tokenizer()
        tokenizer.add_tokens([f"emoji{i}" for i in range(100)])
        tokenizer.save_pretrained(folder)
        problem = refused(lambda: Checkpoint.find(str(folder)).tokenizer(tasks.create(task)))
        assert "has 119 tokens, its model rows for 100" in problem.wrong

    def test_one_token_too_many(self, folder):
        changed(folder, vocab_size=19)
        Checkpoint.find(str(folder)).tokenizer(TASK)
        changed(folder, vocab_size=18)
        assert "has 19 tokens" in refused(lambda: Checkpoint(str(folder)).tokenizer(TASK)).wrong


def changed(folder, **settings):
    file = folder / "config.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **settings}))


def added(folder, weights):
    file = folder / "model.safetensors"
    save_file({**load_file(file), **weights}, file, metadata={"format": "pt"})
