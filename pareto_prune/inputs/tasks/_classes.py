"""What tasks have in common whose outputs are the logits of classes: one of them is right.

The divergence is that of the predicted probabilities. At a temperature T they are softened, so
that samples that a model is sure of count too, and the divergence is multiplied by T², which keeps
its gradients at their size (Hinton et al. 2015, section 2).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pareto_prune.core.objectives import metric
from pareto_prune.inputs.examples import IGNORED
from pareto_prune.inputs.tasks._labelled import Labelled

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray
    from torch import Tensor

ACCURACY = metric("accuracy", "accuracy", share=True)


class ClassLogits(Labelled):
    """Loss, divergence and seeds of a task whose outputs are classes."""

    def loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Return the mean cross-entropy; logits (…, classes), labels (…)."""
        from torch.nn.functional import cross_entropy

        return cross_entropy(logits.flatten(0, -2), labels.flatten(), ignore_index=IGNORED)

    def divergence(self, logits: Tensor, dense: Tensor, temperature: float) -> Tensor:
        """Return ``T² KL(dense ‖ logits)`` at temperature T, in nats; both (…, classes)."""
        wanted, found = ((one / temperature).log_softmax(-1) for one in (dense, logits))
        return temperature**2 * (wanted.exp() * (wanted - found)).sum(-1)

    def seeds(self, logits: Tensor, temperature: float, generator: torch.Generator) -> Tensor:
        """Return ``F^½ v`` with random signs v; F is the Fisher matrix ``diag(p) − p pᵀ``.

        p are the model's own predictions (K-prune, Park et al. 2024, section 4.1, takes the
        expectation over classes one by one). With two classes F has rank one and no sign matters.
        """
        import torch

        p = (logits.double() / temperature).softmax(-1)
        fisher = torch.diag_embed(p) - p[..., :, None] * p[..., None, :]
        values, vectors = torch.linalg.eigh(fisher)
        draws = torch.rand(p.shape, generator=generator, dtype=p.dtype)
        signs = ((draws < 0.5) * 2 - 1).to(p)
        return (vectors @ (values.clamp_min(0).sqrt() * signs)[..., None])[..., 0]


def probabilities(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the probabilities of the classes, over the last dimension."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    shares: NDArray[np.float64] = shifted / shifted.sum(-1, keepdims=True)
    return shares
