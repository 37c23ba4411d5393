"""Sentence embeddings: texts alone, and the dense model to learn from.

What counts is which texts are near each other, so both metrics compare similarities with the dense
model's: no labels are needed, and the dense model has 1 in both.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Self

import numpy as np

from pareto_prune.core.errors import Problem, StudyFileError
from pareto_prune.core.objectives import Objective, metric
from pareto_prune.core.records import Quality
from pareto_prune.inputs.examples import Indices, Rows, Split
from pareto_prune.inputs.tasks import _encoding, _labels, _neighbours, _scores, tasks
from pareto_prune.inputs.tokens import Tokens

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase

FEWEST = _neighbours.NEAREST + 2
"""Texts of a split that is scored: ten nearest must be some of the others, not all."""
_SIMILARITIES = 1.0
"""Weight of what the texts of a batch say of each other."""


@tasks.register("embedding")
@dataclass(frozen=True)
class Embedding:
    """A vector for each text, learned from the dense model's: no labels are needed."""

    metrics: ClassVar[tuple[Objective, ...]] = (
        metric("agreement", "agreement"),
        metric("neighbours_at_10", "ten nearest kept"),
    )
    model_class: ClassVar[str] = "AutoModel"
    pipeline: ClassVar[str] = "sentence-similarity"
    problem_type: ClassVar[str | None] = None
    tunes: ClassVar[bool] = False
    grouped: ClassVar[bool] = False
    splits_words: ClassVar[bool] = False
    taught: ClassVar[bool] = True
    reads_labels: ClassVar[bool] = False
    keeps_channels: ClassVar[bool] = True
    library: ClassVar[str] = "sentence-transformers"

    @staticmethod
    def suits(texts: Sequence[Any], labels: Sequence[Any]) -> bool:  # noqa: ARG004
        """No labels do: it reads none."""
        return False

    def width(self, config: PreTrainedConfig) -> int:
        """Return the hidden channels: a vector has a number of each."""
        return int(config.hidden_size)

    def columns(self, text: Sequence[str]) -> tuple[str, ...]:
        """Return the first column: a vector is of one text, of a pair or not."""
        return tuple(text[:1])

    def prepare(self, config: PreTrainedConfig, path: str, revision: str | None) -> None:
        """Write how states become a vector, as the folder says, else by their mean."""
        from pareto_prune.inputs.sentence_folder import read_pooling
        from pareto_prune.models.sentence_vectors import pooling_of, state

        if pooling_of(config) is None:
            state(config, read_pooling(path, revision))

    def label_names(
        self,
        splits: Mapping[str, Rows],
        order: Sequence[str] | None = None,
    ) -> tuple[str, ...]:
        """Return the numbers of the dimensions, as the checkpoint has them (``order``)."""
        for rows in splits.values():
            if len(rows.texts) > 1:
                raise _labels.refused(rows, "two columns of texts", "one", "data.text")
        return tuple(order or ())

    def encode(
        self,
        rows: Rows,
        tokenizer: PreTrainedTokenizerBase,
        label_names: Sequence[str],
        max_length: int,
    ) -> Split:
        """Return the texts tokenised, all with the label 0."""
        labels = np.zeros(len(rows), dtype=np.int64)
        return _encoding.whole_texts(rows, tokenizer, label_names, max_length, labels)

    def check(self, name: str, split: Split, train: Split) -> None:  # noqa: ARG002
        """Look for enough texts to have neighbours among."""
        if name != "train" and len(split) < FEWEST:
            wrong = f"{len(split)} texts in the {name} split, too few to find the ten nearest in"
            raise StudyFileError(Problem("data.splits", wrong, f"allowed: {FEWEST} or more"))

    def strata(self, split: Split) -> Indices:
        """Return 0 for every text."""
        return np.zeros(len(split), dtype=np.int64)

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean divergence from the dense vectors, which stand for labels."""
        return self.divergence(logits, labels, 1.0).mean()

    def divergence(
        self,
        logits: Tensor,
        dense: Tensor,
        temperature: float,  # noqa: ARG002
    ) -> Tensor:
        """Return the squared distance of vectors, as a share of the dense one's squared length.

        At length 1 it is twice what the cosine lacks to 1.
        """
        found: Tensor = (logits - dense).square().sum(-1) / dense.square().sum(-1)
        return found

    def distillation(self, logits: Tensor, dense: Tensor, temperature: float) -> Tensor:
        """Return the mean divergence, and that of the similarities in a batch, texts by texts.

        The latter is the mean over texts of the sum of squared differences to the dense ones
        (similarity-preserving distillation, Tung and Mori 2019, section 3.1, without its scale).
        """
        from torch.nn.functional import normalize

        own, other = (normalize(one, dim=-1) for one in (logits, dense))
        apart = (own @ own.T - other @ other.T).square().sum(-1).mean()
        return self.divergence(logits, dense, temperature).mean() + _SIMILARITIES * apart

    def seeds(
        self,
        logits: Tensor,
        temperature: float,  # noqa: ARG002
        generator: torch.Generator,
    ) -> Tensor:
        """Return random signs times √2 over the length: the Hessian is that of a square."""
        import torch

        signs = (torch.rand(logits.shape, generator=generator) < 0.5) * 2 - 1
        return 2**0.5 * signs.to(logits) / logits.norm(dim=-1, keepdim=True)

    def first_guess(self, labels: NDArray[Any]) -> NDArray[np.float64] | None:  # noqa: ARG002
        """Return ``None``: there is no head."""
        return None

    def tuned(self, logits: NDArray[np.float32], split: Split) -> Self:  # noqa: ARG002
        """Return the task as it is: a vector is an answer."""
        return self

    def quality(self, logits: NDArray[np.float32], split: Split) -> Quality:
        """Return every metric; intervals by bootstrap over texts, or what their outcomes are of."""
        dense, outcomes = _teacher(split), self.outcomes(logits, split)
        apart = np.square(logits - dense).sum(-1) / np.square(dense).sum(-1)
        names, loss = [metric.name for metric in self.metrics], float(apart.mean())
        return _scores.quality(names, self.score, outcomes, len(outcomes), loss)

    def outcomes(self, logits: NDArray[np.float32], split: Split) -> _neighbours.Floats:
        """Return what each text adds to the agreement, and the share of its neighbours kept."""
        own, dense = _neighbours.units(logits), _neighbours.units(_teacher(split))
        return np.column_stack(
            [_neighbours.agreement(own, dense), _neighbours.kept_neighbours(own, dense)]
        )

    def score(self, metric: str, outcomes: NDArray[Any], counts: _scores.Counts) -> _scores.Floats:
        """Return a metric of texts, each of which occurs so many times."""
        column = [each.name for each in Embedding.metrics].index(metric)
        means = counts @ outcomes[:, column].astype(np.float64) / np.maximum(counts.sum(-1), 1)
        return np.clip(means, -1.0, 1.0)

    def report(self, logits: NDArray[np.float32], split: Split) -> dict[str, Any]:
        """Return the cosines of vectors with the dense ones: their mean and the least."""
        cosines = (_neighbours.units(logits) * _neighbours.units(_teacher(split))).sum(-1)
        return {"cosines": {"mean": float(cosines.mean()), "least": float(cosines.min())}}

    def chance(self, split: Split) -> dict[str, float]:
        """Return 0 for the agreement, and the share of all texts that ten are."""
        others = max(1, len(split) - 1)
        return {"agreement": 0.0, "neighbours_at_10": min(1.0, _neighbours.NEAREST / others)}

    def beats_chance(self, quality: Quality, split: Split) -> bool:  # noqa: ARG002
        """Whether similarities agree with the dense ones beyond noise."""
        return quality.intervals["agreement"][0] > 0

    def prediction(
        self,
        logits: NDArray[np.float32],
        tokens: Tokens,  # noqa: ARG002
        labels: Sequence[str],  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return the ``vector``."""
        return {"vector": [float(number) for number in logits]}

    @staticmethod
    def answer(
        text: str,
        word_of: list[int | None],  # noqa: ARG004
        logits: np.ndarray,
        labels: list[str],  # noqa: ARG004
    ) -> str:
        """Return the text, and the numbers of its vector."""
        return f"{text}\t{' '.join(f'{number:.4f}' for number in logits)}"

    def files(self, config: PreTrainedConfig, max_length: int) -> dict[str, Any]:
        """Return what a ``SentenceTransformer`` is loaded by."""
        from pareto_prune.inputs.sentence_folder import written
        from pareto_prune.models.sentence_vectors import Pooling, pooling_of

        return written(pooling_of(config) or Pooling(), self.width(config), max_length)

    def loading(self, trust: str) -> tuple[str, ...]:
        """Return the lines that load a model and embed a text."""
        return (
            "from sentence_transformers import SentenceTransformer",
            "",
            f'model = SentenceTransformer("FOLDER"{trust})',
            'vectors = model.encode(["a text", "another text"])',
        )


def _teacher(split: Split) -> NDArray[np.float32]:
    assert split.teacher is not None, "a split is scored once the dense model has said its vectors"
    return split.teacher
