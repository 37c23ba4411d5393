"""`approximate`: regularisation simulates the cut, then a threshold makes it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.records import Candidate
from pareto_prune.pruning.context import Context, CostTable
from pareto_prune.pruning.cost import BlendedCost, check_target, keep_within, total
from pareto_prune.pruning.even_decoder import check_even_target
from pareto_prune.pruning.even_plans import even_within
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.pruned import Pruned
from pareto_prune.pruning.scores import UnitScores
from pareto_prune.pruning.selection import check_finite, neuron_multiple
from pareto_prune.pruning.strategies import strategies

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

STRETCH_LOW, STRETCH_HIGH, TEMPERATURE = -0.1, 1.1, 2 / 3
START = 2.5
"""Middle of the gates' first log-odds: nearly all open."""


@strategies.register("approximate")
@dataclass(frozen=True)
class Approximate:
    """Gates on heads and neurons, trained under a cost penalty, say how many of them stay.

    Hard-concrete gates (Louizos et al. 2018, section 2.2) start from the ranking of an importance
    and are trained with the weights; a Lagrangian drives their expected cost to the target
    (Xia et al. 2022, section 3.1). The cut then meets the target exactly. Which units stay, and
    what they weigh, is the pruning database's, and the repair's: some tens of steps teach the gates
    where a model can spare, but not the weights what to do about it.

    Attributes:
        share: share of the trial's training steps that the gates get.
        gate_learning_rate: of gates and multipliers; the weights keep theirs.
        spread: how far the importance pulls the gates' first log-odds apart.
        repair: refit every sublayer to the dense model afterwards, bottom up.
        tokens: calibration tokens that the repair uses.
    """

    reads: ClassVar[frozenset[str]] = frozenset(
        {"cost_target", "importance", "alpha_latency", "alpha_energy"}
    )
    trains_before_cut: ClassVar[bool] = True
    calibrates: ClassVar[tuple[str, ...]] = ("latency", "energy", "database")
    cuts_channels: ClassVar[bool] = False

    share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    gate_learning_rate: Annotated[float, Field(gt=0.0)] = 0.1
    spread: Annotated[float, Field(ge=0.0)] = 1.0
    repair: bool = True
    tokens: Annotated[int, Field(ge=1)] = 10_000

    def prune(self, model: PreTrainedModel, candidate: Candidate, context: Context) -> Pruned:
        """Train gates for a share of the steps, then cut as many units as closed.

        Args:
            model: a copy of the dense model; the gates are trained on it.
            candidate: ``cost_target``, ``importance`` and the α's are read.
            context: what the trial offers.

        Raises:
            TrialError: the cost target is below the smallest model.
        """
        dense = context.architecture
        cost = BlendedCost(
            context.calibration.latency,
            context.calibration.energy,
            dense,
            candidate.alpha_latency,
            candidate.alpha_energy,
        )
        check_target(cost, dense, candidate.cost_target)
        multiple = neuron_multiple(dense) if context.round_widths else 1
        if context.even is not None:
            check_even_target(context.even, cost, candidate.cost_target, multiple)
        scores = context.calibration.importance(candidate.importance)
        check_finite(scores)
        gates = _Gates.start(scores, self.spread, model.device)
        steps = int(self.share * context.steps)
        if steps:
            lagrangian = _Lagrangian(gates, cost, dense, candidate.cost_target, steps)
            self._train(model, gates, lagrangian, steps, context)
        shape = _shape(gates.scores(), cost, candidate.cost_target, multiple, context)
        return Pruned(*self._cut(shape, context), steps)

    def _cut(self, shape: Architecture, context: Context) -> tuple[PruningPlan, PreTrainedModel]:
        """Return the plan and the model of these widths that is nearest to the dense one."""
        from pareto_prune.pruning.database import stitch
        from pareto_prune.pruning.repair import repair
        from pareto_prune.pruning.surgery import cut_copy

        whole = cut_copy(context.dense, PruningPlan.dense(context.architecture))
        pruned = stitch(whole, context.calibration.database, shape)
        if self.repair:
            with context.stage("repair"):
                repair(pruned.model, context.dense, context.calibration.batches(), self.tokens)
        return pruned.plan, pruned.model

    def _train(
        self,
        model: PreTrainedModel,
        gates: _Gates,
        lagrangian: _Lagrangian,
        steps: int,
        context: Context,
    ) -> None:
        trained = [*gates.parameters(), *lagrangian.multipliers]
        extra = [(tensor, self.gate_learning_rate) for tensor in trained]
        with gates.applied(model, context.generator):
            context.train(model, steps, penalty=lagrangian.penalty, extra=extra)


