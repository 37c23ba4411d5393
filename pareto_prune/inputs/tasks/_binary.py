"""What tasks have in common whose outputs are each the logit of a yes or no of its own.

The divergence is that of the predicted probabilities, outputs added up; a temperature softens it as
in :mod:`pareto_prune.inputs.tasks._classes`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from pareto_prune.inputs.tasks._labelled import Labelled

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor


class BinaryLogits(Labelled):
    """Loss, divergence and seeds of a task whose outputs are yes or no."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the binary cross-entropy, outputs added up, in nats; both (…, outputs)."""
        from torch.nn.functional import binary_cross_entropy_with_logits

        wanted = labels.to(logits)
        each = binary_cross_entropy_with_logits(logits, wanted, reduction="none")
        return each.sum(-1).mean()

    def first_guess(self, labels: NDArray[Any]) -> NDArray[np.float64] | None:
        """Return the log-odds of each yes; counted once more, so that none is certain."""
        shares = (labels.sum(0) + 0.5) / (len(labels) + 1)
        return np.asarray(np.log(shares / (1 - shares)), dtype=np.float64)

    def divergence(self, logits: Tensor, dense: Tensor, temperature: float) -> Tensor:
        """Return ``T² Σ KL(dense ‖ logits)`` of the outputs at temperature T, in nats."""
        from torch.nn.functional import logsigmoid

        found, wanted = logits / temperature, dense / temperature
        there = logsigmoid(wanted) - logsigmoid(found)
        away = logsigmoid(-wanted) - logsigmoid(-found)
        share = wanted.sigmoid()
        return temperature**2 * (share * there + (1 - share) * away).sum(-1)

    def seeds(self, logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
        """Return ``(p (1 − p))^½`` with random signs: outputs vary each by itself."""
        import torch

        shares = (logits / temperature).sigmoid()
        draws = torch.rand(logits.shape, generator=generator)
        return (shares * (1 - shares)).sqrt() * ((draws < 0.5) * 2 - 1).to(logits)


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probability of each yes."""
    shares: NDArray[np.float64] = 1 / (1 + np.exp(-logits.astype(np.float64)))
    return shares


def mean_loss(logits: NDArray[np.float32], labels: NDArray[np.float64]) -> float:
    """Return the loss of examples; both (examples, outputs)."""
    z = logits.astype(np.float64)
    return float((np.logaddexp(0, z) - labels * z).sum(-1).mean())
