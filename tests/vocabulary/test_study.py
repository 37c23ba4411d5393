"""Candidates that give up words: from the study file to an exported folder that is used."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import pareto_prune
from pareto_prune import api
from pareto_prune.core.errors import StudyFileError
from pareto_prune.core.records import SEEN
from pareto_prune.export.deployed import _measuring
from pareto_prune.export.deployed.predict import predict
from pareto_prune.export.deployed.refreshing import refresh
from pareto_prune.export.deployed.scoring import score
from pareto_prune.export.loading import load_tokenizer
from pareto_prune.export.manifest import Manifest
from pareto_prune.inputs import data as data_sets
from pareto_prune.results.front import front_of
from pareto_prune.results.report import view_of
from pareto_prune.storage import open_storage
from pareto_prune.trials import bench
from pareto_prune.trials.evaluation import logits_of
from tests.small_study import ScriptedMeasurer, make_study, model_of
from tests.tasks.words import SPECIAL
from tests.tiny import HIDDEN, VOCABULARY

USED = {*SPECIAL, "the", "film", "was", "good", "bad", "a"}
LETTERS = {"##s"}


class Watched(ScriptedMeasurer):
    """Notes the highest token of the inputs that a model was measured on."""

    highest: int = -1

    def measure(self, model: Any, cache_key: Any = None, **knobs: Any) -> Any:
        workload = knobs["workload"]
        if workload is not None:
            table = model.get_input_embeddings().num_embeddings
            assert workload.throughput()["input_ids"].max() < table
            Watched.highest = int(workload.latency()["input_ids"].max())
        return super().measure(model, cache_key, **knobs)


@dataclass(frozen=True)
class Ran:
    """One study that was run."""

    root: Path
    url: str

    @property
    def study(self) -> Any:
        return open_storage(self.url).open_study("small").read()

    @property
    def results(self) -> dict[int, Any]:
        return {trial.number: trial.result for trial in self.study.trials}

    def model(self, number: int) -> Path:
        return model_of(self.root / "out" / "small" / "trials", number)

    @property
    def best(self) -> int:
        """The pruned point of the front with the best metric."""
        members = [point for point in front_of(self.study).members if point.starter is None]
        return max(members, key=lambda point: point.values["accuracy"]).number

    def export(self, to: Path, format_: str) -> tuple[Path, int]:
        """Export the best point."""
        best = self.best
        return api.export("small", best, to, format_, self.url), best


def ran(
    folder: Path,
    vocabulary: Any = None,
    corpus: tuple[str, ...] = (),
    folds: int = 1,
    **tables: Any,
) -> Ran:
    folder.mkdir(exist_ok=True)
    url = f"sqlite:///{folder}/study.db"
    search = {"folds": folds} | ({} if vocabulary is None else {"vocabulary": vocabulary})
    path = make_study(folder, search=search, data={"corpus": list(corpus)}, **tables)
    api.run(path, url, output=folder / "out")
    return Ran(folder, url)


@pytest.fixture(scope="module", autouse=True)
def _scripted(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARETO_PRUNE_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(bench, "_measurer", lambda _c, dense, *_: Watched(dense.model))
        yield


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    return ran(tmp_path_factory.mktemp("plain") / "study")


@pytest.fixture(scope="module")
def seen(tmp_path_factory):
    folder = tmp_path_factory.mktemp("seen")
    (folder / "more.txt").write_text("\nanna was not good\n\n", encoding="utf-8")
    return ran(folder / "study", SEEN, (str(folder / "more.txt"),))


@pytest.fixture(scope="module")
def fewer(tmp_path_factory):
    return ran(tmp_path_factory.mktemp("fewer") / "study", {"low": 0.1, "high": 0.101})


@pytest.fixture(scope="module")
def folder(seen, tmp_path_factory):
    return seen.export(tmp_path_factory.mktemp("seen-model") / "model", "huggingface")[0]


def words(folder: Path) -> set[str]:
    return set(load_tokenizer(folder).get_vocab())


def test_it_keeps_what_the_corpus_uses(seen):
    kept = USED | LETTERS | {"anna", "not"}
    for number, result in seen.results.items():
        if number == 0:
            assert result.candidate.starter == "dense"
            assert (result.vocabulary, result.candidate.vocabulary) == (None, 1.0)
        else:
            assert (result.vocabulary.rows, result.vocabulary.dense) == (len(kept), VOCABULARY)
            assert result.vocabulary.test.tokens == result.vocabulary.test.unknown == 0
    assert words(seen.model(seen.best)) == kept
    assert Watched.highest >= 0


def test_nothing_else_changes(plain, seen):
    """Every trial ends in the same model, less rows; so do the logits of the training texts."""
    gone = (VOCABULARY - len(words(seen.model(seen.best)))) * HIDDEN
    config = api.configuration(plain.root / "small.toml")
    train = data_sets.load(config).train
    compared = 0
    for number in range(1, 4):
        before, after = plain.results[number], seen.results[number]
        assert before.quality == after.quality
        assert before.values["parameters"] - after.values["parameters"] == gone
        assert before.values["bytes"] - after.values["bytes"] == 4 * gone
        try:
            folders = plain.model(number), seen.model(number)
        except ValueError:
            continue
        tokenizer = load_tokenizer(folders[1])
        read = data_sets.load(config, tokenizer=tokenizer).train
        assert not np.array_equal(read.ids, train.ids)
        models = [pareto_prune.load(each) for each in folders]
        assert np.array_equal(logits_of(models[0], train), logits_of(models[1], read))
        compared += 1
    assert compared > 0


def test_a_share_gives_up_words_and_says_what_that_does(fewer):
    kept = {*SPECIAL, *LETTERS, "a", "the", "film", "was"}
    result = fewer.results[3]
    assert result.vocabulary.rows == len(kept)
    for changed in (result.vocabulary.validation, result.vocabulary.test):
        assert changed.texts == 1.0
        assert 0 < changed.tokens == pytest.approx(changed.unknown, abs=0.01)
        assert changed.unknown_before == 0
    assert result.values["accuracy"] < fewer.results[0].values["accuracy"]


def test_the_page_and_the_card_say_it(seen, folder):
    study = seen.study
    said = seen.results[3].vocabulary.sentence()
    points = {point["number"]: point for point in view_of(front_of(study), study)["points"]}
    assert points[3]["vocabulary"] == said
    assert "vocabulary" not in points[0]
    assert said in (folder / "README.md").read_text(encoding="utf-8")
    assert said.startswith("Keeps 14 of 100 tokens of the vocabulary: on the validation split 0.0")
    page = seen.root / "page.html"
    api.report("small", page, seen.url)
    assert said in page.read_text(encoding="utf-8")


def test_both_formats_say_the_same(seen, folder, tmp_path):
    onnx, number = seen.export(tmp_path / "onnx", "onnx")
    check = Manifest.read(onnx).check
    assert check.examples == 24
    assert check.logits < 1e-4
    texts = ["the film was good", "anna 😀", "films"]
    for one, two in zip(predict(folder, texts), predict(onnx, texts), strict=True):
        assert one["scores"] == pytest.approx(two["scores"], abs=1e-5)
    expected = seen.results[number].quality.metrics["accuracy"]
    assert expected == front_of(seen.study).point(number).values["accuracy"]


def labelled(path: Path, count: int) -> Path:
    """Write texts with a word that the smaller vocabulary lacks."""
    with path.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["text", "label"])
        texts = (f"the plot was {('good', 'bad')[i % 2]}" + " not" * (i % 3) for i in range(count))
        rows.writerows((text, ("pos", "neg")[i % 2]) for i, text in enumerate(texts))
    return path


def test_the_dense_model_is_scored_on_its_own_tokens(fewer, tmp_path):
    api.confirm("small", [3], fewer.url)
    folder = api.export("small", 3, tmp_path / "model", "huggingface", fewer.url)
    for data in (None, labelled(tmp_path / "new.csv", 60)):
        card = score(folder, data, measure=False)
        assert card.dense.metrics["accuracy"] == 1.0
        assert card.model.metrics["accuracy"] < 0.9
        assert card.differences["accuracy"].value < -0.1
        assert card.cut.examples == card.model.examples


def test_it_is_measured_by_its_own_tokens(folder, monkeypatch):
    monkeypatch.setattr(_measuring, "Measurer", lambda _t, dense, _w: Watched(dense))
    Watched.highest = -1
    card = score(folder)
    assert card.measurement is not None
    assert 0 <= Watched.highest < len(words(folder))


def test_it_is_refreshed(folder, tmp_path):
    found = refresh(folder, labelled(tmp_path / "new.csv", 80), tmp_path / "newer")
    assert words(tmp_path / "newer") == words(folder)
    assert Manifest.read(tmp_path / "newer").card.vocabulary is not None
    assert found.compared[1].dense.metrics["accuracy"] == 1.0
    card = score(tmp_path / "newer", measure=False)
    assert card.model.metrics == found.compared[0].after.metrics


def test_it_is_confirmed(seen):
    (number,) = [p.number for p in front_of(seen.study).members if p.starter is None][:1]
    (found,) = api.confirm("small", [number], seen.url)
    assert words(Path(found.artifact)) == words(seen.model(number))
    assert found.values["parameters"] == seen.results[number].values["parameters"]


def test_folds_have_the_vocabulary_of_all(tmp_path):
    found = ran(tmp_path / "study", SEEN, limits={"trials": 2}, folds=2)
    assert found.results[1].failure is None
    assert found.results[1].vocabulary.rows == len(USED | LETTERS)


def test_what_is_wrong_is_said_before_anything_is_trained(tmp_path):
    for corpus, wrong in (("no.txt", "no such file"), ("empty.txt", "holds no text")):
        (tmp_path / "empty.txt").write_text("\n \n")
        with pytest.raises(StudyFileError, match=f"data.corpus: .*{wrong}"):
            ran(tmp_path / wrong.replace(" ", "-"), SEEN, (str(tmp_path / corpus),))
    assert not list(tmp_path.glob("*/out/**/dense.json"))
