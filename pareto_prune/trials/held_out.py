"""How far a model is from the dense one on texts that it does not learn from."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from pareto_prune.inputs.examples import Indices, Split, TaskData, labelled
from pareto_prune.inputs.sampling import holdout
from pareto_prune.inputs.tasks import Task, tasks
from pareto_prune.trials.evaluation import logits_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


MOST = 512
"""Training examples, a tenth of them at most, that no trial learns from."""


def held_out(data: TaskData, seed: int) -> tuple[Indices, Indices]:
    """Return the training rows that trials learn from, and those that are held out."""
    examples = min(MOST, max(1, len(data.train) // 10))
    return holdout(tasks.create(data.task), data.train, examples, seed)


@dataclass(frozen=True, eq=False)
class HeldOut:
    """Some texts, and what the dense model says to them. Their labels are not looked at.

    Attributes:
        split: the texts.
        dense: the dense model's logits, shape (targets, outputs).
        task: has the divergence.
    """

    split: Split
    dense: NDArray[np.float32]
    task: Task

    def divergence(self, model: PreTrainedModel, temperature: float = 1.0) -> float:
        """Return the mean divergence from the dense predictions, in nats."""
        known = labelled(torch.from_numpy(self.split.labels))
        found = (logits_of(model, self.split), self.dense)
        logits, dense = (torch.from_numpy(one)[known] for one in found)
        return float(self.task.divergence(logits, dense, temperature).mean())


class Unseen:
    """Texts that the dense model has not learned from either: some of the validation split.

    On those it has learned from, a model that was only cut and repaired still says what the dense
    one has learned by heart, and any training looks harmful.

    Args:
        model: the dense model.
        validation: the split.
        rows: of the texts in it.
    """

    def __init__(self, model: PreTrainedModel, validation: Split, rows: Indices) -> None:
        self._model, self._validation, self.rows = model, validation, rows

    @cached_property
    def dense(self) -> NDArray[np.float32]:
        """The dense model's logits, shape (targets, outputs)."""
        return logits_of(self._model, self._validation.take(self.rows))
