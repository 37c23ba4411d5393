"""Scores from counts, and their 95 % intervals; all vectorised over bootstrap draws.

A bootstrap over examples is a multinomial draw of how often each *distinct* outcome occurs
(Efron and Tibshirani 1993, section 6.2), so a thousand draws cost as much as the table of
outcomes is long, not as there are examples.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core.records import Difference, Interval, Quality

Counts = NDArray[np.int64]
Floats = NDArray[np.float64]

DRAWS = 1000
BINS = 15
"""Of confidence, as most who report its error take."""
_Z = 1.959963984540054


def wilson(successes: int, examples: int) -> Interval:
    """Return the 95 % score interval of a share (Wilson 1927)."""
    if examples == 0:
        return (0.0, 1.0)
    share = successes / examples
    scale = 1 / (1 + _Z**2 / examples)
    centre = scale * (share + _Z**2 / (2 * examples))
    half = scale * _Z * math.sqrt(share * (1 - share) / examples + (_Z / (2 * examples)) ** 2)
    return (max(0.0, centre - half), min(1.0, centre + half))


def confusion(gold: Counts, predicted: Counts, classes: int) -> Counts:
    """Return how often each gold class (row) was predicted as each class (column)."""
    cells = np.bincount(gold * classes + predicted, minlength=classes**2)
    return cells.reshape(classes, classes)


def resampled(counts: Counts, seed: int = 0, draws: int = DRAWS) -> Counts:
    """Return bootstrap draws of outcome counts of any shape, with a first axis of ``draws``.

    Each draw has as many examples as ``counts`` has. Outcomes that never occurred stay at 0.
    """
    flat = counts.reshape(-1)
    seen = np.flatnonzero(flat)
    drawn = np.zeros((draws, flat.size), dtype=np.int64)
    total = int(flat.sum())
    if total:
        generator = np.random.default_rng(seed)
        drawn[:, seen] = generator.multinomial(total, flat[seen] / total, size=draws)
    return drawn.reshape(draws, *counts.shape)


def interval(counts: Counts, score: Callable[[Counts], Floats]) -> Interval:
    """Return the 95 % percentile bootstrap interval of ``score``.

    Args:
        counts: how often each outcome occurred.
        score: from counts with any leading axes to one number for each.
    """
    low, high = np.quantile(score(resampled(counts)), (0.025, 0.975))
    return (float(low), float(high))


def quality(
    names: Iterable[str],
    score: Callable[[str, NDArray[Any], Counts], Floats],
    outcomes: NDArray[Any],
    examples: int,
    loss: float,
) -> Quality:
    """Return metrics with their bootstrap intervals over what has an outcome of its own.

    Args:
        names: of the metrics.
        score: as :meth:`~pareto_prune.inputs.tasks.Task.score`.
        outcomes: shape (outcomes, numbers), of examples or of groups of them.
        examples: how many there are.
        loss: their mean loss.
    """
    once = np.ones(len(outcomes), dtype=np.int64)
    scores = {name: partial(score, name, outcomes) for name in names}
    return Quality(
        metrics={name: float(one(once)) for name, one in scores.items()},
        intervals={name: interval(once, one) for name, one in scores.items()},
        examples=examples,
        loss=loss,
    )


def difference(
    examples: Counts, first: Callable[[Counts, Counts], Floats], width: int
) -> Difference:
    """Return how much better the first of two models is, with a paired 95 % interval.

    Both are scored on the same bootstrap draws of examples, so that what is hard for both cancels
    out (Efron and Tibshirani 1993, section 8.3).

    Args:
        examples: what became of each example: ``width`` numbers for the first model, and as many
            for the second.
        first: from distinct outcomes (distinct, width) and counts of them (…, distinct) to scores.
        width: numbers a model.
    """
    outcomes, counts = np.unique(examples, axis=0, return_counts=True)

    def apart(drawn: Counts) -> Floats:
        return first(outcomes[:, :width], drawn) - first(outcomes[:, width:], drawn)

    return Difference(value=float(apart(counts)), interval=interval(counts, apart))


def around(value: float, counts: Counts, score: Callable[[Counts], Floats]) -> Interval:
    """Return ``value`` ± 1.96 bootstrap standard errors of it, within 0 and 1.

    For a score that drawing again moves to one side, so that its own draws lie beside it.
    """
    half = _Z * float(score(resampled(counts)).std())
    return (max(0.0, value - half), min(1.0, value + half))


def calibration(right: NDArray[np.bool_], confidence: Floats, counts: Counts) -> Floats:
    """Return 1 less the expected calibration error, by bins of equal width (Guo et al. 2017).

    Args:
        right: whether the likeliest class of each example is right.
        confidence: its probability.
        counts: how often each example occurs, shape (…, examples).
    """
    bins = np.minimum((confidence * BINS).astype(np.int64), BINS - 1)
    apart = (right - confidence)[:, None] * (bins[:, None] == np.arange(BINS))
    error: Floats = np.abs(counts @ apart).sum(-1) / np.maximum(counts.sum(-1), 1)
    return 1 - error


def worst_recall(counts: Counts) -> Floats:
    """Return the least recall of the classes that occur; counts (..., gold, predicted)."""
    return worst_recall_of(*_tallies(counts))


def worst_recall_of(right: Floats, gold: Floats, predicted: Floats) -> Floats:  # noqa: ARG001
    """Return the least recall of classes by how often each is right and there (..., class)."""
    recall = np.divide(right, gold, out=np.full(np.shape(right), np.inf), where=gold > 0)
    least: Floats = recall.min(-1)
    return np.where(np.isfinite(least), least, 0.0)


def macro_f1(counts: Counts) -> Floats:
    """Return the mean F1 of the classes that occur or are predicted; counts (..., gold, predicted).

    F1 of a class is 2 TP / (gold + predicted); 0 where it is never right.
    """
    return macro_f1_of(*_tallies(counts))


def macro_f1_of(right: Floats, gold: Floats, predicted: Floats) -> Floats:
    """Return the mean F1 of classes by how often each is right, there, predicted (..., class)."""
    either = gold + predicted
    f1 = 2 * right / np.maximum(either, 1)
    mean: Floats = f1.sum(-1) / np.maximum((either > 0).sum(-1), 1)
    return mean


def mcc(counts: Counts) -> Floats:
    """Return Matthews' correlation of confusions (..., gold, predicted), in [-1, 1]."""
    return mcc_of(*_tallies(counts))


