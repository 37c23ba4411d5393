"""A study file for a model and data alone: what is guessed, what is said of it, what is refused."""

from __future__ import annotations

import csv
import sys
import tomllib

import pytest

from pareto_prune import api, cli
from pareto_prune.core.errors import MismatchError, StudyFileError, UserError
from pareto_prune.inputs import guessing
from pareto_prune.inputs.sources import file_source
from pareto_prune.inputs.table import Table
from pareto_prune.inputs.tasks import tasks
from pareto_prune.running.draft import draft, keep
from pareto_prune.running.smoke import shortened
from pareto_prune.running.study_file import read_study
from tests.small_study import make_study


def table_of(folder, columns, rows):
    path = folder / "table.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return file_source(path).table()


KINDS = [("a short note", f"k{i % 3}", i, "a much longer remark of many words") for i in range(30)]


@pytest.mark.parametrize(
    ("columns", "text", "label"),
    [
        (("text", "label", "id", "more"), ("text",), "label"),
        (("more", "Sentiment", "id", "Review"), ("Review",), "Sentiment"),
        (("premise", "label", "id", "hypothesis"), ("premise", "hypothesis"), "label"),
        (("note", "kind", "id", "remark"), ("remark",), "kind"),
    ],
)
def test_columns_are_found_by_name_then_by_value(tmp_path, columns, text, label):
    rows = [(f"note {i}", kind, number, more) for i, (_, kind, number, more) in enumerate(KINDS)]
    found = guessing.find_columns(table_of(tmp_path, columns, rows))
    assert (found.text, found.label) == (text, label)


def test_what_is_given_is_not_guessed(tmp_path):
    found = guessing.find_columns(table_of(tmp_path, "abcd", KINDS), ["a"], "c")
    assert found == guessing.Columns(("a",), "c")


@pytest.mark.parametrize(
    ("given", "where"), [({"text": ["x"]}, "data.text"), ({"label": "x"}, "data.label")]
)
def test_a_column_that_is_not_there_is_refused(tmp_path, given, where):
    with pytest.raises(StudyFileError) as raised:
        guessing.find_columns(table_of(tmp_path, "abcd", KINDS), **given)
    assert str(raised.value) == f"{where}: no 'x', allowed: a column of table.csv: a, b, c, d"


@pytest.mark.parametrize(
    ("rows", "where"),
    [
        ([(1, 2)] * 9, "data.text"),
        ([(f"text {i}", i) for i in range(9)], "data.label"),
        ([(f"text {i}", "one") for i in range(9)], "data.label"),
    ],
)
def test_a_table_without_texts_or_labels_is_refused(tmp_path, rows, where):
    with pytest.raises(StudyFileError) as raised:
        guessing.find_columns(table_of(tmp_path, ("x", "y"), rows))
    [problem] = raised.value.problems
    assert problem.where == where
    assert "(x, y)" in problem.wrong


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (("train.csv", "dev.csv", "test.csv"), ("train.csv", "dev.csv", "test.csv")),
        (
            ("my-train.csv", "my-val.csv", "my-test.csv"),
            ("my-train.csv", "my-val.csv", "my-test.csv"),
        ),
        (
            ("train.csv", "train-small.csv", "valid.csv", "test.csv"),
            ("train.csv", "valid.csv", "test.csv"),
        ),
        (("all.csv",), ()),
    ],
)
def test_splits_are_found_by_name(tmp_path, names, found):
    for name in names:
        (tmp_path / name).write_text("text,label\na,b\n")
    data = guessing.find_data(str(tmp_path))
    assert tuple(data.splits.values()) == found
    assert data.path == (str(tmp_path) if found else str(tmp_path / "all.csv"))


def test_a_folder_without_one_of_them_is_refused(tmp_path):
    for name in ("train.csv", "test.csv"):
        (tmp_path / name).write_text("text,label\na,b\n")
    with pytest.raises(StudyFileError, match=r"holds test\.csv, train\.csv"):
        guessing.find_data(str(tmp_path))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("demo:imdb", "imdb"),
        ("data/reviews.csv", "reviews"),
        ("data/stsb/train.csv", "stsb"),
        ("owner/emotions", "emotions"),
    ],
)
def test_a_study_is_named_after_its_data(path, name):
    assert guessing.name_of(path) == name


