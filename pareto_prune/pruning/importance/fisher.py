"""The diagonal of the Fisher information of a mask over the units."""

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


@importances.register("fisher")
@dataclass(frozen=True)
class Fisher:
    """Mean squared mask gradient: the loss that removing a unit adds, to second order.

    The diagonal of Kwon et al. 2022, section 4.1, with a gradient for each sample, expected under
    the dense model's own predictions at temperature 2 (K-prune, Park et al. 2024, section 4.1).
    """

    needs_data: ClassVar[bool] = True

    def scores(
        self,
        model: PreTrainedModel,
        batches: Sequence[Batch],
        generator: torch.Generator,
        task: Task,
    ) -> UnitScores:
        """Return the scores of every unit, on the CPU; one backward pass over the batches."""
        from pareto_prune.pruning.seeds import PredictionSeeds
        from pareto_prune.pruning.unit_gradients import unit_scores

        return unit_scores(model, batches, PredictionSeeds(task, generator), self.reduce)

    def channels(
        self,
        model: PreTrainedModel,
        batches: Sequence[Batch],
        generator: torch.Generator,
        task: Task,
    ) -> Tensor:
        """Return the same for a mask over the hidden channels, shape (hidden,)."""
        from pareto_prune.pruning.seeds import PredictionSeeds
        from pareto_prune.pruning.unit_gradients import channel_scores

        return channel_scores(model, batches, PredictionSeeds(task, generator), self.reduce)

    @staticmethod
    def reduce(own: Tensor) -> Tensor:
        """Return what is averaged of the mask gradients of each sample."""
        return own.square()
