"""The probability from which on a label is given, tuned for F1 on examples of its own.

Each label that is there often enough has its own threshold; what is tuned on few examples is noise,
so that the others share the threshold which is best for all labels together (Yang 2001, "A Study of
Thresholding Strategies for Text Categorization": SCut with a fallback).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

OFTEN = 20
"""Examples with a label from which on it has a threshold of its own."""

Floats = NDArray[np.float64]


def best(shares: Floats, there: NDArray[np.bool_]) -> Floats:
    """Return the threshold of every label, shape (labels,); both arguments (examples, labels)."""
    found = np.full(shares.shape[1], of_best_f1(shares.reshape(-1), there.reshape(-1)))
    for label in np.flatnonzero(there.sum(0) >= OFTEN):
        found[label] = of_best_f1(shares[:, label], there[:, label])
    return found


def of_best_f1(shares: Floats, there: NDArray[np.bool_]) -> float:
    """Return the threshold of the best F1, halfway between two probabilities; 0.5 without any."""
    if not there.any():
        return 0.5
    order = np.argsort(-shares, kind="stable")
    right, given = there[order].cumsum(), np.arange(1, len(order) + 1)
    below = np.append(shares[order][1:], 0.0)
    f1 = np.where(shares[order] > below, 2 * right / (given + there.sum()), -1.0)
    at = int(f1.argmax())
    return float((shares[order][at] + below[at]) / 2)
