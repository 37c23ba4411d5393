"""Meet a cost target where it hurts least, from the pruning database."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import pydantic

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.records import Candidate
from pareto_prune.pruning.context import Context
from pareto_prune.pruning.cost import check_target
from pareto_prune.pruning.decoder import options, weigh, weighted
from pareto_prune.pruning.even_decoder import least_loss
from pareto_prune.pruning.programme import cost_of, shape_within
from pareto_prune.pruning.pruned import Pruned
from pareto_prune.pruning.selection import check_sublayers, neuron_multiple
from pareto_prune.pruning.strategies import strategies

if TYPE_CHECKING:
    from transformers import PreTrainedModel

NATS = 0.1
"""Without a target, a divergence of this much weighs as much as the whole dense cost."""


@strategies.register("balanced")
@dataclass(frozen=True)
class Balanced:
    """Meet the sampled cost target with the widths whose predicted loss is least.

    The α's of latency and energy set the price of every width, the sensitivities times the layer
    coefficients its loss; dynamic programming does the rest (ZipLM, Kurtic et al. 2023, section
    3.2). The weights come from the pruning database.

    Attributes:
        target: meet the cost target; otherwise the least sum of loss (weighed by the α of
            metric) and cost.
        repair: refit every sublayer to the dense model afterwards, bottom up.
        tokens: calibration tokens that the repair uses.
    """

    reads: ClassVar[frozenset[str]] = frozenset(
        {"cost_target", "sublayers", "alpha_accuracy", "alpha_latency", "alpha_energy"}
    )
    trains_before_cut: ClassVar[bool] = False
    calibrates: ClassVar[tuple[str, ...]] = ("latency", "energy", "database", "sensitivities")
    cuts_channels: ClassVar[bool] = False

    target: bool = True
    repair: bool = True
    tokens: Annotated[int, pydantic.Field(ge=1)] = 10_000

    def prune(self, model: PreTrainedModel, candidate: Candidate, context: Context) -> Pruned:
        """Return the plan and the smaller model, cut in place.

        Raises:
            TrialError: the cost target is below the smallest model, or the candidate does not
                fit the model.
        """
        from pareto_prune.pruning.database import stitch
        from pareto_prune.pruning.repair import repair

        shape = self.shape(candidate, context)
        pruned = stitch(model, context.calibration.database, shape)
        if self.repair:
            with context.stage("repair"):
                repair(model, context.dense, context.calibration.batches(), self.tokens)
        return pruned

    def shape(self, candidate: Candidate, context: Context) -> Architecture:
        """Return the widths of every layer.

        Raises:
            TrialError: as :meth:`prune`.
        """
        dense, sensitivities = context.architecture, context.calibration.sensitivities
        check_sublayers(candidate.sublayers, len(dense.layers))
        if self.target and context.even is None:
            return shape_within(candidate.cost_target, candidate, context, candidate.sublayers)
        cost = cost_of(candidate, context)
        if self.target:
            check_target(cost, dense, candidate.cost_target)
        both = candidate.alpha_latency + candidate.alpha_energy
        price = 0.0 if self.target else NATS * both / max(candidate.alpha_accuracy, 1e-9)
        multiple = neuron_multiple(dense) if context.round_widths else 1
        if context.even is not None:
            limit = candidate.cost_target if self.target else math.inf
            curves = weighted(sensitivities, candidate.sublayers)
            return least_loss(context.even, cost, curves, limit, price, multiple)
        stages = options(dense, cost, sensitivities, candidate.sublayers, multiple)
        return dense.model_copy(update={"layers": tuple(weigh(stages, price))})
