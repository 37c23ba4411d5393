from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from pareto_prune.core import cache
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import StudyFileError, UserError
from pareto_prune.core.progress import Silent
from pareto_prune.inputs.checkpoint import Checkpoint
from pareto_prune.inputs.examples import Split, TaskData
from pareto_prune.inputs.tasks import tasks
from pareto_prune.trials import dense, folders
from pareto_prune.trials.dense import chance, load_dense, make_dense
from pareto_prune.trials.evaluation import evaluate, logits_of
from tests.learnable import learnable
from tests.tasks.words import words_tokenizer
from tests.tiny import tiny_model

DATA = learnable()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def body(tmp_path):
    """A checkpoint without a head."""
    return saved(tiny_model().base_model, tmp_path / "body")


def saved(model, folder):
    model.save_pretrained(folder)
    words_tokenizer().save_pretrained(folder)
    return folder


def study(path, seed=0, **table):
    table = {"epochs": 4, "learning_rate": 3e-3, "batch": 16, **table}
    return StudyConfig(
        name="s", seed=seed, model={"path": str(path)}, data={"path": "unused"}, dense=table
    )


class Counting(Silent):
    def __init__(self):
        self.stages, self.steps, self.notes = [], 0, []

    def stage(self, name, total=None):
        self.stages.append((name, total))

    def advance(self, steps=1):
        self.steps += steps

    def note(self, text):
        self.notes.append(text)


def test_a_body_is_fine_tuned(body, tmp_path):
    progress = Counting()
    made = make_dense(study(body), DATA, tmp_path / "dense", progress)
    accuracy = evaluate(made.model, DATA.validation, tasks.create("classification"))
    assert made.fine_tuned
    assert accuracy.metrics["accuracy"] > 0.6 > chance(DATA, "accuracy")
    assert progress.stages == [("fine-tuning the dense model", 64)]
    assert progress.steps == 64
    assert tuple(made.model.config.id2label.values()) == DATA.label_names
    assert not made.model.training


def test_it_is_made_once(body, tmp_path, monkeypatch):
    folder = tmp_path / "dense"
    first = make_dense(study(body, epochs=1), DATA, folder)
    monkeypatch.setattr(dense, "finetune", None)  # would raise if it were called
    again = make_dense(study(body, epochs=1), DATA, folder)
    assert (again.digest, again.path, again.fine_tuned) == (first.digest, folder, True)
    assert (logits_of(again.model, DATA.test) == logits_of(first.model, DATA.test)).all()
    assert load_dense(study(body), folder).digest == first.digest


def test_the_same_study_makes_the_same_weights(body, tmp_path):
    torch.manual_seed(1)
    one = make_dense(study(body, epochs=1), DATA, tmp_path / "one")
    torch.manual_seed(2)
    two = make_dense(study(body, epochs=1), DATA, tmp_path / "two")
    other = make_dense(study(body, epochs=1, seed=1), DATA, tmp_path / "other")
    assert one.digest == two.digest != other.digest


@pytest.mark.slow
@pytest.mark.parametrize("what", ["weights", "record", "seed"])
def test_what_is_damaged_or_made_from_something_else_is_made_again(body, tmp_path, what):
    folder = tmp_path / "dense"
    config = study(body, epochs=1)
    first = make_dense(config, DATA, folder)
    if what == "weights":
        (folder / folders.WEIGHTS).write_bytes(b"\0" * 100)
    if what == "record":
        (folder / folders.RECORD).write_text("{")
    again = make_dense(study(body, epochs=1, seed=int(what == "seed")), DATA, folder)
    assert (again.digest == first.digest) == (what != "seed")
    assert folders.is_whole(folder)


def test_a_folder_that_must_stay_stays(body, tmp_path):
    folder = tmp_path / "dense"
    first = make_dense(study(body, epochs=1), DATA, folder)

    def must_not() -> None:
        raise KeyError

    with pytest.raises(KeyError):
        make_dense(study(body, epochs=1, seed=1), DATA, folder, check=must_not)
    assert load_dense(study(body), folder).digest == first.digest
    assert [path.name for path in tmp_path.glob("*dense*") if path.is_dir()] == ["dense"]


def test_who_is_told_whether_it_may_waits_for_nobody(body, tmp_path):
    """The lease of the one that holds the lock may be over, and itself stopped."""
    with cache.locked(tmp_path / "dense"):
        made = make_dense(study(body, epochs=1), DATA, tmp_path / "dense", check=lambda: None)
    assert made.fine_tuned


