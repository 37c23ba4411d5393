"""The first-order change of the task's loss when a unit goes."""

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


@importances.register("taylor")
@dataclass(frozen=True)
class Taylor:
    """Mean over samples of ``|Σ w · dL/dw|`` of a unit's output column, L the labelled loss.

    Molchanov et al. 2017, section 2.2 (the activation form, summed over tokens, the absolute value
    taken sample by sample). Without labels, of the gradients that tell the divergence.
    """

    needs_data: ClassVar[bool] = True

    def scores(
        self,
        model: PreTrainedModel,
        batches: Sequence[Batch],
        generator: torch.Generator,
        task: Task,
    ) -> UnitScores:
        """Return the scores of every unit, on the CPU; one backward pass over the batches.

        Raises:
            TrialError: the batches have no labels.
        """
        from pareto_prune.pruning.seeds import loss_seeds
        from pareto_prune.pruning.unit_gradients import unit_scores

        return unit_scores(model, batches, loss_seeds(task, generator), lambda own: own.abs())

    def channels(
        self,
        model: PreTrainedModel,
        batches: Sequence[Batch],
        generator: torch.Generator,
        task: Task,
    ) -> Tensor:
        """Return the same for a mask over the hidden channels, shape (hidden,)."""
        from pareto_prune.pruning.seeds import loss_seeds
        from pareto_prune.pruning.unit_gradients import channel_scores

        return channel_scores(model, batches, loss_seeds(task, generator), lambda own: own.abs())
