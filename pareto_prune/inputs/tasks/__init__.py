"""Tasks: what the model is asked to do, how its examples are encoded and how it is scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pareto_prune.core.records import Difference, Quality
from pareto_prune.core.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedTokenizerBase

    from pareto_prune.inputs.examples import Rows, Split


class Task(Protocol):
    """What the model is asked to do. A member is a frozen dataclass.

    Attributes:
        metrics: names of the quality metrics it reports, the usual one first.
        model_class: name of the class in ``transformers`` that loads a model with its head.
        splits_words: whether texts are lists of words, each with a label.
    """

    metrics: ClassVar[tuple[str, ...]]
    model_class: ClassVar[str]
    splits_words: ClassVar[bool]

    def label_names(
        self, splits: Mapping[str, Rows], order: Sequence[str] | None = None
    ) -> tuple[str, ...]:
        """Return the class names of the training split, whose position is the class index.

        Args:
            splits: ``train`` and, where they are there, the others.
            order: the names of a checkpoint's head; followed where they fit the data.

        Raises:
            StudyFileError: labels are missing or of the wrong kind, or there is one class only.
        """

    def encode(
        self,
        rows: Rows,
        tokenizer: PreTrainedTokenizerBase,
        label_names: Sequence[str],
        max_length: int,
    ) -> Split:
        """Return ``rows`` tokenised, cut to ``max_length`` tokens; unlabelled ones are IGNORED.

        Raises:
            StudyFileError: a text or label is missing, or a label is not among ``label_names``.
        """

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean loss of a batch; a scalar."""

    def quality(self, logits: NDArray[np.float32], split: Split) -> Quality:
        """Return every metric with its 95 % interval.

        Args:
            logits: shape (examples, classes), or (tokens, classes) if the split is ``by_token``.
            split: the examples they belong to.
        """

    def differences(
        self, logits: NDArray[np.float32], other: NDArray[np.float32], split: Split
    ) -> dict[str, Difference]:
        """Return every metric of ``logits`` less that of ``other``, on the same examples."""

    def report(self, logits: NDArray[np.float32], split: Split) -> dict[str, Any]:
        """Return precision, recall, F1 and support of every class, averages, and confusions."""

    def chance(self, split: Split) -> dict[str, float]:
        """Return each metric of a model that learned nothing: the majority share for accuracy."""


tasks: Registry[Task] = Registry("task", __name__)
