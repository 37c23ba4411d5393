"""Agreement of two series of numbers whose pairs occur so many times, over bootstrap draws.

Every function takes numbers of shape (examples,) and counts of shape (…, examples), and returns
shape (…). What is not defined, as where one side never varies, is 0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pareto_prune.inputs.tasks._scores import Counts, Floats


def pearson(x: Floats, y: Floats, counts: Counts) -> Floats:
    """Return the correlation of pairs."""
    x, y = x - x.mean(), y - y.mean()
    columns = np.column_stack([np.ones_like(x), x, y, x * x, y * y, x * y])
    return _from_sums((counts @ columns).astype(np.float64))


def spearman(x: Floats, y: Floats, counts: Counts) -> Floats:
    """Return the correlation of the ranks that pairs have in each draw; ties share theirs."""
    middle = (counts.sum(-1, keepdims=True) + 1) / 2
    x, y = ranks_of(x, counts) - middle, ranks_of(y, counts) - middle
    return _ratio(
        *(np.einsum("...i,...i,...i", counts, *pair) for pair in ((x, y), (x, x), (y, y)))
    )


def explained(x: Floats, y: Floats, counts: Counts) -> Floats:
    """Return the share of the variance of ``x`` that ``y`` explains: R², below 0 for a bad one."""
    spread = x - x.mean()
    sums = counts @ np.column_stack([np.ones_like(x), spread, spread**2, (x - y) ** 2])
    total, one, square, error = np.moveaxis(sums, -1, 0)
    variance = square - one**2 / np.maximum(total, 1)
    return np.where(variance > 1e-12, 1 - error / np.maximum(variance, 1e-12), 0.0)


def ranks_of(values: Floats, counts: Counts) -> Floats:
    """Return the rank of each value among all, from 1, ties at the mean of theirs; (…, examples).

    Of a value that does not occur it says where it would stand.
    """
    _, group = np.unique(values, return_inverse=True)
    order = np.argsort(group, kind="stable")
    begins = np.flatnonzero(np.diff(group[order], prepend=-1))
    alike = np.add.reduceat(counts[..., order], begins, axis=-1)
    middle: Floats = alike.cumsum(-1) - (alike - 1) / 2
    return middle[..., group]


def _from_sums(sums: NDArray[np.float64]) -> Floats:
    """Return the correlation by count, Σx, Σy, Σx², Σy² and Σxy, shape (…, 6)."""
    total, one, two, one_one, two_two, both = np.moveaxis(sums, -1, 0)
    total = np.maximum(total, 1)
    return _ratio(both - one * two / total, one_one - one**2 / total, two_two - two**2 / total)


def _ratio(both: Floats, one: Floats, two: Floats) -> Floats:
    """Return a correlation by sums of products and squares around the means."""
    scale = np.sqrt(np.maximum(one * two, 0))
    return np.divide(both, scale, out=np.zeros_like(scale), where=scale > 1e-12)
