"""Classification of texts or pairs of texts into two or more classes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pareto_prune.core.errors import Problem, StudyFileError
from pareto_prune.core.objectives import Objective, metric
from pareto_prune.core.records import Interval, Quality
from pareto_prune.inputs.class_names import plain
from pareto_prune.inputs.examples import IGNORED, Indices, Rows, Split
from pareto_prune.inputs.tasks import _encoding, _labels, _scores, tasks
from pareto_prune.inputs.tasks._classes import ACCURACY, ClassLogits, probabilities
from pareto_prune.inputs.tokens import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase


@tasks.register("classification")
@dataclass(frozen=True)
class Classification(ClassLogits):
    """One class for each text or pair: accuracy, macro F1, Matthews, worst recall, calibration."""

    metrics: ClassVar[tuple[Objective, ...]] = (
        ACCURACY,
        metric("f1", "F1 (macro)"),
        metric("mcc", "Matthews correlation"),
        metric("worst_recall", "recall of the worst class"),
        metric("calibration", "calibration (1 − ECE)"),
    )
    model_class: ClassVar[str] = "AutoModelForSequenceClassification"
    pipeline: ClassVar[str] = "text-classification"
    splits_words: ClassVar[bool] = False

    @staticmethod
    def suits(texts: Sequence[Any], labels: Sequence[Any]) -> bool:
        """Return whether few plain values come again and again beside strings."""
        if not all(isinstance(label, str | int | float) for label in labels):
            return False
        few = 2 * len(set(labels)) <= len(labels) and not _labels.have_fractions(labels)
        return few and all(isinstance(text, str) for text in texts)

    def label_names(
        self, splits: Mapping[str, Rows], order: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        """Return the classes: as the data or ``order`` has them, else sorted (numbers as such)."""
        train = splits["train"]
        found = set(_names(train))
        _check_classes(train, found)
        given = [name for name in train.names or () if name in found]
        return _labels.in_order(given or _labels.sorted_names(found), order)

    def encode(
        self,
        rows: Rows,
        tokenizer: PreTrainedTokenizerBase,
        label_names: Sequence[str],
        max_length: int,
    ) -> Split:
        """Return the texts tokenised, pairs with token types, and one label an example."""
        labels = _indices(rows, label_names)
        return _encoding.whole_texts(rows, tokenizer, label_names, max_length, labels)

    def check(self, name: str, split: Split, train: Split) -> None:
        """Look for two classes, and for those that the training split lacks."""
        classes = set(np.unique(split.labels))
        if name in ("train", "validation") and len(classes) < 2:
            only = split.label_names[classes.pop()]
            raise _refused(f"one class only ({only}) in the {name} split", "two or more")
        if unknown := classes - set(np.unique(train.labels)):
            label = split.label_names[unknown.pop()]
            wrong = f"label {label!r} is in the {name} split but not in the training split"
            raise _refused(wrong, "classes with several rows")

    def strata(self, split: Split) -> Indices:
        """Return the classes."""
        return split.labels

    def quality(self, logits: NDArray[np.float32], split: Split) -> Quality:
        """Return all metrics; intervals by bootstrap over examples, accuracy's by Wilson."""
        counts = _scores.confusion(split.labels, logits.argmax(-1), logits.shape[-1])
        right, examples = int(np.trace(counts)), len(split)
        calibration, span = _calibration(self.outcomes(logits, split))
        return Quality(
            metrics={
                "accuracy": right / examples,
                **{name: float(score(counts)) for name, score in _OF_CONFUSIONS.items()},
                "calibration": calibration,
            },
            intervals={
                "accuracy": _scores.wilson(right, examples),
                **{name: _scores.interval(counts, one) for name, one in _OF_CONFUSIONS.items()},
                "calibration": span,
            },
            examples=examples,
            loss=_scores.cross_entropy(logits, split.labels),
        )

    def outcomes(self, logits: NDArray[np.float32], split: Split) -> Indices:
        """Return the class of each example, the predicted one, and how likely that is in steps."""
        steps = np.round(probabilities(logits).max(-1) * _STEPS).astype(np.int64)
        return np.column_stack([split.labels, logits.argmax(-1), steps])

    def score(self, metric: str, outcomes: Indices, counts: _scores.Counts) -> _scores.Floats:
        """Return a metric of examples, each of which occurs so many times."""
        if metric == "calibration":
            return _scores.calibration(*_confidence(outcomes), counts)
        gold, predicted = outcomes[:, :2].astype(np.int64).T
        right = counts @ (gold == predicted)
        if metric == "accuracy":
            shares: _scores.Floats = right / np.maximum(counts.sum(-1), 1)
            return shares
        classes = np.arange(1 + outcomes[:, :2].max(initial=0))
        hits = [column[:, None] == classes for column in (gold, predicted)]
        tallies = [counts @ found.astype(np.float64) for found in (hits[0] & hits[1], *hits)]
        return _OF_TALLIES[metric](*tallies)

    def report(self, logits: NDArray[np.float32], split: Split) -> dict[str, Any]:
        """Return the scores of every class, their averages, and the confusions."""
        return _scores.class_report(split.labels, logits.argmax(-1), split.label_names)

    def chance(self, split: Split) -> dict[str, float]:
        """Return the majority class's share for accuracy, 0 for the others.

        Calibration says nothing of what was learned: a model may know that it knows nothing.
        """
        share = float(np.bincount(split.labels).max() / len(split))
        return {metric.name: 0.0 for metric in self.metrics} | {"accuracy": share}

    def beats_chance(self, quality: Quality, split: Split) -> bool:
        """Whether the accuracy's interval is above the majority class's share."""
        return quality.intervals["accuracy"][0] > self.chance(split)["accuracy"]

    def prediction(
        self,
        logits: NDArray[np.float32],
        tokens: Tokens,  # noqa: ARG002
        labels: Sequence[str],
    ) -> dict[str, Any]:
        """Return the likeliest class (``label``), its probability (``score``), and ``scores``."""
        shares = probabilities(logits)
        scores = {name: float(share) for name, share in zip(labels, shares, strict=True)}
        best = labels[int(shares.argmax())]
        return {"label": best, "score": scores[best], "scores": scores}

    @staticmethod
    def answer(
        text: str,
        word_of: list[int | None],  # noqa: ARG004
        logits: np.ndarray,
        labels: list[str],
    ) -> str:
        """Return the likeliest class of a text, its probability, and the text."""
        shares = np.exp(logits - logits.max())
        return f"{labels[int(logits.argmax())]} {shares.max() / shares.sum():.3f} {text}"


