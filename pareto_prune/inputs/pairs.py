"""Two models on the same examples: what is hard for both cancels out.

Efron and Tibshirani 1993, sections 6.4 and 8.3: both are scored on the same bootstrap draws.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core.records import Difference
from pareto_prune.inputs.tasks import _scores

if TYPE_CHECKING:
    from pareto_prune.inputs.examples import Split
    from pareto_prune.inputs.tasks import Task

DRAWS = 400
"""Enough for a standard error to 4 %."""


def differences(
    task: Task,
    logits: NDArray[np.float32],
    other: NDArray[np.float32],
    split: Split,
    read: Split | None = None,
) -> dict[str, Difference]:
    """Return every metric of ``logits`` less that of ``other``, with paired 95 % intervals.

    ``read`` is what the other one read, the same examples, where its tokens are others.
    """
    both = [task.outcomes(logits, split), task.outcomes(other, read or split)]
    return {
        metric.name: _scores.difference(
            np.hstack(both), partial(task.score, metric.name), both[0].shape[1]
        )
        for metric in task.metrics
    }


def resampled(task: Task, metric: str, outcomes: Sequence[NDArray[Any]]) -> _scores.Floats:
    """Return a metric of models on the same bootstrap draws of the examples.

    Args:
        task: that told the outcomes.
        metric: its name.
        outcomes: of each model on the same examples.

    Returns:
        Shape (1 + draws, models); the first row is of the examples as they are.
    """
    counts = _counts(len(outcomes[0]))
    return np.column_stack([task.score(metric, found, counts) for found in outcomes])


@lru_cache(maxsize=1)
def _counts(examples: int) -> _scores.Counts:
    """Return how often each draw has each example, shape (1 + draws, examples)."""
    drawn = np.random.default_rng(0).integers(examples, size=(DRAWS, examples))
    places = drawn + examples * np.arange(DRAWS)[:, None]
    counts = np.bincount(places.reshape(-1), minlength=DRAWS * examples)
    return np.vstack([np.ones((1, examples), np.int64), counts.reshape(DRAWS, examples)])
