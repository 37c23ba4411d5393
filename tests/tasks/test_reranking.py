from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from pareto_prune.core.errors import StudyFileError
from pareto_prune.inputs.examples import Rows
from pareto_prune.inputs.tasks import _ranking, tasks
from tests.tasks.words import words_tokenizer

TASK = tasks.create("reranking")
PASSAGES = ["good film", "bad film", "the plot", "a plot"]


def rows_of(labels, queries=("good",) * 2 + ("bad",) * 2, passages=PASSAGES):
    return Rows("pairs.csv", (list(queries), passages), labels, columns=("question", "answer"))


def encoded(rows):
    return TASK.encode(rows, words_tokenizer(), TASK.label_names({"train": rows}), 16)


def test_pairs_of_one_query_are_a_group():
    split = encoded(rows_of([1, "0", 0.5, 1.0], ("good", "bad", "good", "bad")))
    assert split.groups.tolist() == [0, 1, 0, 1]
    assert split.labels.tolist() == [[1], [0], [0.5], [1]]
    assert split.types is not None
    assert split.take(np.array([1, 2])).groups.tolist() == [1, 0]


@pytest.mark.parametrize(
    ("rows", "where", "message"),
    [
        (rows_of([1, 0, None, 1]), "data.label", "1 of 4 labels missing, row 3 first"),
        (rows_of([1, 0, "yes", 1]), "data.label", "relevance 'yes' is not between 0 and 1 (row 3)"),
        (rows_of([1, 0, 3, 1]), "data.label", "relevance 3 is not between 0 and 1 (row 3)"),
        (
            rows_of([1, 0, 0, 1], passages=["good", "", "bad", "a"]),
            "data.text",
            "1 of 4 texts of column 'answer' missing or of another type, row 2 first",
        ),
        (Rows("d", (PASSAGES,), [1, 0, 0, 1]), "data.text", "one text column where a query has"),
    ],
)
def test_pairs_that_do_not_serve(rows, where, message):
    with pytest.raises(StudyFileError) as error:
        encoded(rows)
    (problem,) = error.value.problems
    assert problem.where == where
    assert message in problem.wrong
    assert problem.allowed


@pytest.mark.parametrize(
    ("labels", "queries"), [([1, 1, 0, 0], "aabb"), ([1, 0, 1, 0], "abcd"), ([0] * 4, "aabb")]
)
def test_queries_without_a_choice_are_refused(labels, queries):
    split = encoded(rows_of(labels, queries))
    with pytest.raises(StudyFileError, match="no query of the validation split has passages of"):
        TASK.check("validation", split, split)


def test_metrics_are_means_over_queries_that_have_a_relevant_passage():
    generator = np.random.default_rng(0)
    queries = generator.integers(0, 30, 500)
    relevance = (generator.random(500) < 0.1) * generator.choice([0.5, 1.0], 500)
    scores = generator.normal(size=500) + relevance
    gains, ranks = [], []
    for query in range(30):
        mine = queries == query
        if relevance[mine].any():
            gains.append(ndcg_score([relevance[mine]], [scores[mine]], k=10))
            order = np.argsort(-scores[mine])
            ranks.append(1 / (1 + np.flatnonzero(relevance[mine][order])[0]))
    assert len(gains) < 30
    split = encoded(rows_of([1, 0, 0, 1])).take(np.arange(500) % 4)
    split.labels[:, 0], split.groups[:] = relevance, queries
    quality = TASK.quality(scores[:, None].astype(np.float32), split)
    assert quality.metrics["ndcg_at_10"] == pytest.approx(np.mean(gains))
    assert quality.metrics["mrr"] == pytest.approx(np.mean(ranks))
    assert quality.examples == 500
    report = TASK.report(scores[:, None].astype(np.float32), split)["queries"]["numbers"]["scored"]
    assert report == {
        "count": len(gains),
        "first right": pytest.approx(np.mean(np.equal(ranks, 1))),
    }


def test_chance_is_the_mean_of_all_orders():
    relevance, queries = np.array([1.0, 0, 0, 0.5, 0]), np.zeros(5, np.int64)
    every = [
        _ranking.by_query(np.array(order, dtype=float), relevance, queries)[0]
        for order in itertools.permutations(range(5))
    ]
    assert _ranking.chance(relevance, queries) == pytest.approx(np.mean(every, 0))


def test_a_model_that_says_the_same_of_all_is_at_chance_wherever_the_answers_stand():
    queries = np.repeat(np.arange(300), 8)
    relevance = (np.arange(2400) % 8 < 2).astype(float)
    found = _ranking.by_query(np.zeros(2400), relevance, queries).mean(0)
    assert found == pytest.approx(_ranking.chance(relevance, queries), abs=0.05)
