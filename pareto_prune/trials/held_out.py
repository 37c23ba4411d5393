"""How a model does on training data that no trial learns from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from pareto_prune.inputs.examples import Split, labelled
from pareto_prune.inputs.tasks import Task
from pareto_prune.trials.evaluation import logits_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True, eq=False)
class HeldOut:
    """A slice of the training split, and what the dense model says to it.

    Attributes:
        split: the slice.
        dense: the dense model's logits, shape (targets, outputs).
        task: has loss and divergence.
    """

    split: Split
    dense: NDArray[np.float32]
    task: Task

    def divergence(self, model: PreTrainedModel) -> float:
        """Return the mean divergence from the dense predictions, in nats."""
        logits, dense, _ = self._scored(model)
        return float(self.task.divergence(logits, dense, 1.0).mean())

    def loss(self, model: PreTrainedModel, distillation: float, temperature: float) -> float:
        """Return what a fine-tune minimises: see :func:`~pareto_prune.trials.finetune.finetune`."""
        logits, dense, labels = self._scored(model)
        distilled = self.task.divergence(logits, dense, temperature).mean()
        own = self.task.loss(logits, labels)
        return float((1 - distillation) * own + distillation * distilled)

    def _scored(self, model: PreTrainedModel) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Return logits, the dense model's, and labels, of what has a label."""
        labels = torch.from_numpy(self.split.labels)
        known = labelled(labels)
        found = (logits_of(model, self.split), self.dense)
        logits, dense = (torch.from_numpy(one)[known] for one in found)
        return logits, dense, labels[known]
