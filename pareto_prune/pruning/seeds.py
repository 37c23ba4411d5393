"""What a backward pass starts from at the logits: one row a sample, so gradients stay apart."""

from __future__ import annotations

import torch
from torch import Tensor

from pareto_prune.core.errors import TrialError
from pareto_prune.pruning.context import Batch

IGNORED = -100


class PredictionSeeds:
    """Gradients whose outer product is the Fisher matrix under the model's own predictions.

    The Fisher matrix at the logits is ``F = diag(p) − p pᵀ``; a seed is ``F^½ v`` with random
    signs v, so ``E[s sᵀ] = F`` and ``½ (s · J δ)²`` estimates, without bias, the divergence
    KL(p ‖ p') that a small change δ causes (K-prune, Park et al. 2024, section 4.1, takes the
    expectation over classes one by one). With two classes F has rank one and no sign matters.

    Args:
        generator: of the signs, on the CPU.
        temperature: softens the predictions, so that confident samples count too.
    """

    def __init__(self, generator: torch.Generator, temperature: float = 2.0) -> None:
        self.generator, self.temperature = generator, temperature

    def __call__(self, logits: Tensor, batch: Batch) -> Tensor:
        """Return the seeds: the shape of ``logits``, (batch, classes) or (batch, tokens, ·).

        Raises:
            TrialError: the logits are not finite.
        """
        if not bool(logits.isfinite().all()):
            raise TrialError("not_finite", "the model's logits are not finite")
        p = (logits.double() / self.temperature).softmax(-1)
        fisher = torch.diag_embed(p) - p[..., :, None] * p[..., None, :]
        values, vectors = torch.linalg.eigh(fisher)
        draws = torch.rand(p.shape, generator=self.generator, dtype=p.dtype)
        signs = ((draws < 0.5) * 2 - 1).to(p)
        seeds = (vectors @ (values.clamp_min(0).sqrt() * signs)[..., None])[..., 0]
        return scored(seeds, batch).to(logits.dtype)


def label_seeds(logits: Tensor, batch: Batch) -> Tensor:
    """Return the gradient of each sample's cross-entropy at its logits: ``p − y``.

    Raises:
        TrialError: the batch has no labels.
    """
    if "labels" not in batch:
        raise TrialError("no_labels", "the calibration data has no labels to take a loss of")
    labels = batch["labels"]
    seeds = logits.softmax(-1)
    target = labels.clamp_min(0)[..., None]
    seeds = seeds.scatter_add(-1, target, torch.full_like(seeds[..., :1], -1.0))
    return scored(seeds, batch)


def scored(seeds: Tensor, batch: Batch) -> Tensor:
    """Set to 0 what belongs to tokens that are not scored; the shape is (batch[, tokens], any)."""
    if seeds.dim() == 2:
        return seeds
    labels = batch.get("labels")
    scored = batch["attention_mask"].bool() if labels is None else labels != IGNORED
    return seeds * scored[..., None].to(seeds)
