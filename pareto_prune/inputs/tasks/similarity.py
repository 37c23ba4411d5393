"""Similarity of sentences: pairs of texts with a score, by the vectors of an embedding model.

What is learned is what the task ``embedding`` learns, on the texts of all pairs; scores are looked
at to score by alone.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pareto_prune.core.errors import Problem, StudyFileError
from pareto_prune.core.objectives import Objective, metric
from pareto_prune.inputs.examples import Indices, Rows, Split
from pareto_prune.inputs.tasks import _correlation, _encoding, _labels, _neighbours, _scores, tasks
from pareto_prune.inputs.tasks.embedding import Embedding

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase


@tasks.register("similarity")
@dataclass(frozen=True)
class Similarity(Embedding):
    """A vector for each text, scored on pairs: Spearman correlation of cosines with their scores.

    Both texts of a pair are examples, one behind the other, and a group.
    """

    metrics: ClassVar[tuple[Objective, ...]] = (
        metric("spearman", "Spearman correlation"),
        *Embedding.metrics,
    )
    reads_labels: ClassVar[bool] = True

    def label_names(
        self, splits: Mapping[str, Rows], order: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        """Return the numbers of the dimensions, as the checkpoint has them (``order``)."""
        for rows in splits.values():
            if len(rows.texts) != 2:
                wrong = "one column of texts where pairs are scored"
                raise _labels.refused(rows, wrong, "two columns", "data.text")
        return tuple(order or ())

    def encode(
        self,
        rows: Rows,
        tokenizer: PreTrainedTokenizerBase,
        label_names: Sequence[str],
        max_length: int,
    ) -> Split:
        """Return the texts of the pairs, two by two, with the score of their pair."""
        pairs = zip(*_encoding.texts_of(rows), strict=True)
        alone = Rows(rows.source, ([text for pair in pairs for text in pair],))
        labels = np.repeat(_pair_scores(rows), 2)[:, None]
        split = _encoding.whole_texts(alone, tokenizer, label_names, max_length, labels)
        return replace(split, groups=np.repeat(np.arange(len(rows)), 2))

    def check(self, name: str, split: Split, train: Split) -> None:
        """Look for enough texts to have neighbours among, and for scores that vary."""
        super().check(name, split, train)
        if name != "train" and np.ptp(split.labels) == 0:
            wrong = f"one score only ({split.labels[0, 0]:g}) in the {name} split"
            raise StudyFileError(Problem("data.label", wrong, "allowed: two or more"))

    def outcomes(self, logits: NDArray[np.float32], split: Split) -> _neighbours.Floats:
        """Return score and cosine of each pair, and what its texts add to the other metrics."""
        first, second = _pairs(split)
        own, each = _neighbours.units(logits), super().outcomes(logits, split)
        cosines = (own[first] * own[second]).sum(-1)
        added = (each[first] + each[second]) / 2
        return np.column_stack([split.labels[first, 0], cosines, added])

    def score(self, metric: str, outcomes: NDArray[Any], counts: _scores.Counts) -> _scores.Floats:
        """Return a metric of pairs, each of which occurs so many times."""
        gold, cosines = outcomes[:, :2].astype(np.float64).T
        if metric == "spearman":
            return _correlation.spearman(gold, cosines, counts)
        return super().score(metric, outcomes[:, 2:], counts)

    def chance(self, split: Split) -> dict[str, float]:
        """Return 0 for the correlation, and for the others what ``embedding`` does."""
        return {"spearman": 0.0, **super().chance(split)}


def _pairs(split: Split) -> tuple[Indices, Indices]:
    """Return where the first and the second texts of the pairs stand that are whole."""
    assert split.groups is not None
    order = np.argsort(split.groups, kind="stable")
    group = split.groups[order]
    _, begins, sizes = np.unique(group, return_index=True, return_counts=True)
    place = np.arange(len(order)) - np.repeat(begins, sizes)
    firsts = np.flatnonzero((place % 2 == 0)[:-1] & (np.diff(group) == 0))
    return order[firsts], order[firsts + 1]


def _pair_scores(rows: Rows) -> NDArray[np.float64]:
    """Return the score of every pair; 0 where rows have none, which nothing learns from."""
    if rows.labels is None:
        return np.zeros(len(rows))
    return np.array([_score(rows, one, row) for row, one in enumerate(_labels.labels_of(rows))])


def _score(rows: Rows, label: Any, row: int) -> float:
    try:
        score = float(label)
    except (TypeError, ValueError):
        score = math.inf
    if not math.isfinite(score):
        wrong = f"score {label!r} is no number (row {rows.number(row)})"
        raise _labels.refused(rows, wrong, "numbers, more for pairs that are more alike")
    return score
