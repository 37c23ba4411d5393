"""Logits of a model on a split, and its quality."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import PreTrainedModel

from pareto_prune.core.outcomes import Outcomes
from pareto_prune.core.progress import Progress
from pareto_prune.core.records import Quality
from pareto_prune.inputs.examples import Indices, Split, batches_by_length
from pareto_prune.inputs.tasks import Task
from pareto_prune.trials.precision import Precision, forward_precision

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
        Shape (targets, outputs): a row an example, or a row a token if the split is ``by_token``.
    """

    def run(rows: Indices) -> NDArray[np.float32]:
        inputs = split.batch(rows, model.device)
        del inputs["labels"]
        with forward_precision(model, precision):
            found: NDArray[np.float32] = (
                model(**inputs, return_dict=True).logits.float().cpu().numpy()
            )
        if progress is not None:
            progress.advance()
        return found

    training = model.training
    model.eval()
    logits = _by_batches(split, batch_size, run)
    model.train(training)
    return logits


def logits_by(
    call: Callable[[Mapping[str, NDArray[np.int64]]], NDArray[np.float32]],
    split: Split,
    batch_size: int = BATCH,
) -> NDArray[np.float32]:
    """Return the logits of every example by another engine, as :func:`logits_of` does.

    Args:
        call: from inputs of shape (batch, tokens), token types included, to logits.
        split: the examples.
        batch_size: examples a batch.
    """

    def run(rows: Indices) -> NDArray[np.float32]:
        return call(inputs_of(split, rows))

    return _by_batches(split, batch_size, run)


def inputs_of(split: Split, rows: Indices) -> dict[str, NDArray[np.int64]]:
    """Return a batch as any engine takes it, shape (batch, tokens) each, token types included."""
    inputs = {name: tensor.numpy() for name, tensor in split.batch(rows).items()}
    del inputs["labels"]
    return {"token_type_ids": np.zeros_like(inputs["input_ids"])} | inputs


def _by_batches(
    split: Split, size: int, run: Callable[[Indices], NDArray[np.float32]]
) -> NDArray[np.float32]:
    logits = np.empty((len(split.labels), len(split.label_names)), dtype=np.float32)
    for rows in batches_by_length(split, size):
        logits[split.targets(rows)] = split.outputs(run(rows), rows)
    return logits


def evaluate(model: PreTrainedModel, split: Split, task: Task, batch_size: int = BATCH) -> Quality:
    """Return every metric of the task on a split, with intervals."""
    return task.quality(logits_of(model, split, batch_size), split)


def with_outcomes(logits: NDArray[np.float32], split: Split, task: Task) -> Quality:
    """Return every metric, and what became of each example."""
    outcomes = Outcomes.of(task.outcomes(logits, split))
    return task.quality(logits, split).model_copy(update={"outcomes": outcomes})
