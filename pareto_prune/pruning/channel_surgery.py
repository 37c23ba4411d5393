"""Optimal brain surgery of single hidden channels: what the readers of the stream lose with one."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pareto_prune.inputs.batch import Batch
from pareto_prune.models.families import family_of
from pareto_prune.pruning.moments import InputMoments
from pareto_prune.pruning.sweep import resting, run


def channel_losses(model: PreTrainedModel, batches: Sequence[Batch]) -> Tensor:
    """Return the output error that removing each hidden channel alone leaves, shape (hidden,).

    For every reader of the residual stream (q, k and v; ``W_1`` and its gate) with weights R and
    input covariance C: ``‖R_j‖² / (C⁻¹)_jj``, the error after all other channels have made up for
    it (Hassibi and Stork 1993, section 3), as a share of what the reader gives; the mean of all.
    """
    readers = _readers(model)
    found = [_Reader(weights) for weights, _ in readers]
    with resting(model), ExitStack() as hooks:
        for reader, (_, module) in zip(found, readers, strict=True):
            hooks.callback(module.register_forward_pre_hook(reader.watch).remove)
        for batch in batches:
            for reader in found:
                reader.real = batch["attention_mask"].bool()
            run(model, batch, None)
    return torch.stack([reader.losses() for reader in found]).mean(0).float()


def _readers(model: PreTrainedModel) -> list[tuple[Tensor, nn.Module]]:
    """Return stacked weights and the module whose input they read, for every sublayer."""
    family = family_of(model)
    return [
        (torch.cat(sublayer.blocks()).detach(), sublayer.reader)
        for layer in family.layers(model)
        for sublayer in family.sublayers(layer)
    ]


class _Reader:
    """Sums up what one reader reads."""

    real: Tensor

    def __init__(self, weights: Tensor) -> None:
        self.weights = weights
        self.inputs = InputMoments(weights.shape[1], weights.device)

    def watch(self, _: nn.Module, args: tuple[Any, ...]) -> None:
        """Add one batch, shape (batch, tokens, hidden)."""
        self.inputs.add(args[0][self.real])

    def losses(self) -> Tensor:
        """Return each channel's share of the reader's output, shape (hidden,), on the CPU."""
        covariance, _ = self.inputs.covariance()
        weights = self.weights.double().cpu()
        inverse = torch.cholesky_inverse(torch.linalg.cholesky(covariance))
        total = (weights @ covariance * weights).sum()
        return weights.square().sum(0) / inverse.diagonal() / total
