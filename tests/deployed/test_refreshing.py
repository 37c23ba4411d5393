"""New labelled data comes in: a new version, or a refusal that leaves nothing."""

from __future__ import annotations

import json

import numpy as np
import pytest

from pareto_prune.core.errors import UserError
from pareto_prune.export.deployed import refreshing
from pareto_prune.export.deployed.predict import predict
from pareto_prune.export.deployed.refreshing import WorseModelError, refresh
from pareto_prune.export.deployed.views import refresh_view
from pareto_prune.export.loading import load
from pareto_prune.export.manifest import Manifest
from pareto_prune.inputs.examples import joined
from tests.deployed.test_scoring import printed, rows
from tests.learnable import learnable_split
from tests.tasks.words import sentiment

pytestmark = pytest.mark.slow


@pytest.fixture
def new_data(tmp_path):
    given = sentiment(60)
    return rows(tmp_path / "new.csv", zip(given.texts[0], given.labels, strict=True))


def test_a_new_version_stands_beside_the_old_one(exported, new_data, tmp_path):
    before = (exported.huggingface / "model.safetensors").read_bytes()
    found = refresh(exported.huggingface, new_data, tmp_path / "next", tolerance=1)
    assert [each.data for each in found.compared] == [
        "the study's test split",
        "held-out texts of new.csv",
    ]
    assert [each.after.examples for each in found.compared] == [24, 15]
    assert (found.new, found.trained_on) == (45, 45 + 192)
    assert found.steps == -(-3 * found.trained_on // 8)
    assert (exported.huggingface / "model.safetensors").read_bytes() == before
    old, new = Manifest.read(exported.huggingface), Manifest.read(tmp_path / "next")
    assert new.plan == old.plan
    assert new.weights != old.weights
    assert new.card.settings["refreshed"]["new"] == 45
    assert load(tmp_path / "next").config.id2label == {0: "neg", 1: "pos"}
    text = printed(refresh_view(found))
    assert "45 of them new" in text
    # all of these stand in the study's data, too
    tested, held = found.notes
    assert tested.startswith("45 of 45 new training texts are in the study's test split")
    assert held.startswith("15 of 15 held-out texts of new.csv were trained on")
    assert "45 of 45 new training texts" in text
    refresh(tmp_path / "next", new_data, tmp_path / "third", tolerance=1)


def test_the_new_version_may_be_for_onnx(exported, new_data, tmp_path):
    refresh(
        exported.huggingface,
        new_data,
        tmp_path / "next",
        tolerance=1,
        exporter="onnx",
        dtype="int8",
    )
    assert Manifest.read(tmp_path / "next").dtype == "int8"
    assert next(predict(tmp_path / "next", ["good film"]))["label"] in ("neg", "pos")
    with pytest.raises(UserError, match="format onnx, which cannot be trained"):
        refresh(tmp_path / "next", new_data, tmp_path / "third")


def test_what_got_worse_is_refused(exported, new_data, tmp_path, monkeypatch):
    def ruin(model, *_, **__):
        import torch

        with torch.no_grad():
            model.classifier.weight.zero_()
            model.classifier.bias.copy_(torch.tensor([9.0, 0.0]))

    monkeypatch.setattr(refreshing, "finetune", ruin)
    with pytest.raises(WorseModelError) as error:
        refresh(exported.huggingface, new_data, tmp_path / "next")
    assert "worse on the study's test split" in str(error.value)
    assert str(error.value).endswith("1.0 point would be allowed")
    assert error.value.exit_code == 1
    assert not (tmp_path / "next").exists()


def test_bad_input_is_named_before_anything_is_trained(exported, new_data, tmp_path, monkeypatch):
    def never(*_, **__):
        raise AssertionError("trained")

    monkeypatch.setattr(refreshing, "finetune", never)
    few = rows(tmp_path / "few.csv", [("good", "pos"), ("bad", "neg")])
    strange = rows(tmp_path / "strange.csv", [("good", "pos"), ("bad", "meh")] * 20)
    to = tmp_path / "next"
    for data, said in (
        (few, "has 2 labelled texts, allowed: 32 or more"),
        (strange, "label 'meh'"),
        (tmp_path / "none.csv", "no such file"),
    ):
        with pytest.raises(UserError, match=said):
            refresh(exported.huggingface, data, to)
    with pytest.raises(UserError, match="is there and not empty"):
        refresh(exported.huggingface, new_data, exported.onnx)
    with pytest.raises(UserError, match="dtype"):
        refresh(exported.huggingface, new_data, to, dtype="int8")
    content = json.loads((exported.huggingface / "origin.json").read_text())
    content["dense"] = str(tmp_path / "gone")
    (exported.huggingface / "origin.json").write_text(json.dumps(content))
    with pytest.raises(UserError, match="gone: is not there"):
        refresh(exported.huggingface, new_data, to)
    assert not to.exists()


@pytest.mark.parametrize("by_token", [False, True])
def test_joined_splits_hold_both(by_token):
    one, two = learnable_split(5, 0, by_token), learnable_split(3, 1, by_token)
    both = joined(one, two)
    assert len(both) == 8
    again = both.take(np.arange(5, 8))
    assert again.digest == two.digest
    assert both.take(np.arange(5)).digest == one.digest
