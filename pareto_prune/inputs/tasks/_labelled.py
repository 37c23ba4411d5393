"""What tasks have in common that learn from labels, with a head of their own.

A member inherits it, and is asked no more than its labels, logits and scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Self

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedConfig

    from pareto_prune.inputs.examples import Split


class Labelled:
    """Answers of a task whose dense model has a head that is trained on labels."""

    problem_type: ClassVar[str | None] = None
    tunes: ClassVar[bool] = False
    grouped: ClassVar[bool] = False
    taught: ClassVar[bool] = False
    reads_labels: ClassVar[bool] = True
    keeps_channels: ClassVar[bool] = False
    library: ClassVar[str] = "transformers"
    model_class: ClassVar[str]

    def width(self, config: PreTrainedConfig) -> int | None:  # noqa: ARG002
        """Return ``None``: there are as many outputs as label names."""
        return None

    def columns(self, text: Sequence[str]) -> tuple[str, ...]:
        """Return all: what a head says is of all texts of a row."""
        return tuple(text)

    def prepare(self, config: PreTrainedConfig, path: str, revision: str | None) -> None:
        """Write nothing: a head says all by its weights."""

    def distillation(self, logits: Tensor, dense: Tensor, temperature: float) -> Tensor:
        """Return the mean divergence."""
        mean: Tensor = self.divergence(logits, dense, temperature).mean()  # type: ignore[attr-defined]
        return mean

    def first_guess(self, labels: NDArray[Any]) -> NDArray[np.float64] | None:  # noqa: ARG002
        """Return ``None``: few steps find how frequent classes are."""
        return None

    def tuned(self, logits: NDArray[np.float32], split: Split) -> Self:  # noqa: ARG002
        """Return the task as it is: its answers follow from the outputs alone."""
        return self

    def files(self, config: PreTrainedConfig, max_length: int) -> dict[str, Any]:  # noqa: ARG002
        """Return none: transformers asks for no others."""
        return {}

    def loading(self, trust: str) -> tuple[str, ...]:
        """Return the lines that load a model and its tokenizer."""
        return (
            f"from transformers import {self.model_class}, AutoTokenizer",
            "",
            f'model = {self.model_class}.from_pretrained("FOLDER"{trust})',
            'tokenizer = AutoTokenizer.from_pretrained("FOLDER")',
        )
