"""A task in one file that the package knows nothing of: a count for each text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core.errors import Problem, StudyFileError
from pareto_prune.core.objectives import Objective, metric
from pareto_prune.core.records import Quality
from pareto_prune.inputs.examples import Rows, Split
from pareto_prune.inputs.tasks import _correlation, _encoding, _labels, _scores, tasks
from pareto_prune.inputs.tasks._labelled import Labelled
from pareto_prune.inputs.tokens import Tokens

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase


@tasks.register("counts")
@dataclass(frozen=True)
class Counts(Labelled):
    """A count for each text, whose logarithm is the output: correlation with the labels."""

    metrics: ClassVar[tuple[Objective, ...]] = (metric("count_correlation", "counts"),)
    model_class: ClassVar[str] = "AutoModelForSequenceClassification"
    pipeline: ClassVar[str] = "text-classification"
    problem_type: ClassVar[str | None] = "regression"
    splits_words: ClassVar[bool] = False

    @staticmethod
    def suits(texts: Sequence[Any], labels: Sequence[Any]) -> bool:
        return False

    def label_names(
        self, splits: Mapping[str, Rows], order: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        for rows in splits.values():
            _counts(rows)
        return ("value",)

    def encode(
        self,
        rows: Rows,
        tokenizer: PreTrainedTokenizerBase,
        label_names: Sequence[str],
        max_length: int,
    ) -> Split:
        labels = np.full((len(rows), 1), np.nan) if rows.labels is None else _counts(rows)
        return _encoding.whole_texts(rows, tokenizer, label_names, max_length, labels)

    def check(self, name: str, split: Split, train: Split) -> None:
        if name != "test" and len(np.unique(split.labels)) < 2:
            wrong = f"one number only in the {name} split"
            raise StudyFileError(Problem("data.label", wrong, "allowed: two or more"))

    def strata(self, split: Split) -> NDArray[Any]:
        return split.labels[:, 0]

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return (logits.exp() - labels.to(logits) * logits).mean()

    def divergence(self, logits: Tensor, dense: Tensor, temperature: float) -> Tensor:
        return (dense.exp() * (dense - logits) - dense.exp() + logits.exp()).sum(-1)

    def seeds(self, logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
        import torch

        draws = torch.rand(logits.shape, generator=generator)
        return (logits / 2).exp() * ((draws < 0.5) * 2 - 1).to(logits)

    def quality(self, logits: NDArray[np.float32], split: Split) -> Quality:
        pairs = self.outcomes(logits, split)
        once = np.ones(len(pairs), dtype=np.int64)

        def correlation(drawn: _scores.Counts) -> _scores.Floats:
            return self.score("count_correlation", pairs, drawn)

        return Quality(
            metrics={"count_correlation": float(correlation(once))},
            intervals={"count_correlation": _scores.interval(once, correlation)},
            examples=len(split),
            loss=float((pairs[:, 1] - pairs[:, 0] * np.log(pairs[:, 1])).mean()),
        )

    def outcomes(self, logits: NDArray[np.float32], split: Split) -> NDArray[Any]:
        return np.hstack([split.labels, np.exp(logits)])

    def score(self, metric: str, outcomes: NDArray[Any], counts: _scores.Counts) -> _scores.Floats:
        return _correlation.pearson(*outcomes.astype(np.float64).T, counts)

    def report(self, logits: NDArray[np.float32], split: Split) -> dict[str, Any]:
        off = np.abs(split.labels - np.exp(logits))
        return {"errors": {"mean": float(off.mean()), "largest": float(off.max())}}

    def chance(self, split: Split) -> dict[str, float]:
        return {"count_correlation": 0.0}

    def beats_chance(self, quality: Quality, split: Split) -> bool:
        return quality.intervals["count_correlation"][0] > 0

    def prediction(
        self, logits: NDArray[np.float32], tokens: Tokens, labels: Sequence[str]
    ) -> dict[str, Any]:
        return {labels[0]: float(np.exp(logits[0]))}

    @staticmethod
    def answer(text: str, word_of: list[int | None], logits: np.ndarray, labels: list[str]) -> str:
        """Return the count of a text, and the text."""
        return f"{labels[0]} {np.exp(logits[0]):.3f} {text}"


def _counts(rows: Rows) -> NDArray[np.float64]:
    try:
        return np.array([[float(label)] for label in _labels.labels_of(rows)])
    except (TypeError, ValueError) as error:
        raise _labels.refused(rows, f"a label is no number ({error})", "numbers") from error
