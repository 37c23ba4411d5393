"""How well passages are ranked by their scores, query by query, and what any order reaches.

Passages of one score stand in an order that has nothing to do with their relevance or their place
in the data, so that a model that says the same of all is at chance.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pareto_prune.inputs.examples import Indices

TOP = 10

Floats = NDArray[np.float64]


def by_query(scores: Floats, relevance: Floats, queries: Indices) -> Floats:
    """Return nDCG at 10 and the reciprocal rank of the first relevant passage; (queries, 2).

    nDCG has linear gains and discounts by the binary logarithm (Järvelin and Kekäläinen 2002).
    Queries without a relevant passage are left out: no order of theirs is better than another.

    Args:
        scores: of passages, shape (passages,).
        relevance: theirs, 0 or above.
        queries: that each belongs to.
    """
    mixed = np.random.default_rng(0).permutation(len(scores))
    order = mixed[np.lexsort((-scores[mixed], queries[mixed]))]
    parts = np.split(relevance[order], np.flatnonzero(np.diff(queries[order])) + 1)
    found = [(_ndcg(part), _reciprocal_rank(part)) for part in parts if part.max(initial=0) > 0]
    return np.array(found, dtype=np.float64).reshape(len(found), 2)


def chance(relevance: Floats, queries: Indices) -> Floats:
    """Return the mean of both over all orders of each query's passages; shape (2,)."""
    parts = (relevance[queries == query] for query in np.unique(queries))
    found = [(_mean_ndcg(part), _mean_rank(part)) for part in parts if part.max() > 0]
    mean: Floats = np.array(found).reshape(-1, 2).mean(0)
    return mean


def _discounts(passages: int) -> Floats:
    discounts: Floats = 1 / np.log2(np.arange(2, 2 + min(passages, TOP)))
    return discounts


def _ndcg(ranked: Floats) -> float:
    discounts = _discounts(len(ranked))
    ideal = np.sort(ranked)[::-1][: len(discounts)] @ discounts
    return float(ranked[: len(discounts)] @ discounts / ideal)


def _reciprocal_rank(ranked: Floats) -> float:
    return 1 / (1 + int(np.argmax(ranked > 0)))


def _mean_ndcg(part: Floats) -> float:
    discounts = _discounts(len(part))
    ideal = np.sort(part)[::-1][: len(discounts)] @ discounts
    return float(part.mean() * discounts.sum() / ideal)


def _mean_rank(part: Floats) -> float:
    """Return the mean of 1/rank of the first relevant one: no other stands before it."""
    total, relevant = len(part), int((part > 0).sum())
    mean, none_yet = 0.0, 1.0
    for rank in range(1, total - relevant + 2):
        hit = relevant / (total - rank + 1)
        mean += none_yet * hit / rank
        none_yet *= 1 - hit
    return mean
