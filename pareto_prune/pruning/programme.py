"""The shape of least predicted loss within a cost, by the calibration of a study."""

from __future__ import annotations

from collections.abc import Sequence

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.records import Candidate
from pareto_prune.pruning.context import Context
from pareto_prune.pruning.cost import BlendedCost, check_target
from pareto_prune.pruning.decoder import decode, options
from pareto_prune.pruning.selection import neuron_multiple


def cost_of(candidate: Candidate, context: Context) -> BlendedCost:
    """Return latency and energy as one cost, by the candidate's α's."""
    calibration = context.calibration
    return BlendedCost(
        calibration.latency,
        calibration.energy,
        context.architecture,
        candidate.alpha_latency,
        candidate.alpha_energy,
    )


def shape_within(
    target: float, candidate: Candidate, context: Context, coefficients: Sequence[float] = ()
) -> Architecture:
    """Return the widths of every layer that lose least at a share of the dense cost.

    Args:
        target: share of the dense cost.
        candidate: has the α's of the cost.
        context: of the trial.
        coefficients: of the sublayers, see :func:`pareto_prune.pruning.decoder.options`.

    Raises:
        TrialError: the target is below the smallest model.
    """
    dense, cost = context.architecture, cost_of(candidate, context)
    check_target(cost, dense, target)
    multiple = neuron_multiple(dense) if context.round_widths else 1
    sensitivities = context.calibration.sensitivities
    stages = options(dense, cost, sensitivities, coefficients, multiple)
    return dense.model_copy(update={"layers": tuple(decode(stages, target - cost.fixed))})
