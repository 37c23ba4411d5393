"""The L2 norm of a unit's weights."""

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


@importances.register("l2")
@dataclass(frozen=True)
class L2:
    """Root mean square weight of a unit: rows of q, k, v and W_1, columns of W_o and W_2."""

    needs_data: ClassVar[bool] = False

    def scores(
        self,
        model: PreTrainedModel,
        batches: Sequence[Batch],  # noqa: ARG002
        generator: torch.Generator,  # noqa: ARG002
        task: Task,  # noqa: ARG002
    ) -> UnitScores:
        """Return the norms of :func:`pareto_prune.pruning.norms.unit_norms`, on the CPU."""
        from pareto_prune.pruning.norms import detached, unit_norms

        return detached(unit_norms(model, 2))

    def channels(
        self,
        model: PreTrainedModel,
        batches: Sequence[Batch],  # noqa: ARG002
        generator: torch.Generator,  # noqa: ARG002
        task: Task,  # noqa: ARG002
    ) -> Tensor:
        """Return the norm of every hidden channel's weights, shape (hidden,)."""
        from pareto_prune.pruning.norms import channel_norms

        return channel_norms(model, 2)