def test_one_that_another_has_made_meanwhile_stays(body, tmp_path, monkeypatch):
    config, folder, real, made = study(body, epochs=1), tmp_path / "dense", dense.finetune, []

    def overtaken(*arguments, **options):
        if not made:
            made.append(True)
            make_dense(config, DATA, folder, check=lambda: None)
            made.append(folder.stat().st_ino)
        return real(*arguments, **options)

    monkeypatch.setattr(dense, "finetune", overtaken)
    make_dense(config, DATA, folder)
    assert folder.stat().st_ino == made[1]


def test_nothing_half_done_is_left(body, tmp_path, monkeypatch):
    folder = tmp_path / "dense"

    def interrupted(*_args, **_kwargs):
        raise KeyboardInterrupt

    monkeypatch.setattr(dense, "finetune", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_dense(study(body), DATA, folder)
    assert not folder.exists()
    monkeypatch.undo()
    with pytest.raises(StudyFileError, match="holds no whole dense model"):
        load_dense(study(body), folder)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A checkpoint with a head that has learned the task, classes named as the data's."""
    from pareto_prune.trials.finetune import FinetuneSettings, finetune

    model = tiny_model()
    settings = FinetuneSettings(64, learning_rate=3e-3, distillation=0)
    task = tasks.create("classification")
    finetune(model, DATA.train, task, None, settings, 64, seed=0, frozen_embeddings=False)
    return saved(named(model, DATA.label_names), tmp_path_factory.mktemp("trained") / "model")


def named(model, names):
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: index for index, name in enumerate(names)}
    return model


def renamed(trained, folder, names):
    model, has_head = Checkpoint(str(trained)).model(tasks.create("classification"), names)
    assert has_head
    return saved(model, folder)


@pytest.mark.parametrize(
    ("names", "kept"),
    [
        (("a", "b", "c"), True),
        (("A", "B", "C"), True),
        (("LABEL_0", "LABEL_1", "LABEL_2"), True),
        (("b", "a", "c"), False),
        (("x", "y", "z"), False),
    ],
)
def test_a_head_with_the_same_labels_is_kept(trained, tmp_path, names, kept):
    path = renamed(trained, tmp_path / "renamed", names)
    progress = Counting()
    made = make_dense(study(path, epochs=1), DATA, tmp_path / "dense", progress)
    assert made.fine_tuned is not kept
    (note,) = progress.notes
    assert ("as it is" in note) is kept
    if not kept:
        assert f"has the classes {', '.join(names)}, the data a, b, c: it is fine-tuned" in note
    if kept:
        model, _ = Checkpoint(str(trained)).model(tasks.create("classification"), DATA.label_names)
        assert (logits_of(made.model, DATA.test) == logits_of(model, DATA.test)).all()


def test_numbered_classes_that_know_nothing_are_fine_tuned(tmp_path):
    path, progress = saved(tiny_model(), tmp_path / "numbered"), Counting()
    assert make_dense(study(path, epochs=1), DATA, tmp_path / "dense", progress).fine_tuned
    assert "does not tell these classes" in progress.notes[0]


@pytest.mark.parametrize(
    ("said", "knows"),
    [([0, 1, 2, 3], True), ([0, 1, 3, 2], False), ([0, 2, 3, 1], False), ([0, 1, 0, 3], True)],
)
def test_numbered_classes_must_stand_in_the_order_of_the_data(monkeypatch, said, knows):
    labels = np.repeat(np.arange(4), [200, 200, 50, 50])
    names = ("a", "b", "c", "d")
    train = Split(labels.astype(np.int32), np.arange(501), labels, names)
    data = TaskData.of("classification", train, train, train)
    one_hot = np.eye(4, dtype=np.float32)
    monkeypatch.setattr(dense, "logits_of", lambda _, split: one_hot[said][split.labels])
    known = tuple(f"LABEL_{index}" for index in range(4))
    assert dense.knows_task(tiny_model(labels=4), known, data) is knows


def test_a_body_has_no_head_to_speak_of(body, tmp_path):
    progress = Counting()
    make_dense(study(body, epochs=1), DATA, tmp_path / "dense", progress)
    assert progress.notes == []


def test_another_number_of_classes_is_fine_tuned(tmp_path):
    path = saved(tiny_model(labels=5), tmp_path / "five")
    made = make_dense(study(path, epochs=1), DATA, tmp_path / "dense")
    assert made.fine_tuned
    assert made.model.config.num_labels == 3


