"""The pruning plan: which units of every layer stay, as integers that survive JSON."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import Any, Self

import pydantic

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.core.record import Record

_LATER = ("pooled", "rows")
"""What plans of the first version do not have."""


class LayerPlan(Record):
    """Units of one layer that stay: strictly increasing indices into the dense layer."""

    heads: tuple[int, ...]
    neurons: tuple[int, ...]

    @pydantic.field_validator("heads", "neurons")
    @classmethod
    def _increasing(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(b <= a for a, b in zip((-1, *value), value, strict=False)):
            raise ValueError("indices must be strictly increasing and not negative")
        return value

    @property
    def dropped(self) -> bool:
        """Whether nothing of the layer stays: it is then skipped, LayerNorms included."""
        return not self.heads and not self.neurons


class PruningPlan(Record):
    """Which units stay, for every layer of the dense model, bottom up.

    Attributes:
        layers: one entry a layer of the dense model; one with neither heads nor neurons is
            skipped as a whole.
        channels: hidden dimensions that stay, strictly increasing; ``None`` keeps all.
        pooled: units that stay of what the task's head makes before its last projection, strictly
            increasing; ``None`` keeps all.
        rows: tokens whose rows in the word table stay, strictly increasing; ``None`` keeps all.
    """

    layers: tuple[LayerPlan, ...]
    channels: tuple[int, ...] | None = None
    pooled: tuple[int, ...] | None = None
    rows: tuple[int, ...] | None = None

    @classmethod
    def dense(cls, architecture: Architecture) -> Self:
        """Return the plan that keeps everything of a dense model."""
        return cls(
            layers=tuple(
                LayerPlan(heads=tuple(range(s.heads)), neurons=tuple(range(s.neurons)))
                for s in architecture.layers
            )
        )

    @classmethod
    def of(
        cls,
        kept: Iterable[tuple[Iterable[int], Iterable[int]]],
        channels: Iterable[int] | None = None,
    ) -> Self:
        """Return the plan that keeps ``(heads, neurons)`` of every layer, given in any order."""
        return cls(
            layers=tuple(
                LayerPlan(heads=tuple(sorted(heads)), neurons=tuple(sorted(neurons)))
                for heads, neurons in kept
            ),
            channels=None if channels is None else tuple(sorted(channels)),
        )

    def with_channels(self, channels: Iterable[int]) -> Self:
        """Return the plan that keeps these hidden channels, given in any order."""
        return self.model_copy(update={"channels": tuple(sorted(channels))})

    def with_pooled(self, pooled: Iterable[int] | None) -> Self:
        """Return the plan that keeps these pooled units, given in any order; ``None``: all."""
        return self.model_copy(update={"pooled": None if pooled is None else tuple(sorted(pooled))})

    def with_rows(self, rows: Iterable[int]) -> Self:
        """Return the plan that keeps these rows of the word table, given in any order."""
        return self.model_copy(update={"rows": tuple(sorted(rows))})

    def architecture(self, dense: Architecture) -> Architecture:
        """Return the shape of ``dense`` cut by this plan.

        Raises:
            ValueError: an index is outside the dense model, or the number of layers differs.
        """
        self.check(dense)
        layers = tuple(
            LayerShape(heads=len(layer.heads), neurons=len(layer.neurons)) for layer in self.layers
        )
        hidden = dense.hidden if self.channels is None else len(self.channels)
        return dense.model_copy(update={"hidden": hidden, "layers": layers})

    def check(self, dense: Architecture) -> None:
        """Raise ``ValueError`` where the plan does not fit ``dense``."""
        if len(self.layers) != len(dense.layers):
            raise ValueError(
                f"the plan has {len(self.layers)} layers, the model {len(dense.layers)}"
            )
        for index, (layer, shape) in enumerate(zip(self.layers, dense.layers, strict=True)):
            if layer.heads and layer.heads[-1] >= shape.heads:
                raise ValueError(f"layer {index}: head {layer.heads[-1]} of {shape.heads}")
            if layer.neurons and layer.neurons[-1] >= shape.neurons:
                raise ValueError(f"layer {index}: neuron {layer.neurons[-1]} of {shape.neurons}")
        if self.channels is not None and not (
            self.channels and self.channels[0] >= 0 and self.channels[-1] < dense.hidden
        ):
            raise ValueError(f"channels must be among the {dense.hidden} of the model, not none")
        if self.pooled is not None and not (
            self.pooled and self.pooled[0] >= 0 and self.pooled[-1] < dense.hidden
        ):
            raise ValueError(f"pooled units must be among the {dense.hidden} of the head, not none")

    @pydantic.model_serializer(mode="wrap")
    def _as_before(self, write: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out pooled units and rows where all stay: plans of before keep their digests."""
        written: dict[str, Any] = write(self)
        return {k: v for k, v in written.items() if k not in _LATER or v is not None}

    def digest(self) -> str:
        """Return a SHA-256 of the plan: equal plans, equal digests."""
        return hashlib.sha256(self.model_dump_json().encode()).hexdigest()
