"""One pass over calibration data that shows every sublayer's output projection at work.

::

    forward   ─► inputs(k, x)          x: what W_o or W_2 reads
    backward  ─► outputs(k, x, g)      g: gradient at what it writes
              ─► units(k, x, g)        g: gradient at what it reads, so x · g is a unit's own

Projections are numbered bottom up, attention before FFN. Gradients are of one scalar a sample,
all in one backward pass: samples do not mix, so each keeps its own gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pareto_prune.core.progress import Progress, Silent
from pareto_prune.inputs.batch import Batch
from pareto_prune.models.families import family_of

Inputs = Callable[[int, Tensor], None]
Gradients = Callable[[int, Tensor, Tensor], None]
Seeds = Callable[[Tensor, Batch], Tensor]


def projections(model: PreTrainedModel) -> list[nn.Module]:
    """Return ``W_o`` and ``W_2`` of every layer that is there, bottom up."""
    family = family_of(model)
    return [
        sublayer.output for layer in family.layers(model) for sublayer in family.sublayers(layer)
    ]


def sweep(
    model: PreTrainedModel,
    batches: Sequence[Batch],
    seeds: Seeds | None = None,
    *,
    inputs: Inputs | None = None,
    outputs: Gradients | None = None,
    units: Gradients | None = None,
    progress: Progress | None = None,
) -> None:
    """Run ``model``, unchanged and in eval mode, over the batches.

    Args:
        model: dense or cut.
        batches: with ``attention_mask``; ``labels`` are not shown to the model.
        seeds: from logits and batch, the gradient at the logits to start from; without it there
            is no backward pass.
        inputs: called with x at real tokens, shape (tokens, in).
        outputs: called with x, shape (batch, tokens, in), and g, shape (batch, tokens, out).
        units: called with x and g, both of shape (batch, tokens, in).
        progress: advanced by one a batch.

    At padding g is 0; x is whatever it is.
    """
    progress = progress or Silent()
    with resting(model), ExitStack() as hooks:
        current: dict[str, Tensor] = {}
        for index, module in enumerate(projections(model)):
            tap = _Tap(index, current, inputs, outputs, units)
            for handle in tap.attach(module):
                hooks.callback(handle.remove)
        for batch in batches:
            current["real"] = batch["attention_mask"].bool()
            run(model, batch, seeds)
            progress.advance()


def run(model: PreTrainedModel, batch: Batch, seeds: Seeds | None) -> Tensor:
    """Return the logits of a batch; with seeds, run backwards from them too."""
    given = {key: value for key, value in batch.items() if key != "labels"}
    with torch.set_grad_enabled(seeds is not None):
        logits: Tensor = model(**given).logits
        if seeds is not None:
            logits.backward(seeds(logits.detach(), batch))  # type: ignore[no-untyped-call]
    return logits.detach()


@contextmanager
def resting(model: nn.Module) -> Iterator[None]:
    """Keep a model in eval mode and its parameters without gradients for a ``with`` block."""
    training = model.training
    learning = [p for p in model.parameters() if p.requires_grad]
    model.eval()
    for parameter in learning:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        model.train(training)
        for parameter in learning:
            parameter.requires_grad_(True)


class _Tap:
    """Hooks on one projection that pass on what flows through it."""

    def __init__(
        self,
        index: int,
        current: dict[str, Tensor],
        inputs: Inputs | None,
        outputs: Gradients | None,
        units: Gradients | None,
    ) -> None:
        self.index, self.current = index, current
        self.inputs, self.outputs, self.units = inputs, outputs, units

    def attach(self, module: nn.Module) -> list[Any]:
        """Hook the module; return the handles."""
        return [
            module.register_forward_pre_hook(self._before),
            module.register_forward_hook(self._after),
        ]

    def _before(self, _: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...] | None:
        x = args[0]
        if self.inputs is not None:
            self.inputs(self.index, x.detach()[self.current["real"]])
        if self.units is None or not torch.is_grad_enabled():
            return None
        x = x if x.requires_grad else x.detach().requires_grad_(True)
        x.register_hook(partial(self._units, x.detach()))
        return (x, *args[1:])

    def _after(self, _: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor | None:
        if self.outputs is None or not torch.is_grad_enabled():
            return None
        output = output if output.requires_grad else output.detach().requires_grad_(True)
        hook = partial(self._outputs, args[0].detach())
        output.register_hook(hook)  # type: ignore[no-untyped-call]
        return output

    def _outputs(self, x: Tensor, gradient: Tensor) -> None:
        assert self.outputs is not None
        self.outputs(self.index, x, gradient * self.current["real"][..., None])

    def _units(self, x: Tensor, gradient: Tensor) -> None:
        assert self.units is not None
        self.units(self.index, x, gradient * self.current["real"][..., None])
