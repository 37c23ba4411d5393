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
    from pareto_prune.inputs.tasks import Task

DRAWS = 400
"""Enough for a standard error to 4 %."""


def differences(task: Task, outcomes: NDArray[Any], other: NDArray[Any]) -> dict[str, Difference]:
    """Return every metric of a model less that of another, with paired 95 % intervals.

    Args:
        task: that told the outcomes.
        outcomes: of the model, shape (examples, numbers).
        other: of the other model on the same examples.
    """
    both, width = np.hstack([outcomes, other]), outcomes.shape[1]
    return {
        metric.name: _scores.difference(both, partial(task.score, metric.name), width)
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
