"""From a cost target to the widths of every layer: least predicted loss by dynamic programming.

``DP[l][t] = min_s DP[l-1][t − t_{l,s}] + e_{l,s}`` over buckets of cost (SPDY, Frantar and Alistarh
2022, section 3.1; ZipLM, Kurtic et al. 2023, section 3.2). A stage is a layer, an option a pair of
widths. Costs are rounded up to buckets, so a plan never costs more than its target.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.pruning.context import CostTable

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

BUCKETS = 5000
STRETCH = 4.0
"""A layer coefficient of 1 weighs the loss of its sublayer this many times more, 0 as much less."""


@dataclass(frozen=True)
class Options:
    """The shapes that one layer can take, none both dearer and worse than another.

    Attributes:
        heads, neurons: widths, shape (options,).
        cost: of the layer, ascending, shape (options,).
        loss: predicted, descending, shape (options,).
    """

    heads: Ints
    neurons: Ints
    cost: Floats
    loss: Floats

    def shape(self, option: int) -> LayerShape:
        """Return the widths of one option."""
        return LayerShape(heads=int(self.heads[option]), neurons=int(self.neurons[option]))


def options(
    dense: Architecture,
    table: CostTable,
    sensitivities: Sequence[Mapping[int, float]],
    coefficients: Sequence[float] = (),
    multiple: int = 1,
) -> list[Options]:
    """Return what each layer can become, at which cost and predicted loss.

    Args:
        dense: the dense model's shape.
        table: cost by layer and width.
        sensitivities: loss of each sublayer alone, by units kept; see :func:`curve`.
        coefficients: one for each sublayer, in [0, 1]; its loss counts
            ``STRETCH ** (2 coefficient − 1)`` times, so 0.5 changes nothing. None: all 0.5.
        multiple: of neurons; the dense width is always among the options.
    """
    weights = stretched(coefficients or [0.5] * len(sensitivities))
    found = []
    for index, full in enumerate(dense.layers):
        heads, neurons = np.arange(full.heads + 1), _widths(full.neurons, multiple)
        losses = [
            weights[2 * index] * curve(sensitivities[2 * index], heads),
            weights[2 * index + 1] * curve(sensitivities[2 * index + 1], neurons),
        ]
        costs = [
            np.array([table.heads(index, int(kept)) for kept in heads]),
            np.array([table.neurons(index, int(kept)) for kept in neurons]),
        ]
        found.append(_pairs(heads, neurons, costs, losses))
    return found


def stretched(coefficients: Sequence[float]) -> Floats:
    """Return how many times the loss of each sublayer counts."""
    return np.asarray(STRETCH ** (2 * np.array(coefficients) - 1), dtype=np.float64)


def weighted(
    sensitivities: Sequence[Mapping[int, float]], coefficients: Sequence[float]
) -> list[dict[int, float]]:
    """Return sensitivities times what :func:`stretched` says of them."""
    weights = stretched(coefficients or [0.5] * len(sensitivities)).tolist()
    pairs = zip(sensitivities, weights, strict=True)
    return [{kept: weight * loss for kept, loss in one.items()} for one, weight in pairs]


def curve(sensitivity: Mapping[int, float], widths: Ints) -> Floats:
    """Return the loss at these widths: never rising with width, straight between those known."""
    known = np.array(sorted(sensitivity))
    losses = np.array([sensitivity[int(kept)] for kept in known], dtype=np.float64)
    falling = np.maximum.accumulate(losses[::-1])[::-1]
    return np.interp(widths, known, falling)


def decode(stages: Sequence[Options], limit: float, buckets: int = BUCKETS) -> list[LayerShape]:
    """Return the option of every stage: least total loss at a total cost of at most ``limit``.

    Exact up to the rounding of each cost to a bucket of ``limit / buckets``.

    Raises:
        ValueError: the cheapest options together cost more.
    """
    cheapest = sum(float(stage.cost[0]) for stage in stages)
    dearest = sum(float(stage.cost[-1]) for stage in stages)
    if cheapest > limit * (1 + 1e-9):
        raise ValueError(f"the cheapest options cost {cheapest:.6g}, the limit is {limit:.6g}")
    if cheapest >= limit * (1 - 1e-9):
        return [stage.shape(0) for stage in stages]
    if dearest <= limit * (1 + 1e-9):
        return [stage.shape(len(stage.cost) - 1) for stage in stages]
    chosen = _best([_bucketed(stage, limit, buckets) for stage in stages], stages, buckets)
    return [stage.shape(option) for stage, option in zip(stages, chosen, strict=True)]


def weigh(stages: Sequence[Options], price: float) -> list[LayerShape]:
    """Return the option of every stage with the least loss + ``price`` × cost."""
    return [stage.shape(int((stage.loss + price * stage.cost).argmin())) for stage in stages]


def _widths(full: int, multiple: int) -> Ints:
    return np.unique(np.append(np.arange(0, full, multiple), full))


def _pairs(
    heads: Ints, neurons: Ints, costs: Sequence[Floats], losses: Sequence[Floats]
) -> Options:
    cost = (costs[0][:, None] + costs[1]).ravel()
    loss = (losses[0][:, None] + losses[1]).ravel()
    order = np.lexsort((loss, cost))
    before = np.minimum.accumulate(np.append(np.inf, loss[order][:-1]))
    kept = order[loss[order] < before]
    return Options(
        heads=np.repeat(heads, len(neurons))[kept],
        neurons=np.tile(neurons, len(heads))[kept],
        cost=cost[kept],
        loss=loss[kept],
    )


def _bucketed(stage: Options, limit: float, buckets: int) -> Ints:
    """Return costs in buckets, rounded up; the cheapest options of all stages always fit."""
    return np.ceil(stage.cost * (buckets / limit) - 1e-6).astype(np.int64)


def _best(steps: Sequence[Ints], stages: Sequence[Options], buckets: int) -> list[int]:
    """Run the programme; fall back on the cheapest options where rounding leaves no room."""
    best, choices = np.zeros(buckets + 1), []
    for step, stage in zip(steps, stages, strict=True):
        best, choice = _add_stage(best, step, stage.loss)
        choices.append(choice)
    if not np.isfinite(best[-1]):
        return [0] * len(stages)
    return _trace(choices, steps, buckets)


def _add_stage(best: Floats, step: Ints, loss: Floats) -> tuple[Floats, Ints]:
    """Return the least loss within every number of buckets with one stage more, and its option."""
    total = np.full(len(best), np.inf)
    choice = np.zeros(len(best), dtype=np.int64)
    for option, (taken, added) in enumerate(zip(step, loss, strict=True)):
        if taken >= len(best):
            break
        candidate = best[: len(best) - taken] + added
        better = candidate < total[taken:]
        total[taken:][better] = candidate[better]
        choice[taken:][better] = option
    return total, choice


def _trace(choices: Sequence[Ints], steps: Sequence[Ints], left: int) -> list[int]:
    chosen = []
    for choice, step in zip(reversed(choices), reversed(steps), strict=True):
        option = int(choice[left])
        chosen.append(option)
        left -= int(step[option])
    return chosen[::-1]
