"""Logits of a model on a split, and its quality."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from pareto_prune.examples import Split, batches_by_length
from pareto_prune.precision import Precision, forward_precision
from pareto_prune.progress import Progress
from pareto_prune.records import Quality
from pareto_prune.tasks import Task

BATCH = 32


@torch.inference_mode()
def logits_of(
    model: PreTrainedModel,
    split: Split,
    batch_size: int = BATCH,
    progress: Progress | None = None,
    precision: Precision = "float32",
) -> NDArray[np.float32]:
    """Return the logits of every example, in the order of the split.

    Runs in batches of similar length, longest first, so that little padding is computed and a
    lack of memory shows at once. Dropout is off; the model's mode is as before afterwards.

    Args:
        model: runs on the device it is on.
        split: the examples.
        batch_size: examples a batch.
        progress: advanced by one a batch.
        precision: ``auto`` is about twice as fast where bfloat16 is, and off by some 0.01.

    Returns:
        Shape (examples, classes), or (tokens, classes) if the split is ``by_token``.
    """
    targets = split.offsets[-1] if split.by_token else len(split)
    logits = np.empty((targets, len(split.label_names)), dtype=np.float32)
    training = model.training
    model.eval()
    for rows in batches_by_length(split, batch_size):
        inputs = split.batch(rows, model.device)
        del inputs["labels"]
        with forward_precision(model, precision):
            found = model(**inputs, return_dict=True).logits.float().cpu().numpy()
        logits[split.targets(rows)] = found[split.inside(rows)] if split.by_token else found
        if progress is not None:
            progress.advance()
    model.train(training)
    return logits


def evaluate(model: PreTrainedModel, split: Split, task: Task, batch_size: int = BATCH) -> Quality:
    """Return every metric of the task on a split, with intervals."""
    return task.quality(logits_of(model, split, batch_size), split)
