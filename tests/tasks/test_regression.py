from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from sklearn.metrics import r2_score, root_mean_squared_error

from pareto_prune.core.errors import StudyFileError
from pareto_prune.inputs.examples import Rows, labelled
from pareto_prune.inputs.tasks import tasks
from tests.tasks.words import sentiment, words_tokenizer

TASK = tasks.create("regression")
TEXTS = sentiment(4).texts


def encoded(labels, columns=("score",)):
    rows = Rows("data.csv", TEXTS, labels, label_columns=columns)
    return TASK.encode(rows, words_tokenizer(), TASK.label_names({"train": rows}), 16)


def test_outputs_bear_the_names_of_their_columns():
    split = encoded([(1, "-2"), (2.5, " 3e-1 "), (0, "0"), (7, "1")], ("score", "length"))
    assert split.label_names == ("score", "length")
    assert split.labels.tolist() == [[1, -2], [2.5, 0.3], [0, 0], [7, 1]]
    assert encoded(["4.2", 1, 2, 3]).labels.tolist() == [[4.2], [1], [2], [3]]


@pytest.mark.parametrize(
    ("labels", "columns", "message"),
    [
        ([1, "about 2", 3, 4], ("score",), "label 'about 2' is no number (row 2) in data.csv"),
        ([1, 2, [3], 4], ("score",), "label [3] is no number (row 3)"),
        ([1, 2, "inf", 4], ("score",), "label 'inf' is no number (row 3)"),
        ([1, None, 3, " "], ("score",), "2 of 4 labels missing, row 2 first"),
        ([(1, 2), (1, ""), (1, 2), (1, 2)], ("a", "b"), "1 of 4 labels missing, row 2 first"),
    ],
)
def test_labels_that_are_no_numbers_are_refused(labels, columns, message):
    with pytest.raises(StudyFileError) as error:
        encoded(labels, columns)
    (problem,) = error.value.problems
    assert problem.where == "data.label"
    assert message in problem.wrong
    assert problem.allowed == f"allowed: {'labelled rows' if 'missing' in message else 'numbers'}"


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ([2, 2, 2, 2], "one number only (2) of 'score' in the train split"),
        ([1, 2, 3, 250_000], "'score' has numbers up to 250000 in the train split"),
    ],
)
def test_numbers_that_cannot_be_learned_are_refused(labels, message):
    split = encoded(labels)
    with pytest.raises(StudyFileError) as error:
        TASK.check("train", split, split)
    assert message in error.value.problems[0].wrong


def test_other_tasks_take_one_label_column():
    rows = Rows("data.csv", TEXTS, [("a", "b")] * 4, label_columns=("one", "two"))
    with pytest.raises(StudyFileError, match="2 label columns where a label stands in one"):
        tasks.create("classification").label_names({"train": rows})


def test_metrics_are_means_over_the_outputs_as_scipy_and_scikit_learn_have_them():
    generator = np.random.default_rng(0)
    labels = generator.normal(size=(300, 2)).round(1)
    said = (labels + generator.normal(size=(300, 2))).astype(np.float32)
    rows = np.arange(300) % 4
    split = encoded([(1, 2)] * 4, ("a", "b")).take(rows)
    split.labels[:] = labels
    quality = TASK.quality(said, split)
    both = [(labels[:, k], said[:, k].astype(np.float64)) for k in (0, 1)]
    wanted = {
        "pearson": np.mean([stats.pearsonr(*pair).statistic for pair in both]),
        "spearman": np.mean([stats.spearmanr(*pair).statistic for pair in both]),
        "explained": np.mean([r2_score(*pair) for pair in both]),
    }
    assert quality.metrics == pytest.approx(wanted)
    table = TASK.report(said, split)["errors"]["numbers"]
    assert [line["RMSE"] for line in table.values()] == pytest.approx(
        [root_mean_squared_error(*pair) for pair in both]
    )
    assert quality.loss == pytest.approx(np.mean([line["RMSE"] ** 2 for line in table.values()]))


def test_a_model_in_another_unit_has_not_learned():
    split = encoded([1, 2, 3, 4]).take(np.arange(80) % 4)
    right = split.labels.astype(np.float32)
    for said, learned in ((right, True), (right / 5, False)):
        quality = TASK.quality(said, split)
        assert quality.metrics["pearson"] == pytest.approx(1)
        assert TASK.beats_chance(quality, split) is learned


def test_numbers_of_any_size_are_learned_from_and_missing_ones_are_not():
    labels = torch.tensor([[-100.0], [0.5], [float("nan")]])
    assert labelled(labels).tolist() == [True, True, False]
    assert float(TASK.loss(torch.tensor([[1.0], [0.5]]), labels[:2])) == 101**2 / 2
