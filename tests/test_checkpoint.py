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

    def test_a_folder_of_checkpoints(self, folder, tmp_path):
        problem = refused(lambda: Checkpoint.find(str(tmp_path)))
        assert problem.wrong == f"{tmp_path} has no config.json; there is one in body"
        for place in ("step-500", "step-1000", "snapshots/0a1b"):
            (tmp_path / place).mkdir(parents=True)
            (tmp_path / place / "config.json").write_text("{}")
        problem = refused(lambda: Checkpoint.find(str(tmp_path)))
        there = "body, step-500, step-1000, snapshots/0a1b"
        assert problem.wrong == f"{tmp_path} has no config.json; there is one in {there}"

    def test_a_folder_of_something_else(self, tmp_path):
        problem = refused(lambda: Checkpoint.find(str(tmp_path)))
        assert problem.wrong == f"{tmp_path} has no config.json"
        assert problem.allowed == "allowed: the folder of config.json and model.safetensors"

    def test_shards_of_which_some_are_missing(self, folder):
        (folder / "model.safetensors").unlink()
        tiny_model().base_model.save_pretrained(folder, max_shard_size="20KB")
        whole = Checkpoint.find(str(folder))
        whole.check_weights()
        shards = sorted(folder.glob("model-*.safetensors"))
        for shard in shards[1:3]:
            shard.unlink()
        for look in (whole.check_weights, lambda: whole.model(TASK, ("a", "b"))):
            problem = refused(look)
            assert f"{folder} has no {shards[1].name} (2 of the files in " in problem.wrong
        index = folder / "model.safetensors.index.json"
        index.write_text("{")
        assert "index.json cannot be read" in refused(whole.check_weights).wrong
        index.unlink()
        problem = refused(whole.check_weights)
        assert problem.wrong == f"{folder} has no model.safetensors but {shards[0].name}"
        assert problem.allowed.endswith("or shards with model.safetensors.index.json")

    @pytest.mark.parametrize("sharded", [False, True])
    def test_weights_that_break_off(self, folder, sharded):
        if sharded:
            (folder / "model.safetensors").unlink()
            tiny_model().base_model.save_pretrained(folder, max_shard_size="20KB")
        last = sorted(folder.glob("*.safetensors"))[-1]
        last.write_bytes(last.read_bytes()[:-9])
        problem = refused(Checkpoint.find(str(folder)).check_weights)
        assert f"{folder}: damaged weights in {last.name} (" in problem.wrong

    def test_a_tokenizer_that_is_a_sentencepiece_file(self, tmp_path):
        tiny_model("deberta-v2").save_pretrained(tmp_path / "m")
        (tmp_path / "m" / "spm.model").write_bytes(b"pieces")
        problem = refused(lambda: Checkpoint.find(str(tmp_path / "m")).tokenizer(TASK))
        assert "has a tokenizer of SentencePiece" in problem.wrong
        assert "tokenizer.json, which save_pretrained" in problem.allowed


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


def test_settings_that_decide_no_answer(folder, tmp_path):
    plain, _ = Checkpoint.find(str(folder)).model(TASK, ("a", "b", "c"))
    changed(folder, output_attentions=True, output_hidden_states=True, return_dict=False)
    changed(folder, chunk_size_feed_forward=3)
    model, _ = Checkpoint.find(str(folder)).model(TASK, ("a", "b", "c"))
    ids = torch.arange(8)[None]
    assert torch.equal(model.base_model(ids)[0], plain.base_model(ids)[0])
    assert list(model.eval()(ids).keys()) == ["logits"]
    model.save_pretrained(tmp_path / "saved")


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


class TestConfiguration:
    """What contradicts itself is one line about `config.json`, whatever is read first."""

    def both(self, folder):
        """Return what is said where the tokenizer is opened, and where the model is."""
        checkpoint = Checkpoint.find(str(folder))
        actions = (
            lambda: checkpoint.tokenizer(TASK),
            lambda: checkpoint.model(TASK, ("a", "b", "c")),
        )
        one, other = (refused(action) for action in actions)
        assert one == other
        return one

    @pytest.mark.parametrize("names", [["neg", "pos"], {"a": "neg"}, "neg", {"-1": "neg"}])
    def test_class_names_without_numbers(self, folder, names):
        changed(folder, id2label=names)
        problem = self.both(folder)
        assert "id2label of config.json does not name classes by their numbers" in problem.wrong

    @pytest.mark.parametrize("names", [None, {"0": "neg", "2": "pos"}, {"1": 0, "0": 1}])
    def test_odd_class_names_that_can_be_read(self, folder, names):
        changed(folder, id2label=names, label2id=None)
        Checkpoint.find(str(folder)).tokenizer(TASK)
        _, has_head = Checkpoint.find(str(folder)).model(TASK, ("a", "b", "c"))
        assert not has_head

    @pytest.mark.parametrize("method", ["bitsandbytes", "gptq", None])
    def test_quantized_weights(self, folder, method):
        changed(folder, quantization_config={"quant_method": method, "bits": 8})
        problem = self.both(folder)
        assert "holds quantized weights" in problem.wrong
        assert f"({method})" in problem.wrong or method is None
        assert problem.allowed == "allowed: the checkpoint it was quantized from"

    @pytest.mark.parametrize("content", ["[]", "{", "", "3"])
    def test_what_is_no_table(self, folder, content):
        (folder / "config.json").write_text(content)
        assert "config.json cannot be read" in self.both(folder).wrong

    def test_a_value_of_another_type_says_which(self, folder):
        changed(folder, hidden_size="32")
        wrong = self.both(folder).wrong
        assert "'hidden_size'" in wrong
        assert "expected int" in wrong

    @pytest.mark.parametrize("change", [{"pad_token_id": 5000}, {"hidden_dropout_prob": 1.5}])
    def test_what_no_model_can_be_built_with(self, folder, change):
        changed(folder, **change)
        problem = refused(lambda: Checkpoint.find(str(folder)).model(TASK, ("a", "b", "c")))
        assert "cannot be read" in problem.wrong


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
@pytest.mark.parametrize("task", ["classification", "ner"])
def test_weights_that_are_not_finite(folder, value, task):
    key = "encoder.layer.1.output.dense.weight"
    weight = load_file(folder / "model.safetensors")[key]
    weight[3, 5] = value
    added(folder, {key: weight})
    names = ("O", "B-x", "I-x")
    problem = refused(lambda: Checkpoint.find(str(folder)).model(tasks.create(task), names))
    assert f"weights that are not finite (bert.{key})" in problem.wrong


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.json"])
def test_a_file_that_git_lfs_did_not_fetch(folder, name):
    pointer = "version https://git-lfs.github.com/spec/v1\noid sha256:4665e\nsize 440449768\n"
    (folder / "pytorch_model.bin").write_text(pointer)
    Checkpoint.find(str(folder))
    (folder / name).write_text(pointer)
    problem = refused(lambda: Checkpoint.find(str(folder)))
    assert f"{name} is a pointer of Git LFS" in problem.wrong
    assert "git lfs pull" in problem.allowed


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
