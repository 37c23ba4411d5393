"""Scores by chance: the control of every comparison."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pareto_prune.inputs.batch import Batch
from pareto_prune.pruning.importance import importances
from pareto_prune.pruning.scores import UnitScores

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel

    from pareto_prune.inputs.tasks import Task


@importances.register("random")
@dataclass(frozen=True)
class Random:
    """Uniform random numbers: what an importance must beat."""

    needs_data: ClassVar[bool] = False

    def scores(
        self,
        model: PreTrainedModel,
        batches: Sequence[Batch],  # noqa: ARG002
        generator: torch.Generator,
        task: Task,  # noqa: ARG002
    ) -> UnitScores:
        """Return numbers in [0, 1) from ``generator`` (of the CPU), one for every unit."""
        import torch

        from pareto_prune.models.families import architecture

        layers = architecture(model).layers
        return UnitScores(
            heads=tuple(torch.rand(layer.heads, generator=generator) for layer in layers),
            neurons=tuple(torch.rand(layer.neurons, generator=generator) for layer in layers),
        )

    def channels(
        self,
        model: PreTrainedModel,
        batches: Sequence[Batch],  # noqa: ARG002
        generator: torch.Generator,
        task: Task,  # noqa: ARG002
    ) -> Tensor:
        """Return numbers in [0, 1), shape (hidden,)."""
        import torch

        return torch.rand(int(model.config.hidden_size), generator=generator)