@dataclass(frozen=True)
class _Gates:
    """One gate a unit, as log-odds: shapes (heads,) and (neurons,) for every layer."""

    heads: tuple[Tensor, ...]
    neurons: tuple[Tensor, ...]

    @classmethod
    def start(cls, scores: UnitScores, spread: float, device: Any) -> _Gates:
        """Return gates whose log-odds follow the ranks of ``scores`` around a common middle."""
        return cls(
            tuple(_log_odds(s, spread, device) for s in scores.heads),
            tuple(_log_odds(s, spread, device) for s in scores.neurons),
        )

    def parameters(self) -> list[Tensor]:
        """Return all log-odds."""
        return [*self.heads, *self.neurons]

    def scores(self) -> UnitScores:
        """Return how likely each gate is open: the ranking that the cut follows."""
        return UnitScores(
            heads=tuple(_open(g.detach()) for g in self.heads),
            neurons=tuple(_open(g.detach()) for g in self.neurons),
        )

    @contextmanager
    def applied(self, model: PreTrainedModel, generator: Any) -> Iterator[None]:
        """Multiply the inputs of ``W_o`` and ``W_2`` by sampled gates within the block.

        While the model does not train the gates take their deterministic value.
        """
        handles = [
            module.register_forward_pre_hook(_gate_hook(log_odds, width, generator))
            for module, log_odds, width in self._sites(model)
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _sites(self, model: PreTrainedModel) -> Iterator[tuple[Any, Tensor, int]]:
        """Yield ``W_o``, ``W_2`` of every layer with their gates and columns a unit."""
        from pareto_prune.models.families import family_of, head_size

        family, size = family_of(model), head_size(model.config)
        for layer, heads, neurons in zip(
            family.layers(model), self.heads, self.neurons, strict=True
        ):
            attention, ffn = family.sublayers(layer)
            yield attention.output, heads, size
            yield ffn.output, neurons, 1


def _shape(
    scores: UnitScores, cost: CostTable, target: float, multiple: int, context: Context
) -> Architecture:
    """Return how many units of each sublayer are among the likeliest that the target allows."""
    dense = context.architecture
    if context.even is not None:
        plan = even_within(scores, cost, context.even, target, multiple, per_cost=False)
    else:
        kept = keep_within(scores, cost, dense, target, multiple, per_cost=False)
        plan = PruningPlan.of((k.heads.tolist(), k.neurons.tolist()) for k in kept)
    return plan.architecture(dense)


class _Lagrangian:
    """``λ1 (c − t) + λ2 (c − t)²`` for the expected cost c and the target t, warmed up linearly.

    The multipliers are raised while the weights fall (Wang et al. 2020, section 3.2).
    """

    def __init__(
        self, gates: _Gates, cost: CostTable, dense: Architecture, target: float, steps: int
    ) -> None:
        import torch

        device = gates.heads[0].device
        self.multipliers = [torch.zeros((), device=device, requires_grad=True) for _ in range(2)]
        self._gates, self._target, self._steps, self._step = gates, target, steps, 0
        whole = total(cost, dense)
        self._fixed = cost.fixed / whole
        self._heads = [cost.heads(i, s.heads) / whole / s.heads for i, s in enumerate(dense.layers)]
        self._neurons = [
            cost.neurons(i, s.neurons) / whole / s.neurons for i, s in enumerate(dense.layers)
        ]

    def expected(self) -> Tensor:
        """Return the expected share of the dense cost; a scalar."""
        import torch

        heads = [c * _open(g).sum() for c, g in zip(self._heads, self._gates.heads, strict=True)]
        neurons = [
            c * _open(g).sum() for c, g in zip(self._neurons, self._gates.neurons, strict=True)
        ]
        return torch.stack([*heads, *neurons]).sum() + self._fixed

    def penalty(self) -> Tensor:
        """Return what is added to the loss of the next step; a scalar."""
        self._step += 1
        warm = min(1.0, 2 * self._step / self._steps)
        aim = 1.0 - warm * (1.0 - self._target)
        excess = self.expected() - aim
        first, second = (_ascending(multiplier) for multiplier in self.multipliers)
        return first * excess + second * excess**2


def _log_odds(scores: Tensor, spread: float, device: Any) -> Tensor:
    import torch

    ranks = scores.argsort().argsort().to(device=device, dtype=torch.float32)
    centred = (ranks + 0.5) / max(len(scores), 1) - 0.5
    return (START + 2 * spread * centred).requires_grad_()


def _ascending(multiplier: Tensor) -> Tensor:
    """Return a multiplier whose gradient is turned round: what minimises the loss raises it."""
    return 2 * multiplier.detach() - multiplier


def _open(log_odds: Tensor) -> Tensor:
    """Return the probability that a gate is not 0."""
    import torch

    return torch.sigmoid(log_odds - TEMPERATURE * math.log(-STRETCH_LOW / STRETCH_HIGH))


def _value(log_odds: Tensor) -> Tensor:
    import torch

    return (torch.sigmoid(log_odds) * (STRETCH_HIGH - STRETCH_LOW) + STRETCH_LOW).clamp(0, 1)


def _sampled(log_odds: Tensor, generator: Any) -> Tensor:
    import torch

    uniform = torch.rand(log_odds.shape, generator=generator).clamp(1e-6, 1 - 1e-6)
    noise = torch.logit(uniform).to(log_odds.device)
    stretched = torch.sigmoid((noise + log_odds) / TEMPERATURE)
    return (stretched * (STRETCH_HIGH - STRETCH_LOW) + STRETCH_LOW).clamp(0, 1)


def _gate_hook(log_odds: Tensor, width: int, generator: Any) -> Any:
    def hook(module: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
        gate = _sampled(log_odds, generator) if module.training else _value(log_odds)
        return (args[0] * gate.repeat_interleave(width), *args[1:])

    return hook
