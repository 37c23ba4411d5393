"""Scorecards of exported folders."""

from __future__ import annotations

import csv
import io
import json
import shutil

import pytest
from rich.console import Console

from pareto_prune.core.errors import UserError
from pareto_prune.export.deployed import _measuring
from pareto_prune.export.deployed.scoring import FILE, score
from pareto_prune.export.deployed.views import scorecard_view
from pareto_prune.export.origin import Origin
from pareto_prune.measure import Measurer
from tests.small_study import ScriptedMeasurer

FORMATS = ("huggingface", "onnx")


def rows(path, texts):
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["text", "label"])
        writer.writerows(texts)
    return path


def printed(view):
    console = Console(width=160, file=io.StringIO())
    console.print(view)
    return console.file.getvalue()


class Scripted(ScriptedMeasurer):
    """Stands in for the measurer of a folder."""

    def __init__(self, table, dense, workload):
        super().__init__(dense)

    def profile(self):
        return {"threads": "1"}

    def measure_session(self, session, workload):
        assert workload.samples == 32
        assert session.logits(self.inputs()).shape == (1, 2)
        assert session.twin().running is not session.running
        return self._measurement(0.25)

    @staticmethod
    def inputs():
        import numpy as np

        ids = np.array([[2, 5, 3]])
        names = ("input_ids", "attention_mask", "token_type_ids")
        return {name: ids if name == "input_ids" else np.ones_like(ids) for name in names}


@pytest.fixture
def scripted(monkeypatch):
    monkeypatch.setattr(_measuring, "Measurer", Scripted)


@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize("format_", FORMATS)
def test_a_folder_is_scored_on_the_test_split_of_its_study(exported, format_):
    folder = getattr(exported, format_)
    card = score(folder)
    assert card.data.startswith("test split of ")
    assert card.model.examples == 24
    assert card.dense.metrics["accuracy"] > 0.9
    for metric, difference in card.differences.items():
        apart = card.model.metrics[metric] - card.dense.metrics[metric]
        assert difference.value == pytest.approx(apart)
    assert card.cut.examples == 24
    assert set(card.report["classes"]) == {"neg", "pos"}
    assert set(card.report["averages"]) == {"micro", "macro", "weighted"}
    assert sum(map(sum, card.report["confusion"])) == 24
    assert 0 < card.measurement.ratios["latency_ms"].value < 1
    assert card.untrained is not None
    assert card.earlier == 0
    assert json.loads((folder / FILE).read_text())[0]["data"] == card.data
    text = printed(scorecard_view(card))
    for said in ("macro average", "is \\ predicted", "cut, untrained", "0.25", "Measured on"):
        assert said in text or (said == "0.25" and format_ == "huggingface"), said


@pytest.mark.usefixtures("scripted")
def test_both_formats_of_a_trial_score_the_same(exported):
    one, two = (score(getattr(exported, name), measure=False) for name in FORMATS)
    assert one.model.metrics == two.model.metrics
    assert one.report == two.report
    assert one.measurement is None


def test_the_second_look_says_that_it_is_one(exported):
    score(exported.onnx, measure=False)
    card = score(exported.onnx, measure=False)
    assert card.earlier == 1
    assert "was scored on this data once before" in printed(scorecard_view(card))
    assert len(json.loads((exported.onnx / FILE).read_text())) == 2


@pytest.mark.parametrize("format_", FORMATS)
def test_a_file_of_ones_own(exported, tmp_path, format_):
    file = rows(tmp_path / "mine.csv", [("the film was good", "pos"), ("bad plot", "neg")] * 5)
    card = score(getattr(exported, format_), file, measure=False)
    assert (card.data, card.model.examples) == ("mine.csv", 10)
    assert card.earlier == 0


def test_texts_that_the_search_has_seen_are_counted(exported, tmp_path):
    texts = [("the film was good", "pos"), ("the film was bad", "neg"), ("acme was good", "pos")]
    card = score(exported.onnx, rows(tmp_path / "mine.csv", texts), measure=False)
    trained, picked = card.notes
    assert trained.startswith("2 of 3 texts of mine.csv are texts that it was trained on")
    assert picked.startswith("1 of 3 texts of mine.csv are in the study's validation split")
    assert trained in printed(scorecard_view(card)).replace("\n", " ")
    assert score(exported.onnx, rows(tmp_path / "new.csv", texts[2:]), measure=False).notes == ()


def test_where_the_study_s_texts_are_gone_that_is_said(exported, tmp_path):
    content = json.loads((exported.onnx / "origin.json").read_text())
    content["study"]["data"]["path"] = str(tmp_path / "gone.csv")
    (exported.onnx / "origin.json").write_text(json.dumps(content))
    card = score(exported.onnx, rows(tmp_path / "m.csv", [("bad", "neg")]), measure=False)
    assert card.notes[-1].startswith(
        "not compared with the texts that it was trained on: data.path"
    )


