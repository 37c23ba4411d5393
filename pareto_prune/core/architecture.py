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

from typing import Any

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


class LayerKind(Record):
    """What the units of a layer hold and cost; by default as in BERT.

    Attributes:
        head_matrices: (hidden, head size) matrices of a head: q, k, v and ``W_o``.
        head_biases: biases of a head, each of head size.
        neuron_matrices: hidden vectors of a neuron: in ``W_1`` and ``W_2``, and in a gate.
        neuron_biases: biases of a neuron.
        vectors: hidden vectors that only the whole layer takes along: norms, output biases.
        span: tokens that one token attends to at most; None: all.
        position_matrices: (hidden, head size) matrices of a head that read relative positions,
            which is done once and not for every token.
        position_scores: parts of a head's scores that compare tokens with relative positions.
    """

    head_matrices: int = 4
    head_biases: int = 3
    neuron_matrices: int = 2
    neuron_biases: int = 1
    vectors: int = 6
    span: int | None = None
    position_matrices: int = 0
    position_scores: int = 0

    @pydantic.model_serializer(mode="wrap")
    def _as_before(self, write: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out what is not there: caches and records are named after this."""
        written: dict[str, Any] = write(self)
        return {k: v for k, v in written.items() if v or not k.startswith("position_")}


class Architecture(Record):
    """The shape of a model: hidden size and what every layer of the dense model has left.

    Attributes:
        hidden: hidden channels.
        head_size: dimensions of one attention head; never changed by pruning.
        layers: one entry for every layer of the *dense* model, bottom up; a dropped layer has
            0 heads and 0 neurons.
        kinds: what these layers are made of; nothing where all are as in BERT.
    """

    hidden: int = pydantic.Field(gt=0)
    head_size: int = pydantic.Field(gt=0)
    layers: tuple[LayerShape, ...]
    kinds: tuple[LayerKind, ...] = ()

    @property
    def heads(self) -> int:
        """Heads left in all layers."""
        return sum(layer.heads for layer in self.layers)

    @property
    def neurons(self) -> int:
        """FFN neurons left in all layers."""
        return sum(layer.neurons for layer in self.layers)

    def kind(self, index: int) -> LayerKind:
        """Return what layer ``index`` of the dense model is made of."""
        return self.kinds[index] if self.kinds else LayerKind()

    def macs(self, tokens: int) -> int:
        """Return the encoder's multiply-accumulates for one sequence of ``tokens`` tokens."""
        return sum(self.layer_macs(i, shape, tokens) for i, shape in enumerate(self.layers))

    def layer_macs(self, index: int, shape: LayerShape, tokens: int) -> int:
        """Return those of layer ``index``, were it of this shape.

        A head costs ``4 s d d_h + 2 s² d_h``, a neuron ``2 s d`` (Kwon et al. 2022, section 4.2);
        with a gate a neuron costs ``3 s d``, a head that sees w tokens ``2 s w d_h`` for s², and
        every part of its scores that compares with positions as much as one with content twice:
        ``2 s² d_h``, a row for each of the distances to either side.
        """
        kind = self.kind(index)
        seen = tokens if kind.span is None else min(tokens, kind.span)
        head = kind.head_matrices * self.hidden + 2 * seen * (1 + kind.position_scores)
        neurons = shape.neurons * kind.neuron_matrices * self.hidden
        return tokens * (shape.heads * head * self.head_size + neurons)

    @pydantic.model_serializer(mode="wrap")
    def _as_before(self, write: pydantic.SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Leave out kinds that say nothing: caches and records are named after this."""
        written: dict[str, Any] = write(self)
        return written if self.kinds else {k: v for k, v in written.items() if k != "kinds"}
