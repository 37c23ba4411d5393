"""A task in one file that the package knows nothing of: a number for each text."""

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
from pareto_prune.inputs.tasks import _encoding, _labels, _scores, tasks
from pareto_prune.inputs.tokens import Tokens

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase


@tasks.register("regression")
@dataclass(frozen=True)
class Regression:
    """A number for each text: Pearson's correlation with the labels."""

    metrics: ClassVar[tuple[Objective, ...]] = (metric("pearson", "Pearson correlation"),)
    model_class: ClassVar[str] = "AutoModelForSequenceClassification"
    pipeline: ClassVar[str] = "text-classification"
    splits_words: ClassVar[bool] = False

    def label_names(
        self, splits: Mapping[str, Rows], order: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        for rows in splits.values():
            _numbers(rows)
        return ("value",)

    def encode(
        self,
        rows: Rows,
        tokenizer: PreTrainedTokenizerBase,
        label_names: Sequence[str],
        max_length: int,
    ) -> Split:
        encoded = tokenizer(
            *_encoding.texts_of(rows),
            truncation=True,
            max_length=max_length,
            return_attention_mask=False,
        )
        return Split(
            ids=_encoding.flat(encoded["input_ids"], np.int32),
            offsets=_encoding.offsets(encoded["input_ids"]),
            labels=np.full(len(rows), np.nan) if rows.labels is None else _numbers(rows),
            label_names=tuple(label_names),
            types=_encoding.token_types(encoded),
            pad=int(tokenizer.pad_token_id or 0),
        )

    def check(self, name: str, split: Split, train: Split) -> None:
        if name != "test" and len(np.unique(split.labels)) < 2:
            wrong = f"one number only in the {name} split"
            raise StudyFileError(Problem("data.label", wrong, "allowed: two or more"))

    def strata(self, split: Split) -> NDArray[Any]:
        return split.labels

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        return (logits[..., 0] - labels.to(logits)).square().mean()

    def divergence(self, logits: Tensor, dense: Tensor, temperature: float) -> Tensor:
        return (logits - dense).square().sum(-1)

    def seeds(self, logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
        import torch

        draws = torch.rand(logits.shape, generator=generator)
        return 2**0.5 * ((draws < 0.5) * 2 - 1).to(logits)

    def quality(self, logits: NDArray[np.float32], split: Split) -> Quality:
        pairs = self.outcomes(logits, split)
        once = np.ones(len(pairs), dtype=np.int64)
        return Quality(
            metrics={"pearson": float(_pearson(pairs, once))},
            intervals={"pearson": _scores.interval(once, lambda drawn: _pearson(pairs, drawn))},
            examples=len(split),
            loss=float(np.square(pairs[:, 0] - pairs[:, 1]).mean()),
        )

    def outcomes(self, logits: NDArray[np.float32], split: Split) -> NDArray[Any]:
        return np.column_stack([split.labels, logits[:, 0]])

    def score(self, metric: str, outcomes: NDArray[Any], counts: _scores.Counts) -> _scores.Floats:
        return _pearson(outcomes.astype(np.float64), counts)

    def report(self, logits: NDArray[np.float32], split: Split) -> dict[str, Any]:
        off = np.abs(split.labels - logits[:, 0])
        return {"errors": {"mean": float(off.mean()), "largest": float(off.max())}}

    def chance(self, split: Split) -> dict[str, float]:
        return {"pearson": 0.0}

    def beats_chance(self, quality: Quality, split: Split) -> bool:
        return quality.intervals["pearson"][0] > 0

    def prediction(
        self, logits: NDArray[np.float32], tokens: Tokens, labels: Sequence[str]
    ) -> dict[str, Any]:
        return {labels[0]: float(logits[0])}

    @staticmethod
    def answer(text: str, word_of: list[int | None], logits: np.ndarray, labels: list[str]) -> str:
        """Return the number of a text, and the text."""
        return f"{labels[0]} {logits[0]:.3f} {text}"


def _numbers(rows: Rows) -> NDArray[np.float64]:
    try:
        return np.array([float(label) for label in _labels.labels_of(rows)])
    except (TypeError, ValueError) as error:
        raise _labels.refused(rows, f"a label is no number ({error})", "numbers") from error


def _pearson(pairs: NDArray[Any], counts: _scores.Counts) -> _scores.Floats:
    """Return the correlation of pairs (n, 2), each of which occurs ``counts`` (…, n) times."""
    x, y = (pairs - pairs.mean(0)).T
    sums = counts @ np.column_stack([np.ones_like(x), x, y, x * x, y * y, x * y])
    total, one, two, one_one, two_two, both = np.moveaxis(sums, -1, 0)
    spread = (one_one - one**2 / total) * (two_two - two**2 / total)
    scale = np.sqrt(np.maximum(spread, 0))
    return np.divide(both - one * two / total, scale, out=np.zeros_like(scale), where=scale > 1e-12)