_OF_CONFUSIONS = {
    "f1": _scores.macro_f1,
    "mcc": _scores.mcc,
    "worst_recall": _scores.worst_recall,
}
_OF_TALLIES = {
    "f1": _scores.macro_f1_of,
    "mcc": _scores.mcc_of,
    "worst_recall": _scores.worst_recall_of,
}
_STEPS = 250
"""Of a probability, so that one byte holds it."""


def _confidence(outcomes: Indices) -> tuple[NDArray[np.bool_], NDArray[np.float64]]:
    """Return whether the likeliest class of each example is right, and its probability."""
    return outcomes[:, 0] == outcomes[:, 1], outcomes[:, 2].astype(np.float64) / _STEPS


def _calibration(outcomes: Indices) -> tuple[float, Interval]:
    """Return the calibration of examples and its interval."""
    distinct, counts = np.unique(outcomes, axis=0, return_counts=True)
    score = partial(_scores.calibration, *_confidence(distinct))
    value = float(score(counts))
    return value, _scores.around(value, counts, score)


def _names(rows: Rows) -> list[str]:
    labels = _labels.labels_of(rows)
    if rows.names is not None:
        return [_labels.name_of(rows, label, row) for row, label in enumerate(labels)]
    return [_name(rows, label, row) for row, label in enumerate(labels)]


def _name(rows: Rows, label: Any, row: int) -> str:
    if isinstance(label, float):
        if not label.is_integer():
            wrong = f"label {label!r} is not a class (row {rows.number(row)})"
            raise _labels.refused(rows, wrong, "integers or names")
        label = int(label)
    if not isinstance(label, (str, int)):
        wrong = f"a label is a {type(label).__name__} (row {rows.number(row)})"
        raise _labels.refused(rows, wrong, "integers or names, one a row")
    return plain(str(label))


def _refused(wrong: str, allowed: str) -> StudyFileError:
    return StudyFileError(Problem("data.label", wrong, f"allowed: {allowed}"))


def _check_classes(train: Rows, found: set[str]) -> None:
    if len(found) < 2:
        raise _labels.refused(train, f"one class only ({', '.join(found)})", "two or more")
    if 2 * len(found) > len(train):
        wrong = f"{len(found)} different labels for {len(train)} rows"
        raise _labels.refused(train, wrong, "a class for every two rows at most")


def _check_known(rows: Rows, found: Sequence[str], known: Iterable[str]) -> None:
    strange = sorted(set(found) - set(known))
    if strange:
        row = rows.number(found.index(strange[0]))
        wrong = f"label {strange[0]!r} is not in the training split but in row {row},"
        raise _labels.refused(rows, wrong, ", ".join(_labels.sorted_names(known)[:20]))


def _indices(rows: Rows, label_names: Sequence[str]) -> Indices:
    if rows.labels is None:
        return np.full(len(rows), IGNORED, dtype=np.int64)
    plainly = {plain(name): index for index, name in enumerate(label_names)}
    index = plainly | {name: index for index, name in enumerate(label_names)}
    found = _names(rows)
    _check_known(rows, found, index)
    return np.array([index[name] for name in found], dtype=np.int64)
