from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics
from sklearn.metrics import f1_score

from pareto_prune.core.errors import StudyFileError
from pareto_prune.inputs.examples import Rows
from pareto_prune.inputs.tasks import _scores, _thresholds, tasks
from tests.tasks.words import sentiment, words_tokenizer

TASK = tasks.create("multilabel")
TEXTS = sentiment(4).texts
NAMES = ("joy", "love")


def rows_of(labels, columns=("labels",), names=None):
    return Rows("data.csv", TEXTS, labels, names, label_columns=columns)


def encoded(rows, names=None):
    names = names or TASK.label_names({"train": rows})
    return TASK.encode(rows, words_tokenizer(), names, 16)


@pytest.mark.parametrize(
    ("rows", "names"),
    [
        (rows_of([["love", "joy"], ["joy"], [], ["love"]]), NAMES),
        (rows_of(["love, joy", "joy", "love,joy", "love"]), NAMES),
        (rows_of([[10, 9], [9], [9, 10], [10]]), ("9", "10")),
        (rows_of(["10,9", "9.0", "9 , 10", 10]), ("9", "10")),
        (rows_of([[1, 0], [0], [], [1]], names=("joy", "love", "never")), NAMES),
        (rows_of([(1, "1"), (True, "0"), (1.0, 1), ("0", "1.0")], ("joy", "love")), NAMES),
    ],
)
def test_labels_come_as_lists_or_text_or_columns(rows, names):
    split = encoded(rows)
    assert split.label_names == names
    assert split.labels[:2].tolist() == [[1, 1], [1, 0]]
    assert split.labels[3].tolist() == [0, 1]


def test_a_head_with_the_same_names_gives_the_order():
    rows = rows_of(["joy, love", "joy", "love", "love"])
    assert TASK.label_names({"train": rows}, ("LOVE", "JOY")) == ("love", "joy")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (rows_of([["joy"], None, ["love"], ["joy"]]), "1 of 4 labels missing, row 2 first"),
        (rows_of(["joy", " ", "love", "joy"]), "1 of 4 labels missing, row 2 first"),
        (rows_of([["joy"], [0.5], ["love"], []]), "labels [0.5] (row 2) are no list"),
        (rows_of(["joy", 0.5, "love", "joy"]), "labels 0.5 (row 2) are no list of names"),
        (rows_of(["joy,,love"] * 4), "labels 'joy,,love' (row 1) are no list"),
        (rows_of([[0], [2], [1], [0]], names=NAMES), "2 in row 2 is the index of no class"),
        (rows_of([(0, 1), (2, 0)] * 2, NAMES), "2 in column 'joy' (row 2) is neither 0 nor 1"),
        (rows_of(["joy"] * 4), "one label only (joy)"),
    ],
)
def test_labels_that_do_not_serve(rows, message):
    with pytest.raises(StudyFileError) as error:
        encoded(rows)
    (problem,) = error.value.problems
    assert problem.where == "data.label"
    assert message in problem.wrong
    assert problem.allowed


def test_a_label_that_is_not_known_is_refused():
    with pytest.raises(StudyFileError, match="'fear' is not in the training split but in row 3"):
        encoded(rows_of(["joy", "love", "love,fear", "joy"]), NAMES)
    train = encoded(rows_of(["joy", "love"] * 2)).take(np.array([0, 2]))
    for name, split in (("train", train), ("validation", encoded(rows_of(["joy", "love"] * 2)))):
        with pytest.raises(StudyFileError, match="label 'love' is of no text in the training"):
            TASK.check(name, split, train)


def random_case(seed, examples=400, labels=5):
    generator = np.random.default_rng(seed)
    there = generator.random((examples, labels)) < np.linspace(0.03, 0.5, labels)
    logits = (2 * there - 2 + generator.normal(size=there.shape)).astype(np.float32)
    split = encoded(rows_of([[f"l{i}" for i in range(labels)]] * 4)).take(np.arange(examples) % 4)
    split.labels[:] = there
    return logits, split, there


def test_metrics_are_those_of_scikit_learn():
    logits, split, there = random_case(0)
    for task in (TASK, TASK.tuned(logits, split)):
        limits = np.array(task.thresholds or (0.5,) * 5)
        shares = 1 / (1 + np.exp(-logits.astype(np.float64)))
        found = task.quality(logits, split).metrics
        for kind in ("micro", "macro"):
            wanted = f1_score(there, shares >= limits, average=kind)
            assert found[f"{kind}_f1"] == pytest.approx(wanted)
        assert found["average_precision"] == pytest.approx(
            metrics.average_precision_score(there, shares, average="micro"), abs=5e-4
        )
        table = task.report(logits, split)["labels"]
        assert table["averages"]["micro"]["f1"] == pytest.approx(found["micro_f1"])


@given(st.integers(0, 1000), st.integers(1, 6))
def test_average_precision_of_ties_and_draws(seed, levels):
    generator = np.random.default_rng(seed)
    ranked, there = generator.integers(0, levels, (9, 2)), generator.random((9, 2)) < 0.4
    counts = generator.integers(0, 3, (2, 9))
    for drawn, one in zip(counts, _scores.average_precision(ranked, there, counts), strict=True):
        rows = np.repeat(np.arange(9), drawn)
        if there[rows].any():
            wanted = metrics.average_precision_score(there[rows].ravel(), ranked[rows].ravel())
            assert one == pytest.approx(wanted)
        else:
            assert one == 0


@given(st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=20))
def test_no_threshold_has_a_better_f1(rows):
    shares, there = (np.array(column) for column in zip(*rows, strict=True))
    shares = shares / 10

    def f1(limit):
        given_ = shares >= limit
        return 2 * (given_ & there).sum() / max(given_.sum() + there.sum(), 1)

    found = f1(_thresholds.of_best_f1(shares, there))
    assert found == max(map(f1, np.arange(0.05, 1, 0.1)))


def test_labels_that_are_rare_share_a_threshold():
    logits, split, there = random_case(0, examples=100)
    often = there.sum(0) >= _thresholds.OFTEN
    found = np.array(TASK.tuned(logits, split).thresholds)
    assert 0 < often.sum() < 5
    assert len(set(found[~often])) == 1
    assert len(set(found)) > 1


def test_chance_is_what_saying_the_same_of_all_reaches():
    _, split, there = random_case(1)
    shares = there.mean(0)
    same = np.broadcast_to(shares, there.shape)
    chance = TASK.chance(split)
    every = [f1_score(there, same >= limit, average="micro") for limit in shares]
    assert chance["micro_f1"] == pytest.approx(max(every))
    assert chance["macro_f1"] == pytest.approx(f1_score(there, same > 0, average="macro"))
    wanted = metrics.average_precision_score(there, same, average="micro")
    assert chance["average_precision"] == pytest.approx(wanted)


def test_loss_and_divergence_add_up_labels():
    logits, dense = torch.tensor([[0.3, -2.0]]), torch.tensor([[1.0, 0.5]])
    wanted = torch.tensor([[1.0, 0.0]])
    p, q = dense.sigmoid(), logits.sigmoid()
    apart = p * (p / q).log() + (1 - p) * ((1 - p) / (1 - q)).log()
    torch.testing.assert_close(TASK.divergence(logits, dense, 1.0), apart.sum(-1))
    nats = -(q[0, 0].log() + (1 - q[0, 1]).log())
    torch.testing.assert_close(TASK.loss(logits, wanted), nats)
    split = encoded(rows_of(["joy", "love"] * 2)).take(np.array([0]))
    assert TASK.quality(logits.numpy(), split).loss == pytest.approx(float(nats))
