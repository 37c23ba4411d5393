"""Classification of texts or pairs of texts that may have several labels each, or none."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pareto_prune.core.errors import Problem, StudyFileError
from pareto_prune.core.objectives import Objective, metric
from pareto_prune.core.records import Quality
from pareto_prune.inputs.examples import Indices, Rows, Split
from pareto_prune.inputs.tasks import _encoding, _labels, _scores, _thresholds, tasks
from pareto_prune.inputs.tasks._binary import BinaryLogits, mean_loss, probabilities
from pareto_prune.inputs.tasks._label_sets import are_names, label_sets
from pareto_prune.inputs.tokens import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

_LEVELS = 4096
_STEP = 1 / 256
"""Logits are ranked in steps of this size, in as many levels; what is beyond shares the last."""
_PREDICTED, _GOLD = _LEVELS, 2 * _LEVELS


@tasks.register("multilabel")
@dataclass(frozen=True)
class Multilabel(BinaryLogits):
    """Several labels, or none, for each text or pair: micro and macro F1, average precision.

    Attributes:
        thresholds: of the probability of each label, from which on it is given; 0.5 where they are
            not tuned yet.
    """

    metrics: ClassVar[tuple[Objective, ...]] = (
        metric("micro_f1", "F1 (micro)"),
        metric("macro_f1", "F1 (macro)"),
        metric("average_precision", "average precision (micro)"),
    )
    model_class: ClassVar[str] = "AutoModelForSequenceClassification"
    pipeline: ClassVar[str] = "text-classification"
    problem_type: ClassVar[str | None] = "multi_label_classification"
    splits_words: ClassVar[bool] = False
    tunes: ClassVar[bool] = True

    thresholds: tuple[float, ...] = ()

    @staticmethod
    def suits(texts: Sequence[Any], labels: Sequence[Any]) -> bool:
        """Return whether there are lists of names or numbers, not all of them empty."""
        listed = any(labels) and all(are_names(each) for each in labels)
        return listed and all(isinstance(text, str) for text in texts)

    def label_names(
        self, splits: Mapping[str, Rows], order: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        """Return the labels of the training split: as data or ``order`` have them, else sorted."""
        train = splits["train"]
        found = label_sets(train)
        names = _labels.sorted_names(set().union(*found))
        if len(train.label_columns) > 1:
            names = list(train.label_columns)
        elif train.names is not None:
            names = [name for name in train.names if name in names]
        if len(names) < 2:
            raise _labels.refused(train, f"one label only ({', '.join(names)})", "two or more")
        return _labels.in_order(names, order)

    def encode(
        self,
        rows: Rows,
        tokenizer: PreTrainedTokenizerBase,
        label_names: Sequence[str],
        max_length: int,
    ) -> Split:
        """Return the texts tokenised, pairs with token types, and 0 or 1 for each label."""
        labels = _indicators(rows, label_names)
        return _encoding.whole_texts(rows, tokenizer, label_names, max_length, labels)

    def check(self, name: str, split: Split, train: Split) -> None:
        """Look for labels that the training split lacks; all must occur there."""
        wanted = np.ones(len(split.label_names)) if name == "train" else split.labels.max(0)
        for label in np.flatnonzero(wanted * (1 - train.labels.max(0))):
            wrong = f"label {split.label_names[label]!r} is of no text in the training split"
            raise StudyFileError(Problem("data.label", wrong, "allowed: labels of several texts"))

    def strata(self, split: Split) -> Indices:
        """Return the rarest label that each example has; a number of its own where it has none."""
        rarity = np.argsort(np.argsort(-split.labels.sum(0), kind="stable"))
        ranked = np.where(split.labels > 0, rarity, -1).max(-1)
        found: Indices = np.where(ranked < 0, len(rarity), ranked)
        return found

    def tuned(self, logits: NDArray[np.float32], split: Split) -> Self:
        """Return the task with thresholds of the best F1: see :mod:`._thresholds`."""
        found = _thresholds.best(probabilities(logits), split.labels > 0)
        return replace(self, thresholds=tuple(found.tolist()))

    def quality(self, logits: NDArray[np.float32], split: Split) -> Quality:
        """Return every metric at the thresholds; intervals by bootstrap over examples."""
        loss, outcomes = mean_loss(logits, split.labels), self.outcomes(logits, split)
        names = [metric.name for metric in self.metrics]
        return _scores.quality(names, self.score, outcomes, len(split), loss)

    def outcomes(self, logits: NDArray[np.float32], split: Split) -> Indices:
        """Return of each label of an example: whether it is there, is given, and its logit's level.

        As one number below 4 · 4096, so that two bytes hold it.
        """
        steps = np.round(logits.astype(np.float64) / _STEP) + _LEVELS // 2
        levels = np.clip(steps, 0, _LEVELS - 1).astype(np.int64)
        there, given = split.labels > 0, self._given(probabilities(logits))
        found: Indices = levels + _PREDICTED * given + _GOLD * there
        return found

    def score(self, metric: str, outcomes: Indices, counts: _scores.Counts) -> _scores.Floats:
        """Return a metric of examples, each of which occurs so many times."""
        numbers = outcomes.astype(np.int64)
        there, given = (numbers & _GOLD) > 0, (numbers & _PREDICTED) > 0
        if metric == "average_precision":
            return _scores.average_precision(numbers % _LEVELS, there, counts)
        hits = (there & given, there, given)
        right, gold, predicted = (counts @ found.astype(np.float64) for found in hits)
        if metric == "micro_f1":
            return _scores.f1_of_totals(
                np.stack([right.sum(-1), gold.sum(-1), predicted.sum(-1)], -1)
            )
        f1: _scores.Floats = 2 * right / np.maximum(gold + predicted, 1)
        return f1.mean(-1)

    def report(self, logits: NDArray[np.float32], split: Split) -> dict[str, Any]:
        """Return the scores of every label and their averages, and the thresholds."""
        given = self._given(probabilities(logits))
        limits = zip(split.label_names, self._limits(len(split.label_names)), strict=True)
        return {
            "labels": _scores.label_report(split.labels > 0, given, split.label_names),
            "thresholds": {"numbers": {name: {"given from": one} for name, one in limits}},
        }

    def chance(self, split: Split) -> dict[str, float]:
        """Return what saying the same of every text reaches at best."""
        there, examples = split.labels.sum(0), len(split)
        given = np.arange(1, len(there) + 1)
        found = np.sort(there)[::-1].cumsum()
        levels = np.broadcast_to(np.argsort(np.argsort(there)), split.labels.shape)
        once = np.ones(examples, dtype=np.int64)
        return {
            "micro_f1": float((2 * found / np.maximum(given * examples + there.sum(), 1)).max()),
            "macro_f1": float((2 * there / (examples + there)).mean()),
            "average_precision": float(_scores.average_precision(levels, split.labels > 0, once)),
        }

    def beats_chance(self, quality: Quality, split: Split) -> bool:
        """Whether the interval of average precision, which asks no thresholds, is above chance."""
        level = self.chance(split)["average_precision"]
        return quality.intervals["average_precision"][0] > level

    def prediction(
        self,
        logits: NDArray[np.float32],
        tokens: Tokens,  # noqa: ARG002
        labels: Sequence[str],
    ) -> dict[str, Any]:
        """Return the ``labels`` that are given, and the probabilities of all (``scores``)."""
        shares = probabilities(logits)
        given = [name for name, one in zip(labels, self._given(shares), strict=True) if one]
        scores = {name: float(share) for name, share in zip(labels, shares, strict=True)}
        return {"labels": given, "scores": scores}

    @staticmethod
    def answer(
        text: str,
        word_of: list[int | None],  # noqa: ARG004
        logits: np.ndarray,
        labels: list[str],
        thresholds: Sequence[float] = (),
    ) -> str:
        """Return the labels of a text with their probabilities, and the text."""
        shares = 1 / (1 + np.exp(-logits.astype(np.float64)))
        limits = thresholds or [0.5] * len(labels)
        rows = zip(labels, shares, limits, strict=True)
        said = [f"{name} {share:.3f}" for name, share, limit in rows if share >= limit]
        return f"{', '.join(said) or 'no label'}: {text}"

    def _limits(self, labels: int) -> Sequence[float]:
        return self.thresholds or (0.5,) * labels

    def _given(self, shares: NDArray[np.float64]) -> NDArray[np.bool_]:
        given: NDArray[np.bool_] = shares >= np.array(self._limits(shares.shape[-1]))
        return given


def _indicators(rows: Rows, label_names: Sequence[str]) -> NDArray[np.float64]:
    """Return 0 or 1 for each row and label; NaN where rows have no labels."""
    found = np.full((len(rows), len(label_names)), 0.0 if rows.labels is not None else np.nan)
    if rows.labels is None:
        return found
    index = {name: at for at, name in enumerate(label_names)}
    for row, names in enumerate(label_sets(rows)):
        _check_known(rows, names, index, row)
        found[row, [index[name] for name in names]] = 1
    return found


def _check_known(rows: Rows, names: Iterable[str], known: Iterable[str], row: int) -> None:
    if strange := sorted(set(names) - set(known)):
        wrong = f"label {strange[0]!r} is not in the training split but in row {rows.number(row)},"
        raise _labels.refused(rows, wrong, ", ".join(list(known)[:20]))
