"""Cost tables: what a sublayer costs at each width, counted or measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from pareto_prune.core.architecture import Architecture, LayerShape

Curve = Mapping[int, float]


@dataclass(frozen=True)
class MacsCost:
    """Multiply-accumulates of the encoder for one sequence (Kwon et al. 2022, section 4.2).

    Attributes:
        dense: the dense model's shape.
        tokens: length of the sequence; the task's average, not its maximum.
    """

    dense: Architecture
    tokens: int

    def heads(self, layer: int, kept: int) -> float:
        """Return the cost of ``kept`` heads."""
        return self._macs(layer, LayerShape(heads=kept, neurons=0))

    def neurons(self, layer: int, kept: int) -> float:
        """Return the cost of ``kept`` neurons."""
        return self._macs(layer, LayerShape(heads=0, neurons=kept))

    @property
    def fixed(self) -> float:
        """Nothing: only the encoder counts."""
        return 0.0

    def _macs(self, layer: int, shape: LayerShape) -> float:
        return float(self.dense.layer_macs(layer, shape, self.tokens))


@dataclass(frozen=True)
class MeasuredCost:
    """Milliseconds or joules, straight lines between the widths that were measured.

    Every layer of a model costs the same at the same width. Nothing costs nothing; otherwise more
    units never cost less.

    Attributes:
        attention: cost of one layer's attention by heads.
        ffn: cost of one layer's FFN by neurons.
        rest: cost of a model without layers.
    """

    attention: Curve
    ffn: Curve
    rest: float

    def heads(self, layer: int, kept: int) -> float:  # noqa: ARG002
        """Return the cost of the attention with ``kept`` heads."""
        return _at(self.attention, kept)

    def neurons(self, layer: int, kept: int) -> float:  # noqa: ARG002
        """Return the cost of the FFN with ``kept`` neurons."""
        return _at(self.ffn, kept)

    @property
    def fixed(self) -> float:
        """Cost of all that no plan removes."""
        return self.rest

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            "attention": {str(kept): cost for kept, cost in self.attention.items()},
            "ffn": {str(kept): cost for kept, cost in self.ffn.items()},
            "rest": self.rest,
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read what :meth:`to_json` wrote.

        Raises:
            KeyError, ValueError, TypeError, AttributeError: it is not that.
        """
        attention, ffn = (
            {int(kept): float(cost) for kept, cost in data[name].items()}
            for name in ("attention", "ffn")
        )
        return cls(attention, ffn, float(data["rest"]))


def _at(curve: Curve, kept: int) -> float:
    if kept == 0:
        return 0.0
    widths = sorted(curve)
    rising = np.maximum.accumulate([max(0.0, curve[width]) for width in widths])
    return float(np.interp(kept, widths, rising))
