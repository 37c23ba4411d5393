"""What shapes are allowed where all layers that stay must be alike, and which layers may stay."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core.architecture import Architecture, LayerShape

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class EvenShapes:
    """What shapes are allowed where all layers that stay must be alike.

    Attributes:
        dense: the dense model's shape.
        places: what each layer has by its place alone; one that moves down must find the same.
        hidden: hidden channels by the heads that every layer may then have.
        shares_heads: whether the same heads must stay in all layers.
    """

    dense: Architecture
    places: tuple[Hashable, ...]
    hidden: Mapping[int, int]
    shares_heads: bool = False

    @property
    def heads(self) -> list[int]:
        """Numbers of heads that every layer may have where all hidden channels stay."""
        return [heads for heads, hidden in self.hidden.items() if hidden == self.dense.hidden]

    def best_layers(self, gains: Sequence[float], count: int) -> list[int]:
        """Return the ``count`` layers of the highest total gain that may stand on each other."""
        column = np.array(gains, dtype=np.float64)[:, None]
        return Stacks.of(self.places, column, range(len(gains))).layers(count, 0)

    def of(self, heads: int, neurons: int, layers: Iterable[int]) -> Architecture:
        """Return the shape with so many units in these layers and none in the others."""
        full, none = LayerShape(heads=heads, neurons=neurons), LayerShape(heads=0, neurons=0)
        kept = set(layers)
        shapes = tuple(full if i in kept else none for i in range(len(self.dense.layers)))
        return self.dense.model_copy(update={"layers": shapes})


@dataclass(frozen=True)
class Stacks:
    """The best layers to stand on each other, for every number of them and every width.

    Attributes:
        best: total gain of the best 0, 1, … layers, (layers + 1, widths); -inf: there are none.
        taken: whether a layer is then the one at a place, (layers, places, widths).
    """

    best: Floats
    taken: NDArray[np.bool_]

    @classmethod
    def of(cls, places: Sequence[Hashable], gains: Floats, there: Iterable[int]) -> Stacks:
        """Run the programme over the layers, bottom up; of equal ones the lower layers stay."""
        layers, widths = gains.shape
        best = np.full((layers + 1, widths), -np.inf)
        best[0] = 0.0
        taken = np.zeros((layers, layers, widths), dtype=np.bool_)
        for layer in there:
            for place in range(layer, -1, -1):
                if places[layer] == places[place]:
                    with_it = best[place] + gains[layer]
                    taken[layer, place] = with_it > best[place + 1]
                    best[place + 1] = np.maximum(best[place + 1], with_it)
        return cls(best, taken)

    def layers(self, count: int, column: int) -> list[int]:
        """Return the best ``count`` layers at one width, ascending."""
        found = []
        for layer in range(len(self.taken) - 1, -1, -1):
            if count and self.taken[layer, count - 1, column]:
                found.append(layer)
                count -= 1
        return found[::-1]
