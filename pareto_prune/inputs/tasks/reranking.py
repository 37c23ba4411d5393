"""Reranking: how well a passage answers a query, read together by a cross-encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pareto_prune.core.errors import Problem, StudyFileError
from pareto_prune.core.objectives import Objective, metric
from pareto_prune.core.records import Quality
from pareto_prune.inputs.examples import Indices, Rows, Split
from pareto_prune.inputs.tasks import _encoding, _labels, _ranking, _scores, tasks
from pareto_prune.inputs.tasks._binary import BinaryLogits, mean_loss, probabilities
from pareto_prune.inputs.tokens import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

_NAMES = ("ndcg_at_10", "mrr")
"""Metrics in the order of their columns in what becomes of a query."""


@tasks.register("reranking")
@dataclass(frozen=True)
class Reranking(BinaryLogits):
    """A score for each pair of query and passage: nDCG at 10 and mean reciprocal rank of queries.

    Learned pair by pair, by binary cross-entropy and from the dense model's scores (pointwise).
    """

    metrics: ClassVar[tuple[Objective, ...]] = (
        metric("ndcg_at_10", "nDCG at 10"),
        metric("mrr", "mean reciprocal rank"),
    )
    model_class: ClassVar[str] = "AutoModelForSequenceClassification"
    pipeline: ClassVar[str] = "text-ranking"
    splits_words: ClassVar[bool] = False
    grouped: ClassVar[bool] = True
    library: ClassVar[str] = "sentence-transformers"

    @staticmethod
    def suits(texts: Sequence[Any], labels: Sequence[Any]) -> bool:  # noqa: ARG004
        """No values do: pairs of other tasks look the same."""
        return False

    def label_names(
        self,
        splits: Mapping[str, Rows],
        order: Sequence[str] | None = None,  # noqa: ARG002
    ) -> tuple[str, ...]:
        """Return ``relevance``."""
        _check_pairs(splits["train"])
        return ("relevance",)

    def encode(
        self,
        rows: Rows,
        tokenizer: PreTrainedTokenizerBase,
        label_names: Sequence[str],
        max_length: int,
    ) -> Split:
        """Return the pairs tokenised, the relevance of each, and the query it belongs to."""
        _check_pairs(rows)
        labels = _relevance(rows)
        split = _encoding.whole_texts(rows, tokenizer, label_names, max_length, labels)
        return replace(split, groups=rows.groups())

    def check(self, name: str, split: Split, train: Split) -> None:  # noqa: ARG002
        """Look for a query with a passage that is relevant and one that is less so."""
        queries, labels = split.groups, split.labels[:, 0]
        assert queries is not None
        most = np.full(queries.max() + 1, -np.inf)
        least = -most
        np.maximum.at(most, queries, labels)
        np.minimum.at(least, queries, labels)
        if not (most > least).any():
            wrong = f"no query of the {name} split has passages of more and of less relevance"
            allowed = "allowed: several passages a query, relevant ones and others"
            raise StudyFileError(Problem("data.label", wrong, allowed))

    def strata(self, split: Split) -> Indices:
        """Return 0 for every pair."""
        return np.zeros(len(split), dtype=np.int64)

    def quality(self, logits: NDArray[np.float32], split: Split) -> Quality:
        """Return both metrics; intervals by bootstrap over queries."""
        loss, outcomes = mean_loss(logits, split.labels), self.outcomes(logits, split)
        return _scores.quality(_NAMES, self.score, outcomes, len(split), loss)

    def outcomes(self, logits: NDArray[np.float32], split: Split) -> NDArray[np.float64]:
        """Return nDCG and reciprocal rank of every query that has a relevant passage."""
        assert split.groups is not None
        scores = logits[:, 0].astype(np.float64)
        return _ranking.by_query(scores, split.labels[:, 0], split.groups)

    def score(self, metric: str, outcomes: NDArray[Any], counts: _scores.Counts) -> _scores.Floats:
        """Return a metric of queries, each of which occurs so many times."""
        column = outcomes[:, _NAMES.index(metric)].astype(np.float64)
        mean: _scores.Floats = counts @ column / np.maximum(counts.sum(-1), 1)
        return mean

    def report(self, logits: NDArray[np.float32], split: Split) -> dict[str, Any]:
        """Return how many queries were scored, and how often a relevant passage stands first."""
        outcomes = self.outcomes(logits, split)
        first = float((outcomes[:, 1] == 1).mean()) if len(outcomes) else 0.0
        return {"queries": {"numbers": {"scored": {"count": len(outcomes), "first right": first}}}}

    def chance(self, split: Split) -> dict[str, float]:
        """Return the mean over all orders of the passages."""
        assert split.groups is not None
        found = _ranking.chance(split.labels[:, 0], split.groups)
        return dict(zip(_NAMES, found.tolist(), strict=True))

    def beats_chance(self, quality: Quality, split: Split) -> bool:
        """Whether the interval of nDCG is above chance."""
        return quality.intervals["ndcg_at_10"][0] > self.chance(split)["ndcg_at_10"]

    def loading(self, trust: str) -> tuple[str, ...]:
        """Return the lines that load a cross-encoder and score a pair."""
        return (
            "from sentence_transformers import CrossEncoder",
            "",
            f'model = CrossEncoder("FOLDER"{trust})',
            'scores = model.predict([("a query", "a passage")])',
        )

    def prediction(
        self,
        logits: NDArray[np.float32],
        tokens: Tokens,  # noqa: ARG002
        labels: Sequence[str],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return the ``score`` of a pair, from 0 to 1."""
        return {"score": float(probabilities(logits)[0])}

    @staticmethod
    def answer(
        text: str,
        word_of: list[int | None],  # noqa: ARG004
        logits: np.ndarray,
        labels: list[str],  # noqa: ARG004
    ) -> str:
        """Return the score of a pair, and the pair."""
        return f"{1 / (1 + np.exp(-float(logits[0]))):.3f} {text}"


def _check_pairs(rows: Rows) -> None:
    if len(rows.texts) != 2:
        wrong = "one text column where a query has its passages"
        raise _labels.refused(rows, wrong, "two columns: query and passage", "data.text")


def _relevance(rows: Rows) -> NDArray[np.float64]:
    """Return the relevance of every pair, shape (rows, 1); NaN where rows have no labels."""
    if rows.labels is None:
        return np.full((len(rows), 1), np.nan)
    labels = _labels.labels_of(rows)
    return np.array([[_graded(rows, label, row)] for row, label in enumerate(labels)])


def _graded(rows: Rows, label: Any, row: int) -> float:
    try:
        number = float(label)
    except (TypeError, ValueError):
        number = np.nan
    if not 0 <= number <= 1:
        wrong = f"relevance {label!r} is not between 0 and 1 (row {rows.number(row)})"
        raise _labels.refused(rows, wrong, "1 for a passage that answers, 0 for others, or between")
    return number
