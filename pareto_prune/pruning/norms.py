"""Norms of the weights behind each unit: importance, penalty and strategy of ``l1`` and ``l2``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar, Literal

import pydantic

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.records import Candidate
from pareto_prune.pruning.context import Context, Penalty, Pruned, UnitScores
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.selection import (
    plan_by_sparsity,
    plan_by_threshold,
    shape_by_sparsity,
)

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from pareto_prune.models.families import ModelFamily

Order = Literal[1, 2]
Steps = Annotated[int, pydantic.Field(ge=0)]
Strength = Annotated[float, pydantic.Field(ge=0.0, allow_inf_nan=False)]


def unit_norms(model: PreTrainedModel, order: Order) -> UnitScores:
    """Return the mean norm of the weights of every unit; differentiable.

    A head owns its rows of q, k and v and its columns of ``W_o``, a neuron its row of ``W_1`` and
    its column of ``W_2``. Order 1: mean of ``|w|``; order 2: root of the mean of ``w²``. Means,
    so that units of unlike size compare. A dropped layer has no units.
    """
    from pareto_prune.models.families import family_of, head_size

    family, size = family_of(model), head_size(model.config)
    layers = _all_layers(model)
    return UnitScores(
        heads=tuple(_mean_norm(_head_weights(family, layer, size), order) for layer in layers),
        neurons=tuple(_mean_norm(_neuron_weights(family, layer), order) for layer in layers),
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
    from pareto_prune.models.families import family_of, head_size

    family, size, layers = family_of(model), head_size(model.config), _all_layers(model)

    def penalty() -> Tensor:
        groups = [_head_weights(family, layer, size) for layer in layers]
        groups += [_neuron_weights(family, layer) for layer in layers]
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

    by: Literal["sparsity", "threshold"] = "sparsity"
    penalty_steps: Steps = 0
    penalty: Strength = 1e-4

    @property
    def reads(self) -> frozenset[str]:
        """The gene it reads: ``sublayers`` or ``threshold``."""
        return frozenset({"sublayers" if self.by == "sparsity" else "threshold"})

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
        """Return the widths of every layer; a threshold gives them only with the scores.

        Raises:
            TrialError: the candidate does not fit the model.
        """
        if self.by == "threshold":
            return None
        return shape_by_sparsity(context.architecture, candidate.sublayers, context.round_widths)

    def _plan(self, scores: UnitScores, candidate: Candidate, context: Context) -> PruningPlan:
        if self.by == "sparsity":
            return plan_by_sparsity(scores, candidate.sublayers, context.round_widths)
        return plan_by_threshold(scores, candidate.threshold, context.round_widths)


def detached(scores: UnitScores) -> UnitScores:
    """Return the scores on the CPU, without gradients."""
    return UnitScores(
        heads=tuple(layer.detach().cpu() for layer in scores.heads),
        neurons=tuple(layer.detach().cpu() for layer in scores.neurons),
    )


def _all_layers(model: PreTrainedModel) -> list[nn.Module | None]:
    from pareto_prune.pruning.surgery import plan_of, present_layers

    present = present_layers(model)
    return [present.get(index) for index in range(len(plan_of(model).layers))]


def _head_weights(family: ModelFamily, layer: nn.Module | None, size: int) -> Tensor:
    """Return the weights of every head, shape (heads, weights of one)."""
    import torch

    from pareto_prune.models.families import weight

    if layer is None:
        return torch.zeros(0, 1)
    w_o = weight(family.heads_out(layer))
    heads = w_o.shape[1] // size
    if not heads:
        return w_o.new_zeros(0, 1)
    columns = w_o.reshape(w_o.shape[0], heads, size).transpose(0, 1)
    parts = [part.reshape(heads, -1) for part in (*family.qkv(layer), columns)]
    return torch.cat(parts, dim=1)


def _neuron_weights(family: ModelFamily, layer: nn.Module | None) -> Tensor:
    """Return the weights of every neuron, shape (neurons, weights of one)."""
    import torch

    from pareto_prune.models.families import weight

    if layer is None:
        return torch.zeros(0, 1)
    w_2 = weight(family.neurons_out(layer))
    if not w_2.shape[1]:
        return w_2.new_zeros(0, 1)
    return torch.cat([weight(family.neurons_in(layer)), w_2.T], dim=1)


def _channel_weights(model: PreTrainedModel) -> list[Tensor]:
    """Return the weights of every channel, each of shape (hidden, weights)."""
    from pareto_prune.models.families import family_of, find, weight

    family = family_of(model)
    projection = find(model.base_model, family.paths.projection)
    found = (
        [weight(model.base_model.get_submodule(path)).T for path in family.paths.embeddings]
        if projection is None
        else [weight(projection)]
    )
    for layer in family.layers(model):
        found += [part.T for part in family.qkv(layer)]
        found += [weight(family.heads_out(layer)), weight(family.neurons_out(layer))]
        w_1 = family.neurons_in(layer)
        found += [weight(w_1).T] if hasattr(w_1, "weight") else []
    return found


def _mean_norm(groups: Tensor, order: Order) -> Tensor:
    if order == 1:
        return groups.abs().mean(dim=1)
    return groups.square().mean(dim=1).sqrt()
