"""Even shapes: the same heads and neurons in every layer that stays, and which layers these are.

::

    losses of sublayers ─► gain of keeping a layer, by width ─► best layers, by their number
                                                                       │
                              least loss within the limit ◄── cost of so many layers, by width

Layers that stand at one place cost the same, so the number of layers and their width give the
cost, and which layers these are is a dynamic programme over their order alone. All numbers of
heads, neurons and layers are tried: the answer is exact.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.errors import TrialError
from pareto_prune.pruning.context import CostTable
from pareto_prune.pruning.cost import total
from pareto_prune.pruning.decoder import curve
from pareto_prune.pruning.even import EvenShapes, Floats, Stacks

Curves = Sequence[Mapping[int, float]]
"""For each sublayer, attention before FFN, bottom up: units kept → loss."""


def least_loss(
    shapes: EvenShapes,
    table: CostTable,
    curves: Curves,
    limit: float = np.inf,
    price: float = 0.0,
    multiple: int = 1,
    left: Architecture | None = None,
) -> Architecture:
    """Return the even shape of least loss + ``price`` × cost among those within ``limit``.

    Args:
        shapes: what is allowed.
        table: cost by layer and width.
        curves: loss of each sublayer by what it keeps; without a layer both its losses count.
        limit: on the cost of the whole model, in the table's unit.
        price: of a unit of cost, in units of loss.
        multiple: of neurons; the greatest width is always among the options.
        left: shape of what may still stay; none: the dense model's.

    Raises:
        TrialError: the smallest shape, of one layer, costs more than the limit.
    """
    present = (left or shapes.dense).layers
    there = [index for index, layer in enumerate(present) if not layer.dropped]
    most = min((present[index].neurons for index in there), default=0)
    check_even_target(shapes, table, limit / total(table, shapes.dense), multiple)
    widths = np.unique(np.append(np.arange(multiple, most, multiple), most))
    found = [
        _best(shapes, table, curves, heads, widths, there, limit, price)
        for heads in shapes.heads
        if all(heads <= present[index].heads for index in there)
    ]
    return min(found, key=lambda pair: pair[0])[1]


def check_even_target(
    shapes: EvenShapes, table: CostTable, target: float, multiple: int = 1
) -> None:
    """Raise ``TrialError`` where no even shape is as cheap as ``target``, a share of the dense."""
    width = np.array([min(multiple, shapes.dense.layers[0].neurons)])
    one_layer = table.fixed + float(_costs(table, 1, min(shapes.heads), width)[0, 0])
    least = one_layer / total(table, shapes.dense)
    if target * (1 + 1e-9) < least:
        wrong = f"cost target {target:.3g} is below the smallest model of layers that are alike"
        raise TrialError("cost_target", f"{wrong}, allowed: {least:.3g} or more")


def _best(
    shapes: EvenShapes,
    table: CostTable,
    curves: Curves,
    heads: int,
    widths: NDArray[np.int64],
    there: Sequence[int],
    limit: float,
    price: float,
) -> tuple[float, Architecture]:
    """Return the least loss with so many heads a layer, and the shape that has it."""
    gone, gains = _gains(curves, heads, widths)
    stacks = Stacks.of(shapes.places, gains, there)
    costs = table.fixed + _costs(table, len(shapes.places), heads, widths)
    worth = gone - stacks.best[1:] + price * costs
    worth[costs > limit * (1 + 1e-9)] = np.inf
    row, column = np.unravel_index(int(worth.argmin()), worth.shape)
    layers = stacks.layers(int(row) + 1, int(column))
    return float(worth[row, column]), shapes.of(heads, int(widths[column]), layers)


def _gains(curves: Curves, heads: int, widths: NDArray[np.int64]) -> tuple[float, Floats]:
    """Return the loss without any layer, and what keeping each layer gains, (layers, widths)."""
    none, some = np.array([0]), np.array([heads])
    gone = [float(curve(one, none)[0]) for one in curves]
    kept = [
        curve(attention, some) + curve(ffn, widths)
        for attention, ffn in zip(curves[0::2], curves[1::2], strict=True)
    ]
    alone = np.array(gone).reshape(-1, 2).sum(1)
    return sum(gone), alone[:, None] - np.array(kept)


def _costs(table: CostTable, layers: int, heads: int, widths: NDArray[np.int64]) -> Floats:
    """Return the cost of 1, 2, … layers of every width, (layers, widths)."""
    each = [
        [table.heads(index, heads) + table.neurons(index, int(kept)) for kept in widths]
        for index in range(layers)
    ]
    return np.cumsum(np.array(each), axis=0)