@pytest.fixture
def checkpoint(exported):
    """The folder of the study's checkpoint, put right afterwards."""
    folder, aside = exported.root / "model", exported.root / "aside"
    shutil.copytree(folder, aside)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)
    aside.rename(folder)


@pytest.mark.parametrize("change", ["other words", "gone"])
@pytest.mark.parametrize("format_", FORMATS)
def test_texts_are_read_as_the_study_read_them(exported, checkpoint, format_, change):
    """Whatever became of the checkpoint's tokenizer since."""
    before = score(getattr(exported, format_), measure=False)
    if change == "gone":
        shutil.rmtree(checkpoint)
    else:
        file = checkpoint / "tokenizer.json"
        content = json.loads(file.read_text())
        words = content["model"]["vocab"]
        words["good"], words["bad"] = words["bad"], words["good"]
        file.write_text(json.dumps(content))
    after = score(getattr(exported, format_), measure=False)
    assert after.model == before.model
    assert after.dense == before.dense


@pytest.fixture
def texts(exported):
    """The file of the study's texts, put right afterwards."""
    file = exported.root / "data.csv"
    content = file.read_text()
    yield file
    file.write_text(content)


@pytest.mark.parametrize("length", [16, 8])
def test_a_data_file_that_changed_since_is_no_test_split(exported, texts, tmp_path, length):
    """Its test rows would be others, some of them trained on."""
    plan = json.loads((exported.onnx / "plan.json").read_text())
    plan["card"]["settings"]["max_length"], plan["answers"] = length, None
    (exported.onnx / "plan.json").write_text(json.dumps(plan))
    score(exported.onnx, measure=False)
    texts.write_text(texts.read_text() + "the plot was good,pos\n")
    with pytest.raises(UserError, match="the data is not what the study was started with"):
        score(exported.onnx, measure=False)
    mine = rows(tmp_path / "m.csv", [("good", "pos"), ("bad", "neg")])
    card = score(exported.onnx, mine, measure=False)
    assert "the data is not what the study was started with" in card.notes[-1]


def test_an_export_that_noted_no_data_is_tested_as_before(exported, texts):
    origin = json.loads((exported.onnx / "origin.json").read_text())
    assert origin.pop("data")
    (exported.onnx / "origin.json").write_text(json.dumps(origin))
    texts.write_text(texts.read_text() + "the plot was good,pos\n" * 10)
    assert score(exported.onnx, measure=False).model.examples == 25


def test_a_new_class_is_named(exported, tmp_path):
    file = rows(tmp_path / "mine.csv", [("the film", "so-so"), ("bad", "neg")])
    with pytest.raises(UserError, match=r"--data .*mine\.csv: label 'so-so' .*allowed: neg, pos"):
        score(exported.huggingface, file)
    assert not (exported.huggingface / FILE).exists()


def test_without_the_dense_model_the_score_stands_alone(exported):
    origin = Origin.read(exported.onnx)
    origin.model_copy(update={"dense": str(exported.root / "gone")}).write(exported.onnx)
    card = score(exported.onnx)
    assert card.dense is None
    assert card.measurement is None
    assert "not compared with the dense model: " in card.notes[0]
    assert card.model.metrics["accuracy"] > 0
    origin.model_copy(update={"dense_digest": "0" * 64}).write(exported.onnx)
    assert "another dense model" in score(exported.onnx).notes[0]


def test_what_cannot_be_measured_says_why(exported, monkeypatch):
    def refuse(*_):
        raise UserError("measure.device: no such device")

    monkeypatch.setattr(_measuring, "Measurer", refuse)
    card = score(exported.onnx)
    assert card.notes == ("not measured: measure.device: no such device",)
    assert card.dense is not None


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda folder: (folder / "origin.json").unlink(), r"origin\.json: is missing"),
        (lambda folder: (folder / "origin.json").write_text("{}"), r"origin\.json: is damaged"),
        (lambda folder: (folder / "plan.json").unlink(), r"has no plan\.json"),
        (lambda folder: (folder / "model.onnx").write_bytes(b""), r"is not the file that was"),
    ],
)
def test_a_folder_that_does_not_serve(exported, damage, said):
    damage(exported.onnx)
    with pytest.raises(UserError, match=said):
        score(exported.onnx, measure=False)


@pytest.mark.slow
def test_a_graph_is_measured_as_it_stands(exported, monkeypatch):
    """The real measurer, on a graph that is the dense model's: it costs what that costs."""
    from pareto_prune.measure.protocol import Protocol

    def quick(*arguments):
        return Measurer(*arguments, plan=Protocol(limit=1.0))

    monkeypatch.setattr(_measuring, "Measurer", quick)
    card = score(exported.onnx)
    assert card.measurement.readings["latency_ms"].value > 0
    assert card.measurement.ratios["latency_ms"].value > 0
