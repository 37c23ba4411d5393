"""The order in which optimal brain surgery removes the units."""

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
    from pareto_prune.pruning.database import PruningDatabase


@importances.register("obs")
@dataclass(frozen=True)
class Obs:
    """Predicted loss that a unit's presence avoids once all weaker ones are gone.

    Optimal brain surgery on the output projections (Kurtic et al. 2023, ZipLM, section 3.1): what
    the units that stay can make up for does not count.
    """

    needs_data: ClassVar[bool] = True
    needs_database: ClassVar[bool] = True

    def scores(
        self,
        model: PreTrainedModel,
        batches: Sequence[Batch],
        generator: torch.Generator,
        task: Task,
    ) -> UnitScores:
        """Return the scores of every unit, on the CPU, from a database made for this call."""
        from pareto_prune.pruning.database import build_database

        return self.of_database(build_database(model, batches, task, generator))

    def of_database(self, database: PruningDatabase) -> UnitScores:
        """Return the scores of every unit, on the CPU, from a database that is there."""
        return database.scores()

    def channels(
        self,
        model: PreTrainedModel,
        batches: Sequence[Batch],
        generator: torch.Generator,  # noqa: ARG002
        task: Task,  # noqa: ARG002
    ) -> Tensor:
        """Return what its readers lose with each hidden channel alone, shape (hidden,)."""
        from pareto_prune.pruning.channel_surgery import channel_losses

        return channel_losses(model, batches)
