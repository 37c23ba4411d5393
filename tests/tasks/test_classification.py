from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.core.errors import StudyFileError
from pareto_prune.inputs.examples import IGNORED, Rows
from pareto_prune.inputs.tasks import tasks
from tests.tasks.words import sentiment, words_tokenizer

TASK = tasks.create("classification")


def names(rows, order=None):
    return TASK.label_names({"train": rows}, order)


def rows_with(labels, names=None):
    return Rows("some.csv", (["good"] * len(labels),), labels, names)


@pytest.mark.parametrize(
    ("labels", "expected"),
    [
        (["b", "a"] * 2, ("a", "b")),
        ([10, 9, 2] * 2, ("2", "9", "10")),
        (["10", "9"] * 2, ("9", "10")),
        ([True, False] * 2, ("False", "True")),
        ([1.0, 0.0] * 2, ("0", "1")),
        ([0, 1, -1] * 2, ("-1", "0", "1")),
        (["0", "1", "-1"] * 2, ("-1", "0", "1")),
        ([1.0, -1.0] * 2, ("-1", "1")),
        (["1.0", "-0.0", " 1 ", "-2.00"] * 2, ("-2", "0", "1")),
        (["v1.0", "1.5", "01.0", "--1"] * 2, ("--1", "01.0", "1.5", "v1.0")),
    ],
)
def test_classes_are_sorted_numbers_as_numbers(labels, expected):
    assert names(rows_with(labels)) == expected


def test_names_of_the_data_keep_their_order():
    assert names(rows_with([0, 1, 0, 1], ("world", "arts"))) == ("world", "arts")


def test_a_head_with_the_same_names_gives_the_order():
    rows = rows_with(["neg", "pos"] * 3)
    assert names(rows, ("POS", "NEG")) == ("pos", "neg")
    assert names(rows, ("happy", "sad")) == ("neg", "pos")


def test_names_that_differ_in_case_are_classes_of_their_own():
    rows = rows_with(["Pos", "pos", "neg"] * 2)
    assert (
        names(rows, ("pos", "neg")) == names(rows, ("POS", "pos", "neg")) == ("Pos", "neg", "pos")
    )
    split = TASK.encode(rows, words_tokenizer(), names(rows), 8)
    assert split.labels.tolist() == [0, 2, 1] * 2


def test_a_table_without_rows_is_refused():
    with pytest.raises(StudyFileError, match="no rows in empty"):
        TASK.encode(Rows("empty", ([],), []), words_tokenizer(), ("a", "b"), 8)


@pytest.mark.parametrize(
    ("labels", "names_", "message"),
    [
        (["a"] * 4, None, "one class only (a) in some.csv"),
        (["a", None, "b", ""], None, "2 of 4 labels missing, row 2 first, in some.csv"),
        ([0, 1, -1, 1], ("x", "y"), "1 of 4 labels missing, row 3 first"),
        (["a", " ", "b", "\t"], None, "2 of 4 labels missing, row 2 first"),
        ([0.0, float("nan"), 1.0, 1.0], None, "1 of 4 labels missing, row 2 first"),
        ([0, 1, 2, 1], ("x", "y"), "2 in row 3 is the index of no class"),
        ([0, 1, -2, 1], ("x", "y"), "-2 in row 3 is the index of no class"),
        ([0, 1, "x", 1], ("x", "y"), "'x' in row 3 is the index of no class"),
        ([1.0, 0.5] * 2, None, "label 0.5 is not a class (row 2)"),
        (["a", "b", ["a"], "b"], None, "a label is a list (row 3)"),
        (["a", "b", "c", "d"], None, "4 different labels for 4 rows"),
    ],
)
def test_labels_that_do_not_serve(labels, names_, message):
    with pytest.raises(StudyFileError) as error:
        names(rows_with(labels, names_))
    (problem,) = error.value.problems
    assert problem.where == "data.label"
    assert message in problem.wrong
    assert problem.allowed


def test_encoding_gives_each_text_its_tokens_and_class():
    tokenizer = words_tokenizer()
    rows = sentiment(6)
    split = TASK.encode(rows, tokenizer, ("neg", "pos"), max_length=7)
    assert split.labels.tolist() == [1, 0] * 3
    assert split.lengths.tolist() == [6, 7, 7, 7, 7, 6]
    text = tokenizer.decode(split.ids[: split.offsets[1]])
    assert text == "[CLS] the film was good [SEP]"
    assert split.types is None
    assert split.pad == tokenizer.pad_token_id


def test_pairs_bear_token_types():
    rows = Rows("pairs", (["good film", "bad"], ["plot", "the plot"]), [0, 1])
    split = TASK.encode(rows, words_tokenizer(), ("0", "1"), max_length=16)
    batch = split.batch(np.array([0, 1]))
    assert batch["token_type_ids"].tolist() == [[0, 0, 0, 0, 1, 1], [0, 0, 0, 1, 1, 1]]
    assert batch["labels"].tolist() == [0, 1]


def test_texts_without_labels_are_ignored():
    rows = Rows("new", (["good", "bad film"],))
    split = TASK.encode(rows, words_tokenizer(), ("0", "1"), max_length=16)
    assert split.labels.tolist() == [IGNORED, IGNORED]