@pytest.mark.parametrize(
    ("texts", "labels", "task"),
    [
        (["a text"] * 8, ["no", "yes"] * 4, "classification"),
        (["a text"] * 8, ["1.0", "2.0"] * 4, "classification"),
        (["a text"] * 8, ["1.5", "2.0"] * 4, "regression"),
        ([["a", "word"]] * 8, [["O", "B-LOC"]] * 8, "ner"),
    ],
)
def test_the_task_follows_from_texts_and_labels(texts, labels, task):
    table = Table("made up", ("text", "label"), {"text": texts, "label": labels}.__getitem__)
    assert guessing.find_task(table, guessing.Columns(("text",), "label")) == task


def test_labels_of_no_task_are_refused():
    values = {"text": ["a text"] * 8, "label": [str(i) for i in range(8)]}
    table = Table("made up", tuple(values), values.__getitem__)
    with pytest.raises(StudyFileError, match=r"the labels of no task, allowed: --task with one of"):
        guessing.find_task(table, guessing.Columns(("text",), "label"))


@pytest.fixture
def model(tmp_path):
    make_study(tmp_path)
    return str(tmp_path / "model")


def test_a_draft_is_a_valid_study_and_says_its_guesses(tmp_path, model):
    made = draft(model, str(tmp_path / "data.csv"))
    config = keep(made, tmp_path / "made.toml")
    assert config == read_study(tmp_path / "made.toml")
    assert (config.name, config.data.text, config.data.label) == ("data", ("text",), "label")
    assert config.data.task == "classification"
    assert config.data.max_length == 16
    said = "\n".join(made.guesses())
    assert "data.task" in said
    assert "model.path" not in said


@pytest.mark.parametrize("name", tasks.names())
def test_every_task_can_be_asked_for(tmp_path, model, name):
    made = draft(model, str(tmp_path / "data.csv"), task=name, text=["text"], label="label")
    assert tomllib.loads(made.text())["objectives"][0] == tasks.create(name).metrics[0].name


def test_a_file_that_is_there_is_kept_if_it_is_of_the_same_study(tmp_path, model):
    made, place = draft(model, str(tmp_path / "data.csv")), tmp_path / "made.toml"
    keep(made, place)
    by_hand = place.read_text().replace("15min", "3min")
    place.write_text(by_hand)
    assert keep(made, place).limits.time == "3min"
    with pytest.raises(MismatchError, match="is there already"):
        keep(made, place, anew=True)
    place.write_text(by_hand.replace("data.csv", "other.csv"))
    with pytest.raises(MismatchError, match=r"other\.csv"):
        keep(made, place)
    assert "other.csv" in place.read_text()


def test_where_nothing_can_be_written_that_is_said(tmp_path, model):
    made = draft(model, str(tmp_path / "data.csv"))
    with pytest.raises(UserError, match="cannot be written: "):
        keep(made, tmp_path / "data.csv" / "made.toml")


def test_init_writes_and_prints_the_same(tmp_path, model, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["pareto-prune", "init", model, "data.csv", "--budget", "2h"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert not ended.value.code
    out, err = capsys.readouterr()
    assert out == (tmp_path / "data.toml").read_text()
    assert 'time = "2h"' in out
    assert "data.toml" in err


def test_a_smoke_run_is_short_and_has_a_name_of_its_own(tmp_path):
    config = read_study(make_study(tmp_path, constraints={"accuracy": ">= 0.99"}))
    short = shortened(config)
    assert short.name == "small-smoke"
    assert (short.limits.trials, short.finetune.steps, short.data.limit) == (3, 5, 200)
    assert not short.constraints
    assert short.model == config.model


def test_texts_alone_are_enough_where_no_labels_are_read(tmp_path):
    make_study(tmp_path)
    lines = tmp_path / "lines.txt"
    lines.write_text("the film was good\nnot a plot\n" * 20)
    made = tomllib.loads(draft(str(tmp_path / "model"), str(lines), task="embedding").text())
    assert made["data"]["path"] == str(lines)
    assert "label" not in made["data"]
    assert made["objectives"][0] == "agreement"


def test_a_smoke_run_that_was_interrupted_says_so(tmp_path, monkeypatch, capsys):
    file, ended = make_study(tmp_path), api.Outcome(None, None, api.INTERRUPTED)
    monkeypatch.setattr(api, "run", lambda *_, **__: ended)
    monkeypatch.setattr(sys, "argv", ["pareto-prune", "run", str(file), "--smoke"])
    with pytest.raises(SystemExit) as raised:
        cli.main()
    assert raised.value.code == 130
    out, err = capsys.readouterr()
    assert "works" not in out
    assert "Interrupted; nothing is kept." in err