def mcc_of(right: Floats, gold: Floats, predicted: Floats) -> Floats:
    """Return Matthews' correlation by how often each class is right, there and predicted.

    For any number of classes (Gorodkin 2004, equation 8); 0 where one side never varies.
    """
    total = gold.sum(-1)
    cross = right.sum(-1) * total - (gold * predicted).sum(-1)
    spread = (total**2 - (gold**2).sum(-1)) * (total**2 - (predicted**2).sum(-1))
    return np.divide(cross, np.sqrt(spread), out=np.zeros_like(cross), where=spread > 0)


def _tallies(counts: Counts) -> tuple[Floats, Floats, Floats]:
    """Return how often each class is right, there, and predicted."""
    cells = counts.astype(np.float64)
    return np.diagonal(cells, axis1=-2, axis2=-1), cells.sum(-1), cells.sum(-2)


def f1_of_totals(totals: Counts) -> Floats:
    """Return F1 from (..., [right, gold, predicted]); 0 where nothing is there to be found."""
    return 2 * totals[..., 0] / np.maximum(totals[..., 1] + totals[..., 2], 1)


def average_precision(levels: Counts, there: NDArray[np.bool_], counts: Counts) -> Floats:
    """Return the average precision of all labels of all examples in one ranking (micro).

    The precision at each level, weighted by the share of labels found there; those of one level
    stand at one place (as in scikit-learn). 0 where no label is there.

    Args:
        levels: of each label, higher where it is likelier; shape (examples, labels).
        there: whether it is there.
        counts: how often each example occurs, shape (…, examples).
    """
    falling = levels.max(initial=0) - levels
    draws = counts.reshape(-1, counts.shape[-1])
    found = [_precision(falling, there, drawn) for drawn in draws]
    return np.array(found).reshape(counts.shape[:-1])


def _precision(falling: Counts, there: NDArray[np.bool_], drawn: Counts) -> float:
    weights = np.repeat(drawn, falling.shape[1]).astype(np.float64)
    places = falling.reshape(-1)
    right, every = (
        np.bincount(places, each).cumsum() for each in (weights * there.reshape(-1), weights)
    )
    gained = np.diff(right, prepend=0.0) / max(right[-1], 1)
    return float((gained * right / np.maximum(every, 1)).sum())


def cross_entropy(logits: NDArray[np.float32], labels: Counts) -> float:
    """Return the mean negative log-likelihood of ``labels``; logits (examples, classes)."""
    if not len(labels):
        return 0.0
    shifted = logits.astype(np.float64) - logits.max(-1, keepdims=True)
    chosen = np.take_along_axis(shifted, labels[:, None], -1)[:, 0]
    return float((np.log(np.exp(shifted).sum(-1)) - chosen).mean())


def class_report(gold: Counts, predicted: Counts, names: tuple[str, ...]) -> dict[str, Any]:
    """Return precision, recall, F1 and support by class and average, and the confusions.

    Keys: ``classes`` and ``averages`` (``micro``, ``macro``, ``weighted``), each a dictionary of
    ``precision``, ``recall``, ``f1``, ``support`` by name; ``labels``; ``confusion`` (gold in
    rows). Computed by scikit-learn; undefined ratios are 0,
    and averages are over the classes that occur or are predicted.
    """
    from sklearn.metrics import precision_recall_fscore_support

    every, seen = np.arange(len(names)), np.union1d(gold, predicted)

    def scores(average: str | None, labels: Counts) -> Any:
        return precision_recall_fscore_support(
            gold, predicted, labels=labels, average=average, zero_division=0
        )

    by_class = np.transpose(scores(None, every))
    return {
        "classes": {name: _line(line) for name, line in zip(names, by_class, strict=True)},
        "averages": {
            average: _line([*scores(average, seen)[:3], len(gold)])
            for average in ("micro", "macro", "weighted")
        },
        "labels": list(names),
        "confusion": confusion(gold, predicted, len(names)).tolist(),
    }


def label_report(
    gold: NDArray[np.bool_], predicted: NDArray[np.bool_], names: tuple[str, ...]
) -> dict[str, Any]:
    """Return precision, recall, F1 and support by label and average, as :func:`class_report`.

    Both arguments have the shape (examples, labels). There are no confusions: a label is not given
    in another one's place.
    """
    from sklearn.metrics import precision_recall_fscore_support

    def scores(average: str | None) -> Any:
        return precision_recall_fscore_support(gold, predicted, average=average, zero_division=0)

    by_label = np.transpose(scores(None))
    averages = ("micro", "macro", "weighted")
    total = int(gold.sum())
    return {
        "classes": {name: _line(line) for name, line in zip(names, by_label, strict=True)},
        "averages": {average: _line([*scores(average)[:3], total]) for average in averages},
    }


def _line(scores: Sequence[float]) -> dict[str, float]:
    precision, recall, f1, support = map(float, scores)
    return {"precision": precision, "recall": recall, "f1": f1, "support": int(support)}
