"""How alike two sets of vectors of the same texts see the texts: what a search by them would find.

Both scores are means over texts of one number each, so that a bootstrap over texts needs no more
than how often each is drawn. Of a rank correlation that number is its influence (infinitesimal
jackknife, Efron and Tibshirani 1993, section 21.3): the mean is the correlation itself, and the
spread is right to first order.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NEAREST = 10
ANCHORS = 512
"""Texts that each text is compared with for the rank correlation, itself apart."""
_BLOCK = 1024


def units(vectors: NDArray[np.floating]) -> Floats:
    """Return vectors at length 1; one of zeros stays."""
    wide = vectors.astype(np.float64)
    return wide / np.maximum(np.linalg.norm(wide, axis=-1, keepdims=True), 1e-12)


def agreement(own: Floats, dense: Floats) -> Floats:
    """Return what each text adds to Spearman's correlation of the similarities of pairs.

    Each text is paired with all others, or with 512 of them, evenly spaced, where there are more.

    Args:
        own: vectors of the texts at length 1, shape (texts, dimensions).
        dense: those of the dense model.

    Returns:
        Shape (texts,); the mean is the correlation.
    """
    texts = len(own)
    anchors = np.unique(np.linspace(0, texts - 1, min(texts, ANCHORS)).astype(np.int64))
    others = np.arange(texts)[:, None] != anchors
    first, second = ((one @ one[anchors].T)[others] for one in (own, dense))
    correlation, moved = influences(first, second)
    pairs = np.zeros(others.shape)
    pairs[others] = moved
    influence = pairs.sum(1)
    influence[anchors] += pairs.sum(0)
    return np.asarray(correlation + texts / others.sum() * influence)


def influences(x: Floats, y: Floats) -> tuple[float, Floats]:
    """Return Spearman's correlation of two columns, and how each row moves it; the mean is 0.

    To first order a further row (x, y) of weight ε moves it by ε times
    ``12 ((F − ½)(G − ½) + E[G − ½; X ≥ x] + E[F − ½; Y ≥ y]) − 3 ρ``, where F and G are the
    shares of rows below (Croux and Dehon 2010).
    """
    below = [_below(column) - 0.5 for column in (x, y)]
    spread = float(np.sqrt(np.prod([np.square(part).mean() for part in below])))
    correlation = float((below[0] * below[1]).mean() / spread) if spread > 0 else 0.0
    moved = below[0] * below[1] + _above(x, below[1]) + _above(y, below[0])
    return correlation, 12 * (moved - moved.mean())


def _below(column: Floats) -> Floats:
    """Return the share of rows with less in ``column``, half of those that are equal included."""
    _, place, counts = np.unique(column, return_inverse=True, return_counts=True)
    return np.asarray(((counts.cumsum() - counts / 2) / len(column))[place])


def _above(column: Floats, numbers: Floats) -> Floats:
    """Return the sum of ``numbers`` over rows with more in ``column``, half of the row's own."""
    order = np.argsort(column, kind="stable")
    inside = numbers[order]
    found = np.empty_like(inside)
    found[order] = inside[::-1].cumsum()[::-1] - inside / 2
    return found / len(column)


def kept_neighbours(own: Floats, dense: Floats) -> Floats:
    """Return the share of each text's ten nearest by ``dense`` that are among those by ``own``.

    Args:
        own: vectors of the texts at length 1, shape (texts, dimensions).
        dense: those of the dense model.
    """
    found = np.empty(len(own))
    for begin in range(0, len(own), _BLOCK):
        rows = np.arange(begin, min(begin + _BLOCK, len(own)))
        nearest = [_nearest(one, rows) for one in (own, dense)]
        found[rows] = (nearest[0][:, :, None] == nearest[1][:, None]).any(1).mean(1)
    return found


def _nearest(vectors: Floats, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the nearest other texts of some, shape (rows, 10), in no order."""
    similar = vectors[rows] @ vectors.T
    similar[np.arange(len(rows)), rows] = -np.inf
    count = min(NEAREST, len(vectors) - 1)
    return np.argpartition(-similar, count - 1, axis=-1)[:, :count]
