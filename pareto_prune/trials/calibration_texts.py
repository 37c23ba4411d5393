"""The training texts that int8 is calibrated on, and how far it may take predictions."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from pareto_prune.inputs.examples import Split, batches_by_length
from pareto_prune.inputs.sampling import sample, spread
from pareto_prune.inputs.tasks import Task
from pareto_prune.models.onnx_graph import CalibrationTexts
from pareto_prune.pruning.sensitivity import TEMPERATURE
from pareto_prune.trials.evaluation import inputs_of

MOST, LEAST = 64, 8
TOKENS = 2048
"""Of all texts together: every session in int8 runs them twice, in a trial too."""
_BATCH = 16


def calibration_texts(train: Split, task: Task, seed: int) -> CalibrationTexts:
    """Return some texts of the training split, stratified; their labels are not looked at.

    Args:
        train: the split.
        task: has the divergence, the one that says what cutting a sublayer costs.
        seed: of the draw.
    """
    count = max(LEAST, min(MOST, TOKENS // max(1, round(float(train.lengths.mean())))))
    drawn = train.take(np.sort(sample(spread(task, train, seed), count)[0]))
    batches = tuple(inputs_of(drawn, rows) for rows in batches_by_length(drawn, _BATCH))

    def divergence(logits: NDArray[np.float32], exact: NDArray[np.float32]) -> float:
        found, wanted = (torch.from_numpy(each).double() for each in (logits, exact))
        return float(task.divergence(found, wanted, TEMPERATURE).mean())

    return CalibrationTexts(batches, divergence)