def test_gpt2_without_a_padding_token(tmp_path):
    model = tiny_model("gpt2").base_model
    model.config.pad_token_id = None
    model.config.eos_token_id = 1
    made = make_dense(study(saved(model, tmp_path / "gpt2")), DATA, tmp_path / "dense")
    assert made.model.config.pad_token_id == DATA.train.pad
    quality = evaluate(made.model, DATA.validation, tasks.create("classification"))
    assert quality.metrics["accuracy"] > chance(DATA, "accuracy")


def test_words_with_tags(tmp_path):
    data = learnable(by_token=True)
    path = saved(tiny_model().base_model, tmp_path / "body")
    config = study(path, epochs=2).model_copy(
        update={"data": study(path).data.model_copy(update={"task": "ner"})}
    )
    made = make_dense(config, data, tmp_path / "dense")
    quality = evaluate(made.model, data.validation, tasks.create("ner"))
    assert quality.metrics["accuracy"] >= chance(data, "accuracy")
    assert chance(data, "span_f1") == 0


class TestBadInput:
    def problem(self, path, tmp_path, **table):
        with pytest.raises(UserError) as error:
            make_dense(study(path, **table), DATA, tmp_path / "dense")
        assert not (tmp_path / "dense").exists()
        (problem,) = error.value.problems
        assert "\n" not in str(problem)
        return problem

    def test_a_folder_without_weights(self, body, tmp_path):
        (body / "model.safetensors").unlink()
        problem = self.problem(body, tmp_path)
        assert problem.where == "model.path"
        assert "holds no weights" in problem.wrong
        assert problem.allowed

    def test_pickled_weights_only(self, body, tmp_path):
        (body / "model.safetensors").rename(body / "pytorch_model.bin")
        assert "holds no weights" in self.problem(body, tmp_path).wrong

    def test_damaged_weights(self, body, tmp_path):
        (body / "model.safetensors").write_bytes(b"nothing of the kind")
        assert "damaged" in self.problem(body, tmp_path).wrong

    def test_weights_of_another_shape(self, body, tmp_path):
        config = json.loads((body / "config.json").read_text())
        (body / "config.json").write_text(json.dumps({**config, "intermediate_size": 128}))
        assert "no weights for" in self.problem(body, tmp_path).wrong

    def test_an_unsupported_family_is_refused_with_the_list(self, tmp_path):
        from transformers import T5Config

        T5Config(d_model=8, num_layers=1, vocab_size=30).save_pretrained(tmp_path / "t5")
        problem = self.problem(tmp_path / "t5", tmp_path)
        assert "'t5'" in problem.wrong
        assert "bert" in problem.allowed

    def test_a_missing_folder(self, tmp_path):
        assert "no such folder" in self.problem(tmp_path / "nothing", tmp_path).wrong

    def test_a_folder_without_a_tokenizer(self, tmp_path):
        tiny_model().save_pretrained(tmp_path / "bare")
        assert "tokenizer" in self.problem(tmp_path / "bare", tmp_path).wrong

    def test_a_learning_rate_that_is_too_high(self, body, tmp_path):
        problem = self.problem(body, tmp_path, learning_rate=1e30)
        assert problem.where == "dense.learning_rate"
        assert "too high" in problem.wrong

    def test_a_hub_out_of_reach(self, tmp_path, monkeypatch):
        monkeypatch.setenv("HF_HUB_OFFLINE", "1")
        problem = self.problem("nobody/nothing-here", tmp_path)
        assert "cannot be loaded from the hub" in problem.wrong


@pytest.mark.parametrize(
    ("name", "labels", "guess"),
    [
        ("regression", [[1.0], [3.0], [5.0]], [3.0]),
        ("multilabel", [[1, 0], [1, 0], [0, 0]], [np.log(2.5 / 1.5), np.log(0.5 / 3.5)]),
        ("classification", [0, 1, 1], None),
        ("ner", [0, 1, 1], None),
        ("embedding", [0, 0, 0], None),
    ],
)
def test_a_new_head_says_what_is_best_without_the_texts(name, labels, guess):
    found = tasks.create(name).first_guess(np.array(labels))
    assert found is None if guess is None else found == pytest.approx(guess)


@pytest.mark.parametrize("kind", ["bert", "roberta", "distilbert", "gpt2", "modernbert"])
def test_the_guess_is_the_bias_of_the_last_projection(kind):
    model = tiny_model(kind)
    final = dense.final_of(model, dense.family_of(model).paths.to_json())
    guess = np.arange(final.out_features) + 2.0
    before = None if final.bias is None else final.bias.detach().clone()
    dense._guess_first(model, None)
    assert before is None or torch.equal(final.bias, before)
    dense._guess_first(model, guess)
    assert before is None or final.bias.tolist() == guess.tolist()
