"""Cut layer by layer at sampled sparsities, repaired bottom up."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import pydantic

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.records import Candidate
from pareto_prune.pruning.context import Context
from pareto_prune.pruning.even_plans import all_gone, even_by_sparsity
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.pruned import Pruned
from pareto_prune.pruning.selection import (
    check_sublayers,
    plan_by_sparsity,
    shape_by_sparsity,
)
from pareto_prune.pruning.strategies import strategies

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@strategies.register("layer_wise")
@dataclass(frozen=True)
class LayerWise:
    """Cut each layer at its sampled sparsity, bottom up, and repair it by least squares.

    Attributes:
        repair: refit ``W_o`` and ``W_2`` of every layer to the dense model, from what the repaired
            layers below it give.
        drop_above: a sublayer with a sampled sparsity above this is dropped whole; a layer that
            loses both sublayers is skipped. Of the layers at least one stays.
        tokens: calibration tokens that the repair uses.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"sublayers", "depth", "importance"})
    trains_before_cut: ClassVar[bool] = False
    calibrates: ClassVar[tuple[str, ...]] = ()
    cuts_channels: ClassVar[bool] = False

    repair: bool = True
    drop_above: Annotated[float, pydantic.Field(ge=0.0, le=1.0)] = 0.9
    tokens: Annotated[int, pydantic.Field(ge=1)] = 20_000

    def prune(self, model: PreTrainedModel, candidate: Candidate, context: Context) -> Pruned:
        """Return the plan and the smaller model, cut in place.

        Scores are of the dense model, so which units stay does not depend on the layers below;
        what they then write does, and that is what is fitted layer after layer.

        Raises:
            TrialError: scores are not finite, the candidate does not fit the model, or nothing
                would be left.
        """
        from pareto_prune.pruning.repair import repair
        from pareto_prune.pruning.surgery import cut

        check_sublayers(candidate.sublayers, len(context.architecture.layers))
        plan = self._plan(candidate, context)
        cut(model, plan)
        if self.repair:
            with context.stage("repair"):
                repair(model, context.dense, context.calibration.batches(), self.tokens)
        return Pruned(plan, model)

    def shape(self, candidate: Candidate, context: Context) -> Architecture:
        """Return the widths of every layer.

        Raises:
            TrialError: the candidate does not fit the model.
        """
        if context.even is not None:
            return self._plan(candidate, context).architecture(context.architecture)
        sparsities = self._sparsities(candidate)
        return shape_by_sparsity(context.architecture, sparsities, context.round_widths)

    def _plan(self, candidate: Candidate, context: Context) -> PruningPlan:
        scores = context.calibration.importance(candidate.importance)
        sparsities, shapes = self._sparsities(candidate), context.even
        if shapes is None:
            return plan_by_sparsity(scores, sparsities, context.round_widths)
        gone, sampled = all_gone(context.architecture, sparsities), candidate.sublayers
        depth, round_widths = candidate.depth, context.round_widths
        return even_by_sparsity(scores, sampled, depth, shapes, round_widths, gone)

    def _sparsities(self, candidate: Candidate) -> list[float]:
        """Return what each sublayer loses; where all would be dropped the fullest layer stays."""
        shares = candidate.sublayers
        dropping = [1.0 if share > self.drop_above else share for share in shares]
        if not dropping or min(dropping) < 1.0:
            return dropping
        fullest = min(range(0, len(shares) - 1, 2), key=lambda i: shares[i] + shares[i + 1])
        dropping[fullest : fullest + 2] = shares[fullest : fullest + 2]
        return dropping
