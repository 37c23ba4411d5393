"""`validate` reads what a study names, as a run would; texts that are cut are always told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pareto_prune.core.errors import StudyFileError
from pareto_prune.core.progress import Silent
from pareto_prune.inputs import data
from pareto_prune.running.dry_run import estimate
from pareto_prune.running.study_file import read_study
from pareto_prune.running.study_inputs import check_inputs
from pareto_prune.trials.bench import prepare
from tests.small_study import make_study


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    return make_study(tmp_path, data={"path": str(tmp_path / "data.csv"), "max_length": 6})


class Heard(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def changed(study: Path, old: str, new: str) -> Any:
    text = study.read_text(encoding="utf-8")
    assert old in text
    study.write_text(text.replace(old, new), encoding="utf-8")
    return read_study(study)


def test_texts_that_are_cut_are_told_again_from_the_cache(study: Path, tmp_path: Path) -> None:
    config = read_study(study)
    said, *_ = check_inputs(config)
    assert said.endswith("of 240 texts fill data.max_length = 6 or were cut")
    for _ in range(2):
        heard = Heard()
        data.load(config, heard)
        assert said in heard.notes
    assert f"texts       {said}" in str(estimate(config, f"sqlite:///{tmp_path}/s.db", tmp_path))


def test_a_file_that_is_not_there_is_not_valid(study: Path) -> None:
    config = changed(study, "data.csv", "gone.csv")
    with pytest.raises(StudyFileError, match=r"data\.path: no such file or folder"):
        check_inputs(config)


@pytest.mark.parametrize(("folds", "examples"), [("", 192), ("[search]\nfolds = 5", 153)])
def test_too_few_examples_for_the_calibration_are_told_before_a_dense_model_is_trained(
    study: Path, tmp_path: Path, folds: str, examples: int
) -> None:
    changed(study, "[search]", folds or "[search]")
    config = changed(study, "\nsamples = 32", f"\nsamples = {examples + 1}")
    said = rf"calibration\.samples: {examples + 1} examples asked for.* has {examples}, allowed: 8"
    with pytest.raises(StudyFileError, match=said):
        check_inputs(config)
    with pytest.raises(StudyFileError, match=said):
        prepare(config, tmp_path / "out", Silent())
    assert not (tmp_path / "out").exists()
    check_inputs(changed(study, f"samples = {examples + 1}", f"samples = {examples}"))


def test_a_model_without_weights_is_not_valid(study: Path) -> None:
    (study.parent / "model" / "model.safetensors").unlink()
    with pytest.raises(StudyFileError, match=r"model\.path: .*model holds no weights"):
        check_inputs(read_study(study))


def test_a_column_that_is_not_there_is_not_valid(study: Path) -> None:
    (study.parent / "data.csv").write_text("review,label\n" + "good,1\nbad,0\n" * 20)
    with pytest.raises(StudyFileError, match=r"data\.text: no column 'text'.*there: review, label"):
        check_inputs(read_study(study))


def test_model_and_data_are_refused_at_once(study: Path) -> None:
    config = changed(study, "data.csv", "gone.csv")
    missing = config.model_copy(
        update={"model": config.model.model_copy(update={"path": "/no/such/model"})}
    )
    with pytest.raises(StudyFileError) as error:
        check_inputs(missing)
    assert [problem.where for problem in error.value.problems] == ["model.path", "data.path"]


def test_what_is_on_the_hub_is_not_looked_at(study: Path) -> None:
    config = read_study(study)
    hub = config.model_copy(
        update={"model": config.model.model_copy(update={"path": "bert-base-uncased"})}
    )
    assert check_inputs(hub) == ["not looked at, since it is on the hub: bert-base-uncased"]
