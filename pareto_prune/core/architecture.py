"""The shape of a model: what a layer is made of, and how many of each unit it has left.

::

    one layer                                 unit      what a cut removes
    ┌──────────────────────────────────┐
    │ x ──► q, k, v ──► heads ──► W_o ─┼─► +   head      head_size rows of q, k, v; columns of W_o
    │            (sublayer: attention) │   │   sublayer  the whole attention, or the whole FFN
    │ x ──► W_1 ──► neurons ──► W_2 ───┼─► +   neuron    one row of W_1, one column of W_2
    │            (sublayer: FFN)       │       layer     both sublayers and their LayerNorms
    └──────────────────────────────────┘       channel   one hidden dimension, everywhere

A layer with neither heads nor neurons is not there: its input is its output.
"""

from __future__ import annotations

import pydantic

from pareto_prune.core.record import Record


class LayerShape(Record):
    """Units left in one layer: attention heads and FFN neurons, both counts."""

    heads: int = pydantic.Field(ge=0)
    neurons: int = pydantic.Field(ge=0)

    @property
    def dropped(self) -> bool:
        """Whether the layer is not there at all."""
        return self.heads == 0 and self.neurons == 0


class Architecture(Record):
    """The shape of a model: hidden size and what every layer of the dense model has left.

    Attributes:
        hidden: hidden channels.
        head_size: dimensions of one attention head; never changed by pruning.
        layers: one entry for every layer of the *dense* model, bottom up; a dropped layer has
            0 heads and 0 neurons.
    """

    hidden: int = pydantic.Field(gt=0)
    head_size: int = pydantic.Field(gt=0)
    layers: tuple[LayerShape, ...]

    @property
    def heads(self) -> int:
        """Heads left in all layers."""
        return sum(layer.heads for layer in self.layers)

    @property
    def neurons(self) -> int:
        """FFN neurons left in all layers."""
        return sum(layer.neurons for layer in self.layers)

    def macs(self, tokens: int) -> int:
        """Return the encoder's multiply-accumulates for one sequence of ``tokens`` tokens.

        A head costs ``4 s d d_h + 2 s² d_h``, a neuron ``2 s d`` (Kwon et al. 2022, section 4.2).
        """
        head = 4 * tokens * self.hidden * self.head_size + 2 * tokens**2 * self.head_size
        return self.heads * head + self.neurons * 2 * tokens * self.hidden
