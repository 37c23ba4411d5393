"""What says which tokens are used: training texts, and files of more texts, for every task."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pareto_prune.core.data_table import DataTable
from pareto_prune.core.errors import StudyFileError
from pareto_prune.core.records import SEEN
from pareto_prune.inputs import data as data_sets
from pareto_prune.inputs.corpus import corpus_files, corpus_of
from pareto_prune.inputs.examples import Rows
from pareto_prune.inputs.tasks import tasks
from pareto_prune.inputs.vocabularies import Vocabularies
from pareto_prune.running.study_file import read_study
from pareto_prune.running.study_inputs import check_inputs
from tests.small_study import make_study
from tests.tasks.words import SPECIAL, entities, words_tokenizer
from tests.tiny import tiny_model


def table(*corpus: Path, **keys: Any) -> DataTable:
    return DataTable(path="d", corpus=tuple(map(str, corpus)), **keys)


def kept(task: str, *rows: Rows) -> Any:
    return Vocabularies(words_tokenizer(), tiny_model().config, tasks.create(task), rows).of(SEEN)


def test_the_training_texts_are_those_of_the_training_split(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    for splits in ({"train": 0.5, "validation": 0.3, "test": 0.2}, None):
        names = {"train": "one.csv", "validation": "two.csv", "test": "two.csv"}
        path = make_study(tmp_path, data={"splits": splits or names})
        if splits is None:
            folder = tmp_path / "files"
            folder.mkdir()
            for name in ("one.csv", "two.csv"):
                (folder / name).write_text((tmp_path / "data.csv").read_text())
            text = path.read_text().replace(str(tmp_path / "data.csv"), str(folder))
            path.write_text(text)
        config = read_study(path)
        (rows,) = corpus_of(config)
        train, task = data_sets.load(config).train, tasks.create("classification")
        again = task.encode(rows, words_tokenizer(), train.label_names, 16)
        assert again.digest == train.digest


def test_files_are_lines_or_tables(tmp_path):
    (tmp_path / "a.txt").write_text("\ufeffanna was\n\n  \nnot\n", encoding="utf-8")
    (tmp_path / "b.csv").write_text("id,text\n1,paris\n2,acme\n", encoding="utf-8")
    plain, rows = corpus_files(table(tmp_path / "a.txt", tmp_path / "b.csv"))
    assert plain.texts == (["anna was", "not"],)
    assert (rows.texts, rows.labels) == ((["paris", "acme"],), None)
    (words,) = corpus_files(table(tmp_path / "a.txt", task="ner"))
    assert words.texts == ([["anna", "was"], ["not"]],)


def test_all_that_is_wrong_with_files_is_said_at_once(tmp_path):
    (tmp_path / "b.csv").write_text("id,review\n1,paris\n", encoding="utf-8")
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe\xfa")
    (tmp_path / "d.xls").write_bytes(b"")
    names = (tmp_path / name for name in ("a.txt", "b.csv", "c.txt", "d.xls"))
    with pytest.raises(StudyFileError) as caught:
        corpus_files(table(*names))
    said = [str(problem) for problem in caught.value.problems]
    wrong = ("no such file", "no column 'text'", "cannot be read", "cannot read .xls")
    assert len(said) == len(wrong)
    assert all(part in line for part, line in zip(wrong, said, strict=True))


def test_validate_looks_at_them(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    gone = {"corpus": [str(tmp_path / "gone.txt")]}
    path = make_study(tmp_path, data=gone, search={"vocabulary": "seen"})
    with pytest.raises(StudyFileError, match=r"data\.corpus: no such file"):
        check_inputs(read_study(path))


def test_tags_stay_with_their_words():
    task, rows = tasks.create("ner"), entities()
    found = kept("ner", rows)
    assert set(found.tokenizer.get_vocab()) == {
        *SPECIAL, "anna", "was", "not", "paris", "acme", "film", "##s", "the", "plot", "a",
    }  # fmt: skip
    names = task.label_names({"train": rows})
    before, after = (
        task.encode(rows, tokenizer, names, 16)
        for tokenizer in (words_tokenizer(), found.tokenizer)
    )
    assert np.array_equal(before.labels, after.labels)
    assert np.array_equal(np.array(found.rows)[after.ids], before.ids)


def test_both_texts_of_a_pair_count():
    pairs = Rows("pairs", (["anna", "not"], ["paris", "bad films"]), ["x", "y"])
    more = Rows("more.txt", (["acme"],))
    found = kept("classification", pairs, more)
    words = set(found.tokenizer.get_vocab()) - {*SPECIAL, "a", "##s"}
    assert words == {"anna", "not", "paris", "bad", "film", "acme"}
