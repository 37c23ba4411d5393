"""Each sample's gradient at a mask over the units, summed up into scores.

A mask multiplied into what a projection reads has, at 1, the gradient ``Σ_tokens x · dL/dx``: for a
unit, the sum of weight × gradient over its column. No mask is made; x and dL/dx are there anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pareto_prune.inputs.batch import Batch
from pareto_prune.models.families import architecture, family_of, head_size
from pareto_prune.models.layout import find
from pareto_prune.pruning.scores import UnitScores
from pareto_prune.pruning.sweep import Seeds, resting, run, sweep

Reduce = Callable[[Tensor], Tensor]


class UnitSums:
    """Sums over samples of each unit's mask gradient, reduced, from what a sweep shows.

    Args:
        model: dense.
        reduce: element by element, of gradients of shape (batch, units).
    """

    def __init__(self, model: PreTrainedModel, reduce: Reduce) -> None:
        shape, self._size, self._reduce = architecture(model), head_size(model.config), reduce
        counts = [count for layer in shape.layers for count in (layer.heads, layer.neurons)]
        self._sums = [
            torch.zeros(count, dtype=torch.float64, device=model.device) for count in counts
        ]

    def add(self, index: int, x: Tensor, gradient: Tensor) -> None:
        """Add one batch of projection ``index``: what a sweep calls ``units`` with."""
        own = (x * gradient).sum(1)
        if index % 2 == 0:
            own = own.view(len(own), -1, self._size).sum(-1)
        self._sums[index] += self._reduce(own.double()).sum(0)

    def scores(self, samples: int) -> UnitScores:
        """Return the means, on the CPU."""
        means = [(total / samples).float().cpu() for total in self._sums]
        return UnitScores(heads=tuple(means[::2]), neurons=tuple(means[1::2]))


def unit_scores(
    model: PreTrainedModel, batches: Sequence[Batch], seeds: Seeds, reduce: Reduce
) -> UnitScores:
    """Return the mean over samples of ``reduce`` of each unit's mask gradient.

    Args:
        model: dense; unchanged.
        batches: calibration inputs.
        seeds: what the backward pass starts from.
        reduce: element by element, of gradients of shape (batch, units).
    """
    sums = UnitSums(model, reduce)
    sweep(model, batches, seeds, units=sums.add)
    return sums.scores(sum(len(batch["attention_mask"]) for batch in batches))


def channel_scores(
    model: PreTrainedModel, batches: Sequence[Batch], seeds: Seeds, reduce: Reduce
) -> Tensor:
    """Return the same of a mask multiplied into every residual stream at once, shape (hidden,)."""
    hidden = int(model.config.hidden_size)
    total = torch.zeros(hidden, dtype=torch.float64, device=model.device)
    samples = 0
    with resting(model), ExitStack() as hooks:
        streams = _Streams()
        for module in _stream_writers(model):
            hooks.callback(module.register_forward_hook(streams.watch).remove)
        for batch in batches:
            streams.begin(batch)
            run(model, batch, seeds)
            total += reduce(streams.gradient).sum(0)
            samples += len(batch["attention_mask"])
    return (total / samples).float().cpu()


def _stream_writers(model: PreTrainedModel) -> Iterator[nn.Module]:
    """Yield the modules whose outputs are the residual stream, or what sublayers read of it."""
    family = family_of(model)
    below, behind = family.stream_norms(model)
    yield from below
    if not family.paths.projects_first and find(model.base_model, family.paths.projection):
        yield from family.stream_writers(model)
    for layer in family.layers(model):
        yield from family.norms(layer)
    yield from behind


class _Streams:
    """Sums x · dL/dx of one batch over tokens and over all places that write the stream."""

    gradient: Tensor

    def begin(self, batch: Batch) -> None:
        """Forget the last batch."""
        self.real = batch["attention_mask"].bool()[..., None]
        self.gradient = torch.zeros(0)

    def watch(self, _: nn.Module, __: tuple[Any, ...], output: Tensor) -> Tensor:
        """Let the gradient at an output be added when it comes."""
        output = output if output.requires_grad else output.detach().requires_grad_(True)
        hook = partial(self._add, output.detach())
        output.register_hook(hook)  # type: ignore[no-untyped-call]
        return output

    def _add(self, x: Tensor, gradient: Tensor) -> None:
        own = (x * gradient * self.real).sum(1).double()
        self.gradient = self.gradient + own if self.gradient.numel() else own