@pytest.mark.parametrize("text", [None, "", "  ", 3])
def test_a_missing_text_is_refused(text):
    rows = Rows("holes.csv", (["good", text, "bad"],), [0, 1, 1])
    with pytest.raises(StudyFileError, match=r"data\.text: 1 of 3 texts missing.*row 2.*holes"):
        TASK.encode(rows, words_tokenizer(), ("0", "1"), 16)


def test_of_a_pair_the_column_is_named():
    texts = (["good", None, "bad"], ["plot", "plot", ""])
    rows = Rows("d.csv", texts, [0, 1, 1], columns=("premise", "claim"))
    with pytest.raises(StudyFileError) as error:
        TASK.encode(rows, words_tokenizer(), ("0", "1"), 16)
    assert [problem.wrong for problem in error.value.problems] == [
        "1 of 3 texts of column 'premise' missing or of another type, row 2 first, in d.csv",
        "1 of 3 texts of column 'claim' missing or of another type, row 3 first, in d.csv",
    ]


def test_a_label_that_is_not_known_is_refused():
    wrong = r"label 'pos' is not in the training split but in row 1, in reviews"
    with pytest.raises(StudyFileError, match=wrong):
        TASK.encode(sentiment(4), words_tokenizer(), ("neg", "other"), 16)


def test_whole_numbers_are_classes_however_they_are_written():
    rows = rows_with(["0.0", "1"] * 2)
    for labels in ([0, 1] * 2, [0.0, 1.0] * 2, ["0", "1.0"] * 2):
        split = TASK.encode(rows_with(labels), words_tokenizer(), names(rows), 8)
        assert split.labels.tolist() == [0, 1] * 2
    assert names(rows, ("1.0", "0.0")) == ("1", "0")
    split = TASK.encode(rows, words_tokenizer(), ("1.0", "0.0"), 8)
    assert split.labels.tolist() == [1, 0] * 2


def test_quality_by_hand():
    rows = sentiment(10)
    split = TASK.encode(rows, words_tokenizer(), ("neg", "pos"), 16)
    logits = np.full((10, 2), -1, dtype=np.float32)
    logits[np.arange(10), split.labels] = 1
    logits[0] = -logits[0]
    quality = TASK.quality(logits, split)
    assert quality.metrics["accuracy"] == 0.9
    assert quality.metrics["f1"] == pytest.approx((8 / 9 + 10 / 11) / 2)
    assert quality.examples == 10
    assert quality.loss == pytest.approx(np.log1p(np.exp(-2)) + 0.2)
    assert (
        set(quality.metrics) == {metric.name for metric in TASK.metrics} == set(quality.intervals)
    )
    for metric, (low, high) in quality.intervals.items():
        assert low <= quality.metrics[metric] <= high
        assert low < high


def test_quality_is_the_same_every_time():
    split = TASK.encode(sentiment(40), words_tokenizer(), ("neg", "pos"), 16)
    logits = np.random.default_rng(0).normal(size=(40, 2)).astype(np.float32)
    assert TASK.quality(logits, split) == TASK.quality(logits, split)


def test_report_names_the_classes():
    split = TASK.encode(sentiment(8), words_tokenizer(), ("neg", "pos"), 16)
    report = TASK.report(np.tile([[0.0, 1.0]], (8, 1)), split)
    assert report["confusion"] == [[0, 4], [0, 4]]
    assert report["classes"]["pos"] == {"precision": 0.5, "recall": 1.0, "f1": 2 / 3, "support": 4}
    assert set(report["averages"]) == {"micro", "macro", "weighted"}


@given(st.lists(st.booleans(), min_size=3, max_size=30))
def test_chance_is_what_guessing_the_majority_reaches(positive):
    labels = ["pos" if p else "neg" for p in positive]
    split = TASK.encode(rows_with(labels), words_tokenizer(), ("neg", "pos"), 16)
    best = max(
        TASK.quality(np.tile(guess, (len(labels), 1)), split).metrics["accuracy"]
        for guess in (np.float32([0, 1]), np.float32([1, 0]))
    )
    assert TASK.chance(split)["accuracy"] == pytest.approx(best)
    assert TASK.chance(split)["f1"] == TASK.chance(split)["mcc"] == 0


def test_loss_is_cross_entropy():
    logits = torch.tensor([[0.0, 0.0], [100.0, 0.0]])
    loss = TASK.loss(logits, torch.tensor([1, 0]))
    assert float(loss) == pytest.approx(np.log(2) / 2)


def test_divergence_is_zero_for_the_same_logits_and_scales_by_temperature():
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    assert float(TASK.divergence(logits, logits + 2, 2.0).mean()) == pytest.approx(0, abs=1e-6)
    p, q = (torch.softmax(x / 3, -1) for x in (logits, logits.flip(1)))
    expected = 9 * (p * (p / q).log()).sum(-1).mean()
    assert float(TASK.divergence(logits.flip(1), logits, 3.0).mean()) == pytest.approx(
        float(expected), rel=1e-5
    )
