"""Second moments at every sublayer's output projection: what the pruning database is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pareto_prune.core.errors import TrialError
from pareto_prune.core.progress import Progress
from pareto_prune.inputs.batch import Batch
from pareto_prune.inputs.tasks import Task
from pareto_prune.models.layout import weight
from pareto_prune.pruning.seeds import PredictionSeeds
from pareto_prune.pruning.sweep import Gradients, projections, sweep

RIDGE = 0.01
"""Added to the diagonals, as a share of their mean: inputs may be fewer than features."""
LEVEL = 0.05
"""What an output that no prediction depends on still weighs, as a share of the mean."""
UNFELT = 1e-6
"""Root of what a change still weighs where no prediction depends on any output."""
STRIP = 768
"""Columns of a product with itself that are made at once, from the diagonal down."""


class InputMoments:
    """Sums over calibration tokens of what a projection reads, in float32.

    A ridge of 1 % is far above what float32 loses over some hundred batches; float64 would double
    what is most of the memory that calibrating takes.

    Args:
        width: of the inputs.
        device: where they are.

    Attributes:
        tokens: how many there were so far.
    """

    def __init__(self, width: int, device: torch.device) -> None:
        self._second = torch.zeros(width, width, device=device)  # its lower triangle
        self._first = torch.zeros(width, device=device)
        self.tokens = 0

    def add(self, x: Tensor) -> None:
        """Add inputs, shape (tokens, in)."""
        x = x.float()
        for begin in range(0, len(self._first), STRIP):
            end = begin + STRIP
            self._second[begin:, begin:end].addmm_(x[:, begin:].T, x[:, begin:end])
        self._first += x.sum(0)
        self.tokens += len(x)

    def covariance(self, centred: bool = True) -> tuple[Tensor, Tensor]:
        """Return covariance, with the ridge added, and mean of the inputs, float64, on the CPU.

        Args:
            centred: whether a bias makes up for the mean; without it the moment stays about 0.
        """
        lower, first = self._second.cpu().tril().double(), self._first.cpu().double()
        second = lower + lower.tril(-1).T
        mean = first / self.tokens if centred else torch.zeros_like(first)
        covariance = second / self.tokens - mean[:, None] * mean
        return _raised(covariance, RIDGE), mean

    @property
    def finite(self) -> bool:
        """Whether every sum is a finite number."""
        return bool(self._second.isfinite().all())


@dataclass(eq=False)
class Moments:
    """Sums over calibration tokens for one projection.

    Attributes:
        inputs: of what it reads.
        fisher: of the gradients at its outputs, float32, shape (out, out).
    """

    inputs: InputMoments
    fisher: Tensor

    def metric(self) -> Tensor:
        """Return M such that ``‖M δ‖²`` weighs an output change δ by what predictions feel of it.

        ``MᵀM`` is the Fisher matrix at the output, a mean over tokens (the Kronecker factor of
        Martens and Grosse 2015, section 3), raised by :data:`LEVEL`: what it says of two
        projections compares. Shape (out, out).
        """
        fisher = self.fisher.cpu().double() / self.inputs.tokens
        scale = fisher.diagonal().mean()
        if scale <= 0:
            return UNFELT * torch.eye(len(fisher), dtype=fisher.dtype)
        return scale.sqrt() * torch.linalg.cholesky(_raised(fisher / scale, LEVEL)).T


def _raised(matrix: Tensor, share: float) -> Tensor:
    level = (share * matrix.diagonal().mean()).clamp_min(1e-12)
    return matrix + level * torch.eye(len(matrix), dtype=matrix.dtype)


def collect_moments(
    model: PreTrainedModel,
    batches: Sequence[Batch],
    task: Task,
    generator: torch.Generator,
    progress: Progress | None = None,
    units: Gradients | None = None,
) -> list[Moments]:
    """Return the moments of every sublayer, bottom up, attention before FFN.

    One forward and one backward pass over the batches; ``units`` is shown it too, as by
    :func:`pareto_prune.pruning.sweep.sweep`.

    Raises:
        TrialError: a sum is not a finite number, as weights that are not make it.
    """
    found = [_empty(module, model.device) for module in projections(model)]

    def inputs(index: int, x: Tensor) -> None:
        found[index].inputs.add(x)

    def outputs(index: int, _: Tensor, gradient: Tensor) -> None:
        gradient = gradient.float().flatten(0, 1)
        found[index].fisher.addmm_(gradient.T, gradient)

    seeds = PredictionSeeds(task, generator)
    sweep(model, batches, seeds, inputs=inputs, outputs=outputs, units=units, progress=progress)
    for index, moments in enumerate(found):
        _check(moments, index)
    return found


def _empty(module: nn.Module, device: torch.device) -> Moments:
    out, width = weight(module).shape
    return Moments(InputMoments(width, device), torch.zeros(out, out, device=device))


def _check(moments: Moments, index: int) -> None:
    if not (moments.inputs.finite and bool(moments.fisher.isfinite().all())):
        kind = "FFN" if index % 2 else "attention"
        reason = f"layer {index // 2}: what its {kind} computes is not finite"
        raise TrialError("not_finite", reason)
