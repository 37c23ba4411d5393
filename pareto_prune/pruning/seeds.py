"""What a backward pass starts from at the logits: one row a sample, so gradients stay apart.

Which they are, the task says; here they are checked, and set to 0 at what is not scored.
"""

from __future__ import annotations

import torch
from torch import Tensor

from pareto_prune.core.errors import TrialError
from pareto_prune.inputs.batch import Batch
from pareto_prune.inputs.examples import labelled
from pareto_prune.inputs.tasks import Task


class PredictionSeeds:
    """Gradients that tell the divergence from the dense predictions, of any small change.

    Args:
        task: has them: :meth:`pareto_prune.inputs.tasks.Task.seeds`.
        generator: of what is random in them, on the CPU.
        temperature: softens the predictions, so that confident samples count too.
    """

    def __init__(self, task: Task, generator: torch.Generator, temperature: float = 2.0) -> None:
        self.task, self.generator, self.temperature = task, generator, temperature

    def __call__(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the seeds: the shape of ``logits``, (batch, outputs) or (batch, tokens, ·).

        Raises:
            TrialError: the logits are not finite.
        """
        if not bool(logits.isfinite().all()):
            raise TrialError("not_finite", "the model's logits are not finite")
        seeds = self.task.seeds(logits, self.temperature, self.generator)
        return scored(seeds, batch).to(logits.dtype)


class LabelSeeds:
    """The gradient of each target's loss at its logits.

    Args:
        task: has the loss.
    """

    def __init__(self, task: Task) -> None:
        self.task = task

    def __call__(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the seeds: the shape of ``logits``; 0 where there is no label.

        Raises:
            TrialError: the batch has no labels.
        """
        if "labels" not in batch:
            raise TrialError("no_labels", "the calibration data has no labels to take a loss of")
        known = labelled(batch["labels"])
        with torch.enable_grad():
            own = logits[known].requires_grad_(True)
            total = self.task.loss(own, batch["labels"][known]) * len(own)
            (gradient,) = torch.autograd.grad(total, own)
        seeds = torch.zeros_like(logits)
        seeds[known] = gradient
        return seeds


def loss_seeds(task: Task, generator: torch.Generator) -> LabelSeeds | PredictionSeeds:
    """Return the gradients of the task's loss at the dense model.

    Where that model is the teacher its loss is at its least, without a gradient: those that tell
    its divergence stand in. ``generator`` is of what is random in these.
    """
    return PredictionSeeds(task, generator) if task.taught else LabelSeeds(task)


def scored(seeds: Tensor, batch: Batch) -> Tensor:
    """Set to 0 what belongs to tokens that are not scored; the shape is (batch[, tokens], any)."""
    if seeds.dim() == 2:
        return seeds
    labels = batch.get("labels")
    known = batch["attention_mask"].bool() if labels is None else labelled(labels)
    return seeds * known[..., None].to(seeds)
