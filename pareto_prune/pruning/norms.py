"""Norms of the weights behind each unit: importance, penalty and strategy of ``l1`` and ``l2``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import pydantic

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.records import Candidate
from pareto_prune.pruning.context import Context, Penalty
from pareto_prune.pruning.even_plans import all_gone, even_by_sparsity, even_by_threshold
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.pruned import Pruned
from pareto_prune.pruning.scores import UnitScores
from pareto_prune.pruning.selection import (
    plan_by_sparsity,
    plan_by_threshold,
    shape_by_sparsity,
)

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from pareto_prune.models.layout import Sublayer

Order = Literal[1, 2]
Steps = Annotated[int, pydantic.Field(ge=0)]
Strength = Annotated[float, pydantic.Field(ge=0.0, allow_inf_nan=False)]


def unit_norms(model: PreTrainedModel, order: Order) -> UnitScores:
    """Return the mean norm of the weights of every unit; differentiable.

    A head owns its rows of q, k and v and its columns of ``W_o``, a neuron its row of ``W_1``, and
    of the gate where there is one, and its column of ``W_2``. Order 1: mean of ``|w|``; order 2:
    root of the mean of ``w²``. Means, so that units of unlike size compare. A dropped layer has no
    units.
    """
    from pareto_prune.models.families import head_size

    size, sublayers = head_size(model.config), _all_sublayers(model)
    return UnitScores(
        heads=tuple(_mean_norm(_unit_weights(part, size), order) for part, _ in sublayers),
        neurons=tuple(_mean_norm(_unit_weights(part, 1), order) for _, part in sublayers),
    )


def channel_norms(model: PreTrainedModel, order: Order) -> Tensor:
    """Return the mean norm of the weights of every hidden channel, shape (hidden,).

    A channel owns its column of the embeddings, of q, k, v and ``W_1``, and its row of ``W_o``
    and ``W_2``, in all layers.
    """
    import torch

    return _mean_norm(torch.cat(_channel_weights(model), dim=1), order).detach().cpu()


def norm_penalty(model: PreTrainedModel, order: Order, strength: float) -> Penalty:
    """Return the group penalty of a model's units, read anew at every call.

    ``strength × Σ_g n_g × norm_g`` over units of ``n_g`` weights: for order 1 the lasso, for
    order 2 the group lasso ``Σ_g √n_g ‖w_g‖`` (Yuan & Lin 2006, section 2).
    """
    from pareto_prune.models.families import head_size

    size, sublayers = head_size(model.config), _all_sublayers(model)

    def penalty() -> Tensor:
        groups = [_unit_weights(heads, size) for heads, _ in sublayers]
        groups += [_unit_weights(neurons, 1) for _, neurons in sublayers]
        sums = [group.shape[1] * _mean_norm(group, order).sum() for group in groups]
        total: Tensor = sum(sums[1:], sums[0])
        return strength * total

    return penalty


@dataclass(frozen=True)
class ByNorm:
    """Rank units by the norm of their weights; what ``l1`` and ``l2`` have in common.

    Attributes:
        by: ``sparsity``: every sublayer loses its sampled share. ``threshold``: one sampled
            threshold on the layer-normalised norm for the whole model.
        penalty_steps: steps of fine-tuning under the norm as a group penalty before the cut.
        penalty: strength of that penalty.
    """

    order: ClassVar[Order]
    calibrates: ClassVar[tuple[str, ...]] = ()
    cuts_channels: ClassVar[bool] = False

    by: Literal["sparsity", "threshold"] = "sparsity"
    penalty_steps: Steps = 0
    penalty: Strength = 1e-4

    @property
    def reads(self) -> frozenset[str]:
        """The genes it reads: ``sublayers`` and ``depth``, or ``threshold``."""
        return frozenset({"sublayers", "depth"} if self.by == "sparsity" else {"threshold"})

    @property
    def trains_before_cut(self) -> bool:
        """Whether it fine-tunes under the penalty first."""
        return self.penalty_steps > 0

    def prune(self, model: PreTrainedModel, candidate: Candidate, context: Context) -> Pruned:
        """Return the plan and the smaller model, cut in place.

        Raises:
            TrialError: weights are not finite, the candidate does not fit the model, or nothing
                would be left.
        """
        from pareto_prune.pruning.surgery import cut

        steps = min(self.penalty_steps, context.steps)
        if steps:
            context.train(model, steps, norm_penalty(model, self.order, self.penalty))
        plan = self._plan(detached(unit_norms(model, self.order)), candidate, context)
        return Pruned(plan, cut(model, plan), steps)

    def shape(self, candidate: Candidate, context: Context) -> Architecture | None:
        """Return the widths of every layer, where they are known without the scores.

        Raises:
            TrialError: the candidate does not fit the model.
        """
        if self.by == "threshold" or context.even is not None:
            return None
        return shape_by_sparsity(context.architecture, candidate.sublayers, context.round_widths)

    def _plan(self, scores: UnitScores, candidate: Candidate, context: Context) -> PruningPlan:
        shapes, sparsities = context.even, candidate.sublayers
        if shapes is not None and self.by == "sparsity":
            depth, gone = candidate.depth, all_gone(context.architecture, sparsities)
            return even_by_sparsity(scores, sparsities, depth, shapes, context.round_widths, gone)
        if shapes is not None:
            return even_by_threshold(scores, candidate.threshold, shapes, context.round_widths)
        if self.by == "sparsity":
            return plan_by_sparsity(scores, sparsities, context.round_widths)
        return plan_by_threshold(scores, candidate.threshold, context.round_widths)


def detached(scores: UnitScores) -> UnitScores:
    """Return the scores on the CPU, without gradients."""
    return UnitScores(
        heads=tuple(layer.detach().cpu() for layer in scores.heads),
        neurons=tuple(layer.detach().cpu() for layer in scores.neurons),
    )


def _all_sublayers(
    model: PreTrainedModel,
) -> list[tuple[Sublayer, Sublayer] | tuple[None, None]]:
    from pareto_prune.models.families import family_of
    from pareto_prune.pruning.surgery import plan_of, present_layers

    family, present = family_of(model), present_layers(model)
    return [
        family.sublayers(present[index]) if index in present else (None, None)
        for index in range(len(plan_of(model).layers))
    ]


def _unit_weights(sublayer: Sublayer | None, size: int) -> Tensor:
    """Return the weights of every unit of ``size`` features, shape (units, weights of one)."""
    import torch

    from pareto_prune.models.layout import weight

    if sublayer is None:
        return torch.zeros(0, 1)
    output = weight(sublayer.output)
    units = output.shape[1] // size
    if not units:
        return output.new_zeros(0, 1)
    columns = output.reshape(output.shape[0], units, size).transpose(0, 1)
    return torch.cat([part.reshape(units, -1) for part in (*sublayer.blocks(), columns)], dim=1)


def _channel_weights(model: PreTrainedModel) -> list[Tensor]:
    """Return the weights of every channel, each of shape (hidden, weights)."""
    from pareto_prune.models.families import family_of
    from pareto_prune.models.layout import find, weight

    family = family_of(model)
    below = [weight(module) for module in family.stream_writers(model)]
    projected = find(model.base_model, family.paths.projection) is not None
    found = below if projected else [table.T for table in below]
    for layer in family.layers(model):
        for sublayer in family.sublayers(layer):
            if sublayer.inputs:
                found += [block.T for block in sublayer.blocks()]
                found.append(weight(sublayer.output))
    return found


def _mean_norm(groups: Tensor, order: Order) -> Tensor:
    if order == 1:
        return groups.abs().mean(dim=1)
    return groups.square().mean(dim=1).sqrt()
