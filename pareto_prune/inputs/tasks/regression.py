"""Regression: a number, or several, for each text or pair of texts."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pareto_prune.core.errors import Problem, StudyFileError
from pareto_prune.core.objectives import Objective, metric
from pareto_prune.core.records import Quality
from pareto_prune.inputs.examples import Rows, Split
from pareto_prune.inputs.tasks import _correlation, _encoding, _labels, _scores, tasks
from pareto_prune.inputs.tasks._labelled import Labelled
from pareto_prune.inputs.tokens import Tokens

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

LARGEST = 100.0
"""A label, at most: a head is drawn to say numbers near 0, and a step moves it little."""


@tasks.register("regression")
@dataclass(frozen=True)
class Regression(Labelled):
    """A number or several for each text or pair: Pearson, Spearman, share explained (R²)."""

    metrics: ClassVar[tuple[Objective, ...]] = (
        metric("pearson", "Pearson correlation"),
        metric("spearman", "Spearman correlation"),
        metric("explained", "share explained (R²)"),
    )
    model_class: ClassVar[str] = "AutoModelForSequenceClassification"
    pipeline: ClassVar[str] = "text-classification"
    problem_type: ClassVar[str | None] = "regression"
    splits_words: ClassVar[bool] = False

    @staticmethod
    def suits(texts: Sequence[Any], labels: Sequence[Any]) -> bool:
        """Return whether there are numbers, not all of them whole, beside strings."""
        return _labels.have_fractions(labels) and all(isinstance(text, str) for text in texts)

    def label_names(
        self,
        splits: Mapping[str, Rows],
        order: Sequence[str] | None = None,  # noqa: ARG002
    ) -> tuple[str, ...]:
        """Return the names of the label columns."""
        return splits["train"].label_columns

    def encode(
        self,
        rows: Rows,
        tokenizer: PreTrainedTokenizerBase,
        label_names: Sequence[str],
        max_length: int,
    ) -> Split:
        """Return the texts tokenised, pairs with token types, and the numbers of each."""
        labels = _numbers(rows, len(label_names))
        return _encoding.whole_texts(rows, tokenizer, label_names, max_length, labels)

    def check(self, name: str, split: Split, train: Split) -> None:  # noqa: ARG002
        """Look for numbers that vary, and that are of a size that a head learns to say."""
        for column, numbers in zip(split.label_names, split.labels.T, strict=True):
            if name != "test" and np.ptp(numbers) == 0:
                wrong = f"one number only ({numbers[0]:g}) of {column!r} in the {name} split"
                raise _refused(wrong, "two or more")
            if (largest := np.abs(numbers).max()) > LARGEST:
                wrong = f"{column!r} has numbers up to {largest:g} in the {name} split"
                raise _refused(wrong, f"numbers within ±{LARGEST:g}, best a few units; scaled ones")

    def strata(self, split: Split) -> NDArray[np.float64]:
        """Return the numbers, those of several columns added up in units of their spread."""
        spread = split.labels.std(0)
        total: NDArray[np.float64] = (split.labels / np.where(spread > 0, spread, 1)).sum(-1)
        return total

    def first_guess(self, labels: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return the mean of the numbers."""
        return np.asarray(labels.mean(0), dtype=np.float64)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean squared error; logits and labels (…, outputs)."""
        return (logits - labels.to(logits)).square().mean()

    def divergence(
        self,
        logits: Tensor,
        dense: Tensor,
        temperature: float,  # noqa: ARG002
    ) -> Tensor:
        """Return the mean squared difference of the outputs; both (…, outputs)."""
        return (logits - dense).square().mean(-1)

    def seeds(
        self,
        logits: Tensor,
        temperature: float,  # noqa: ARG002
        generator: torch.Generator,
    ) -> Tensor:
        """Return random signs: the Hessian of the divergence is ``2/outputs`` times the unit."""
        import torch

        draws = torch.rand(logits.shape, generator=generator)
        return math.sqrt(2 / logits.shape[-1]) * ((draws < 0.5) * 2 - 1).to(logits)

    def quality(self, logits: NDArray[np.float32], split: Split) -> Quality:
        """Return every metric, the mean over the outputs; intervals by bootstrap over examples."""
        loss = float(np.square(_errors(logits, split)).mean())
        names, outcomes = [metric.name for metric in self.metrics], self.outcomes(logits, split)
        return _scores.quality(names, self.score, outcomes, len(split), loss)

    def outcomes(self, logits: NDArray[np.float32], split: Split) -> NDArray[np.float64]:
        """Return the numbers of each example, and those that were predicted."""
        return np.hstack([split.labels, logits])

    def score(self, metric: str, outcomes: NDArray[Any], counts: _scores.Counts) -> _scores.Floats:
        """Return a metric of examples, each of which occurs so many times."""
        gold, predicted = np.split(outcomes.astype(np.float64).T, 2)
        found = [_AGREEMENT[metric](*pair, counts) for pair in zip(gold, predicted, strict=True)]
        mean: _scores.Floats = np.mean(found, 0)
        return mean

    def report(self, logits: NDArray[np.float32], split: Split) -> dict[str, Any]:
        """Return the errors of every output in the unit of its labels."""
        errors = zip(split.label_names, _errors(logits, split).T, strict=True)
        return {"errors": {"numbers": {name: _sizes(found) for name, found in errors}}}

    def chance(self, split: Split) -> dict[str, float]:  # noqa: ARG002
        """Return 0, which the mean of all labels reaches."""
        return {metric.name: 0.0 for metric in self.metrics}

    def beats_chance(self, quality: Quality, split: Split) -> bool:  # noqa: ARG002
        """Whether the interval of the share explained is above 0: the unit is right, too."""
        return quality.intervals["explained"][0] > 0

    def prediction(
        self,
        logits: NDArray[np.float32],
        tokens: Tokens,  # noqa: ARG002
        labels: Sequence[str],
    ) -> dict[str, Any]:
        """Return ``values``: the number of every output by its name."""
        return {"values": {name: float(one) for name, one in zip(labels, logits, strict=True)}}

    @staticmethod
    def answer(
        text: str,
        word_of: list[int | None],  # noqa: ARG004
        logits: np.ndarray,
        labels: list[str],
    ) -> str:
        """Return the numbers of a text by their names, and the text."""
        said = [f"{name} {number:.3f}" for name, number in zip(labels, logits, strict=True)]
        return f"{' '.join(said)} {text}"


_AGREEMENT = {
    "pearson": _correlation.pearson,
    "spearman": _correlation.spearman,
    "explained": _correlation.explained,
}


def _numbers(rows: Rows, columns: int) -> NDArray[np.float64]:
    """Return the numbers of every row, shape (rows, columns); NaN where rows have no labels."""
    if rows.labels is None:
        return np.full((len(rows), columns), np.nan)
    cells = _labels.cells_of(rows)
    return np.array(
        [[_number(rows, cell, row) for cell in each] for row, each in enumerate(cells)]
    ).reshape(len(rows), columns)


def _number(rows: Rows, cell: Any, row: int) -> float:
    try:
        number = float(cell)
    except (TypeError, ValueError):
        number = math.inf
    if not math.isfinite(number):
        wrong = f"label {cell!r} is no number (row {rows.number(row)})"
        raise _labels.refused(rows, wrong, "numbers")
    return number


def _errors(logits: NDArray[np.float32], split: Split) -> NDArray[np.float64]:
    found: NDArray[np.float64] = logits - split.labels
    return found


def _sizes(errors: NDArray[np.float64]) -> dict[str, float]:
    sizes = np.abs(errors)
    return {
        "RMSE": math.sqrt(np.square(errors).mean()),
        "mean error": float(sizes.mean()),
        "largest": float(sizes.max()),
    }


def _refused(wrong: str, allowed: str) -> StudyFileError:
    return StudyFileError(Problem("data.label", wrong, f"allowed: {allowed}"))
