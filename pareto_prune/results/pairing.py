"""Which models can be told apart by their metric: paired, on the same validation examples.

The difference of two models is divided by its paired bootstrap error over the examples, to which
the spread over retrainings is added where there are several; the p-values of all comparisons with
one model are held to 5 % together (Holm 1979). Two models are told apart where both say so.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core.data_table import DataTable
from pareto_prune.core.outcomes import Outcomes
from pareto_prune.core.records import Study
from pareto_prune.inputs.pairs import resampled
from pareto_prune.inputs.tasks import Task, tasks

LEVEL = 0.05
DENSE = -1
"""Stands for the dense model where models are known by the number of their trial."""

Floats = NDArray[np.float64]
Kept = Sequence[Outcomes]
"""What a model said, once for each of its retrainings."""


def told_by(study: Study) -> Task | None:
    """Return the task that tells the outcomes of a study; ``None`` where it is not installed."""
    data = study.config.get("data")
    default = DataTable.model_fields["task"].default
    name = data.get("task", default) if isinstance(data, dict) else default
    return tasks.create(name) if name in tasks.names() else None


def alike(models: Mapping[int, Kept], task: Task | None, metric: str) -> dict[int, set[int]]:
    """Return which models each one cannot be told from; what was not kept has no entry."""
    kept = _on_the_same_examples(models)
    if task is None or not kept:
        return {}
    apart = _told_apart(_p_values(list(kept.values()), task, metric))
    numbers = np.array(list(kept))
    return {
        int(number): set(numbers[~row].tolist()) - {number}
        for number, row in zip(numbers, apart, strict=True)
    }


def _on_the_same_examples(models: Mapping[int, Kept]) -> dict[int, Kept]:
    """Return the models whose outcomes were kept, on as many examples as most have."""
    counts = Counter(kept[0].examples for kept in models.values() if kept)
    most = counts.most_common(1)[0][0] if counts else 0
    return {n: kept for n, kept in models.items() if kept and kept[0].examples == most}


def _p_values(models: Sequence[Kept], task: Task, metric: str) -> Floats:
    """Return the p-value of each difference, shape (models, models)."""
    every = resampled(task, metric, [one.array() for kept in models for one in kept])
    parts = np.split(every, np.cumsum([len(kept) for kept in models])[:-1], axis=1)
    drawn = np.column_stack([part.mean(1) for part in parts])
    error = np.atleast_2d(np.cov(drawn[1:], rowvar=False))
    error += np.diag([_retraining_variance(part[0]) for part in parts])
    own = np.diag(error)
    variance = np.maximum(own[:, None] + own - 2 * error, 0)
    difference = np.abs(drawn[0][:, None] - drawn[0])
    z = difference / np.sqrt(np.maximum(variance, 1e-18))
    return np.vectorize(math.erfc)(z / math.sqrt(2))


def _retraining_variance(metrics: Floats) -> float:
    return float(metrics.var(ddof=1) / len(metrics)) if len(metrics) > 1 else 0.0


def _told_apart(p_values: Floats) -> NDArray[np.bool_]:
    """Return which differences stand, shape (models, models)."""
    others = ~np.eye(len(p_values), dtype=bool)
    stands = np.zeros_like(others)
    for row, (p, mine) in enumerate(zip(p_values, others, strict=True)):
        stands[row, mine] = holm(p[mine])
    return np.asarray(stands & stands.T)


def holm(p_values: Floats) -> NDArray[np.bool_]:
    """Return which of several p-values are significant together (Holm 1979)."""
    order = np.argsort(p_values, kind="stable")
    limits = LEVEL / np.arange(len(p_values), 0, -1)
    passed = np.logical_and.accumulate(p_values[order] <= limits)
    found = np.zeros(len(p_values), dtype=bool)
    found[order] = passed
    return found


def kept(*outcomes: Outcomes | None) -> tuple[Outcomes, ...]:
    """Return the outcomes that were kept."""
    return tuple(one for one in outcomes if one is not None)
