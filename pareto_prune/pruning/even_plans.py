"""Plans whose layers are all alike: what a strategy's scores come to where shapes must be even.

How many units stay is one number for all layers; which ones, each layer says by its own scores.
Which layers go is said by the scores of all their units together.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pareto_prune.core.architecture import Architecture
from pareto_prune.pruning.context import CostTable
from pareto_prune.pruning.cost import check_target, total
from pareto_prune.pruning.even import EvenShapes, Floats
from pareto_prune.pruning.even_decoder import Curves, least_loss
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.scores import UnitScores
from pareto_prune.pruning.selection import (
    above_threshold,
    check_finite,
    check_something_left,
    check_sublayers,
    kept_count,
    neuron_multiple,
    rounded,
    strongest,
)

if TYPE_CHECKING:
    from torch import Tensor

_SURE = 4.0
"""Above any sum of two shares: a layer that need not go stays before one that was to go."""


def all_gone(dense: Architecture, sublayers: Sequence[float]) -> set[int]:
    """Return the layers of which these sparsities leave neither head nor neuron."""
    return {
        index
        for index, full in enumerate(dense.layers)
        if not kept_count(full.heads, sublayers[2 * index])
        and not kept_count(full.neurons, sublayers[2 * index + 1])
    }


def even_by_sparsity(
    scores: UnitScores,
    sublayers: Sequence[float],
    depth: float,
    shapes: EvenShapes,
    round_widths: bool,
    gone: Collection[int] = (),
) -> PruningPlan:
    """Return the plan that removes a share of the layers, and one of the neurons of the others.

    Heads stay with their layer: at most with hidden channels could they go.

    Args:
        scores: importance of every unit.
        sublayers: sparsity of each sublayer; those of FFNs count, by their mean.
        depth: share of the layers that goes, the least important ones first.
        shapes: what is allowed.
        round_widths: whether FFN widths are rounded to what the hardware likes.
        gone: layers that are to go before the share of others does.

    Raises:
        TrialError: a score is not finite, the numbers do not fit, or nothing would be left.
    """
    check_finite(scores)
    check_sublayers(sublayers, len(scores.heads))
    there = [index for index in range(len(scores.heads)) if index not in gone]
    count = len(there) and max(1, len(there) - round(depth * len(scores.heads)))
    sparsity = float(np.mean([sublayers[2 * index + 1] for index in there or [0]]))
    step = neuron_multiple(shapes.dense) if round_widths else 1
    most = shapes.dense.layers[0].neurons
    neurons = max(min(step, most), kept_count(most, sparsity, step))
    return _with_layers(scores, shapes, there, count, neurons)


def even_by_threshold(
    scores: UnitScores, threshold: float, shapes: EvenShapes, round_widths: bool
) -> PruningPlan:
    """Return the plan of the layers with a unit above a threshold, and their mean of neurons.

    Raises:
        TrialError: a score is not finite, or nothing would be left.
    """
    check_finite(scores)
    heads, neurons = above_threshold(scores, threshold)
    there = [i for i, pair in enumerate(zip(heads, neurons, strict=True)) if any(pair)]
    step = neuron_multiple(shapes.dense) if round_widths else 1
    most = shapes.dense.layers[0].neurons
    mean = round(float(np.mean([neurons[index] for index in there or [0]])))
    kept = max(min(step, most), rounded(mean, most, step))
    return _with_layers(scores, shapes, there, len(there), kept)


def even_within(
    scores: UnitScores,
    table: CostTable,
    shapes: EvenShapes,
    target: float,
    multiple: int = 1,
    per_cost: bool = True,
    left: Architecture | None = None,
) -> PruningPlan:
    """Return the even plan within a cost target that keeps the highest total score.

    Args:
        scores: importance of every unit; below 0 for what is gone already.
        table: cost by layer and width.
        shapes: what is allowed.
        target: share of the dense cost.
        multiple: of neurons.
        per_cost: whether units are worth their score; otherwise the score is per cost.
        left: shape of what may still stay.

    Raises:
        TrialError: the target is below the smallest model.
    """
    check_target(table, shapes.dense, target)
    curves = _lost(scores, None if per_cost else table)
    limit = target * total(table, shapes.dense)
    shape = least_loss(shapes, table, curves, limit, multiple=multiple, left=left)
    return PruningPlan.of(even_units(scores, shapes, shape))


def even_units(
    scores: UnitScores, shapes: EvenShapes, shape: Architecture
) -> list[tuple[list[int], list[int]]]:
    """Return the best heads and neurons of every layer, as many as a shape has."""
    shared = _over_layers(scores.heads) if shapes.shares_heads else None
    return [
        (
            strongest(heads if shared is None else shared, layer.heads),
            strongest(neurons, layer.neurons),
        )
        for heads, neurons, layer in zip(scores.heads, scores.neurons, shape.layers, strict=True)
    ]


def _with_layers(
    scores: UnitScores, shapes: EvenShapes, there: Collection[int], count: int, neurons: int
) -> PruningPlan:
    gains = _importance(scores) + np.array([_SURE * (i in there) for i in range(len(scores.heads))])
    layers = shapes.best_layers(gains.tolist(), count)
    shape = shapes.of(max(shapes.heads), neurons, layers)
    plan = PruningPlan.of(even_units(scores, shapes, shape))
    check_something_left(plan)
    return plan


def _importance(scores: UnitScores) -> Floats:
    """Return each layer's share of the heads' scores and of the neurons', added up."""
    heads, neurons = (
        np.array([float(layer.sum()) for layer in kind]) for kind in (scores.heads, scores.neurons)
    )
    return heads / max(heads.sum(), 1e-30) + neurons / max(neurons.sum(), 1e-30)


def _over_layers(heads: Sequence[Tensor]) -> Tensor:
    """Return the scores of heads over all layers, each layer counting alike."""
    import torch

    return torch.stack([layer / layer.sum().clamp_min(1e-30) for layer in heads]).sum(0)


def _lost(scores: UnitScores, table: CostTable | None) -> Curves:
    """Return the score that each sublayer loses, by the units it keeps.

    With a table a unit's score counts times its average share of the sublayer's cost.
    """
    curves = []
    for index, pair in enumerate(zip(scores.heads, scores.neurons, strict=True)):
        for kind, values in zip(("heads", "neurons"), pair, strict=True):
            worth = np.sort(values.double().clamp_min(0).cpu().numpy())
            if table is not None:
                worth = worth * getattr(table, kind)(index, len(worth)) / max(1, len(worth))
            lost = np.append(np.cumsum(worth)[::-1], 0.0)
            curves.append(dict(enumerate(lost.tolist())))
    return curves
