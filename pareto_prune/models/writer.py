"""What the layers of all families are made of, as nodes of one model's graph.

A family calls these in the order in which its model computes (:mod:`pareto_prune.models.family`).
What is not recognised raises :class:`UnsupportedModelError`; what is recognised wrongly is caught
by :func:`pareto_prune.models.onnx_graph.check`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pareto_prune.core.errors import ParetoPruneError
from pareto_prune.models.graph import Graph
from pareto_prune.models.layout import weight

if TYPE_CHECKING:
    from torch import Tensor, nn


class UnsupportedModelError(ParetoPruneError):
    """The model has a part whose graph is not known here; it has to be traced."""


class Writer:
    """Adds the parts of one model to a graph; a name stands for a tensor.

    Args:
        graph: what is added to.
        head_size: dimensions of a head.

    Attributes:
        shape: name of (batch, tokens).
        range: name of 0, 1, … tokens - 1.
    """

    def __init__(self, graph: Graph, head_size: int) -> None:
        self.graph, self.head_size = graph, head_size
        self.shape = graph.op("Shape", "input_ids")
        self.range = self._range()
        self._made: dict[Any, str] = {}

    def once(self, key: Any, make: Any) -> str:
        """Return what ``make()`` adds; layers that share a key share its node."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def made(self, key: Any) -> str:
        """Return what :meth:`once` added for ``key``, before the layer that asks."""
        return self._made[key]

    def linear(self, x: str, module: nn.Module) -> str:
        """Return what a projection makes of a two-dimensional ``x``."""
        bias: Any = getattr(module, "bias", None)
        return self.graph.linear(x, weight(module), bias)

    def stacked(self, x: str, modules: Sequence[nn.Module]) -> str:
        """Return what projections make of ``x``, side by side."""
        return self.graph.linear(x, *_stack(modules))

    def bias(self, module: nn.Module) -> str | None:
        """Return the bias of a module, if it has one."""
        bias: Any = getattr(module, "bias", None)
        return None if bias is None else self.graph.vector(bias)

    def norm(self, x: str, module: nn.Module | None) -> str:
        """Return the LayerNorm of ``x``; ``x`` itself where there is none."""
        return x if module is None else self.graph.norm(x, module)

    def normed(self, x: str, modules: Sequence[nn.Module]) -> str:
        """Return ``x`` behind some norms, one after the other."""
        for module in modules:
            x = self.norm(x, module)
        return x

    def activate(self, x: str, activation: Any) -> str:
        """Return an activation of ``x``.

        Raises:
            UnsupportedModelError: it is not one of the known ones.
        """
        name = getattr(activation, "__name__", type(activation).__name__)
        if name not in _ACTIVATIONS:
            raise UnsupportedModelError(f"the activation {name}")
        kind, attributes = _ACTIVATIONS[name]
        return self.graph.op(kind, x, **attributes)

    def rows(self, table: Any, which: str | None) -> str:
        """Return rows of an embedding table; its only one where ``which`` is None."""
        if which is None:
            return self.graph.vector(table.weight[0])
        return self.graph.table(table.weight, which)

    def added(self, terms: Sequence[str]) -> str:
        """Return the sum of some tensors, added from the left."""
        total = terms[0]
        for term in terms[1:]:
            total = self.graph.op("Add", total, term)
        return total

    def heads(self, x: str, modules: Sequence[nn.Module], scaling: float) -> list[str]:
        """Return scaled queries, keys and values, each (batch, heads, tokens, head size)."""
        g = self.graph
        stacked, bias = _stack(modules)
        width = len(stacked) // 3
        for part in (stacked, bias):
            if part is not None:
                part[:width] *= scaling
        split = [3, width // self.head_size, self.head_size]
        y = g.reshape(g.linear(x, stacked, bias), split, self.shape)
        y = g.op("Transpose", y, perm=[2, 0, 3, 1, 4])
        return [
            g.op("Squeeze", part, g.constant([0]))
            for part in g.ops("Split", y, outputs=3, axis=0, num_outputs=3)
        ]

    def attend(self, query: str, key: str, value: str, mask: str, width: int) -> str:
        """Return the values that each query attends to, (batch × tokens, width)."""
        g = self.graph
        scores = g.op("MatMul", query, g.op("Transpose", key, perm=[0, 1, 3, 2]))
        weights = g.op("Softmax", g.op("Add", scores, mask), axis=-1)
        mixed = g.op("Transpose", g.op("MatMul", weights, value), perm=[0, 2, 1, 3])
        return g.reshape(mixed, [-1, width])

    def turned(self, x: str, theta: float) -> str:
        """Return queries or keys turned by their positions.

        Rotary positions, the two numbers of a pair half a head apart (Su et al. 2021, section
        3.2); ``theta`` is their base.
        """
        g, cosine, sine = self.graph, self._angles("Cos", theta), self._angles("Sin", theta)
        first, second = g.ops("Split", x, outputs=2, axis=-1, num_outputs=2)
        half = g.op("Concat", g.op("Neg", second), first, axis=-1)
        return g.op("Add", g.op("Mul", x, cosine), g.op("Mul", half, sine))

    def mask(self, causal: bool = False, window: int | None = None) -> str:
        """Return what is added to the scores: 0, or hugely negative where nothing is attended to.

        Args:
            causal: whether a token sees none behind itself.
            window: how far a token sees to either side; None: to the end.

        Shape (batch, 1, 1, tokens), or (batch, 1, tokens, tokens) if causal or with a window.
        """
        return self.once(("mask", causal, window), lambda: self._mask(causal, window))

    def tokens(self, x: str, hidden: int) -> str:
        """Return ``x`` as (batch, tokens, hidden)."""
        return self.graph.reshape(x, [hidden], self.shape)

    def first_token(self, x: str, hidden: int) -> str:
        """Return ``x`` at the first token of every sequence, (batch, hidden)."""
        return self.graph.op("Gather", self.tokens(x, hidden), self.graph.constant(0), axis=1)

    def last_token(self, x: str, hidden: int) -> str:
        """Return ``x`` at the last token of every sequence, padding apart; (batch, hidden)."""
        g = self.graph
        counted = g.op("ReduceSum", "attention_mask", g.constant([1]), keepdims=1)
        place = g.op("Sub", counted, g.constant([1]))
        return g.op("GatherND", self.tokens(x, hidden), place, batch_dims=1)

    def mean(self, x: str, hidden: int) -> str:
        """Return the mean of ``x`` over the tokens of every sequence, (batch, hidden)."""
        g, real = self.graph, self._real()
        weighted = g.op("Mul", self.tokens(x, hidden), real)
        total = g.op("ReduceSum", weighted, g.constant([1]), keepdims=0)
        return g.op("Div", total, g.op("ReduceSum", real, g.constant([1]), keepdims=0))

    def largest(self, x: str, hidden: int) -> str:
        """Return the largest numbers of ``x`` over the tokens of every sequence."""
        g = self.graph
        kept = g.op("Cast", g.op("Unsqueeze", "attention_mask", g.constant([2])), to=_BOOL)
        lowest = g.scalar(-6e4 if g.dtype == "float16" else float(np.finfo(np.float32).min))
        found = g.op("Where", kept, self.tokens(x, hidden), lowest)
        return g.op("ReduceMax", found, g.constant([1]), keepdims=0)

    def normalised(self, x: str) -> str:
        """Return the rows of ``x`` at length 1."""
        g = self.graph
        return g.op("Div", x, g.op("ReduceL2", x, g.constant([-1]), keepdims=1))

    def _real(self) -> str:
        """Return 1 at tokens and 0 at padding, (batch, tokens, 1)."""
        g = self.graph
        return g.to_real(g.op("Unsqueeze", "attention_mask", g.constant([2])))

    def is_real(self, pad: int) -> str:
        """Return, for every token, 0 where it is the token ``pad`` and else 1."""
        g = self.graph
        return g.op("Cast", g.op("Not", g.op("Equal", "input_ids", g.constant(pad))), to=_INT64)

    def positions_behind(self, pad: int) -> str:
        """Return positions that start behind the token ``pad`` and stand still at padding."""
        g, real = self.graph, self.is_real(pad)
        counted = g.op("Mul", g.op("CumSum", real, g.constant(1)), real)
        return g.op("Add", counted, g.constant(pad))

    def _range(self) -> str:
        g = self.graph
        end = g.op("Squeeze", g.op("Shape", "input_ids", start=1, end=2))
        return g.op("Range", g.constant(0), end, g.constant(1))

    def _angles(self, name: str, theta: float) -> str:
        """Return cosine or sine of every position's angles, (tokens, head size)."""
        g = self.graph
        angles = self.once(("angles", theta), lambda: self._turns(theta))
        return self.once((name, theta), lambda: g.to_real(g.op(name, angles)))

    def _turns(self, theta: float) -> str:
        g, size = self.graph, self.head_size
        frequencies = 1.0 / theta ** (np.arange(0, size, 2, dtype=np.float32) / size)
        positions = g.op("Unsqueeze", g.op("Cast", self.range, to=_FLOAT), g.constant([1]))
        return g.op("Mul", positions, g.constant(np.tile(frequencies, 2), np.float32))

    def _mask(self, causal: bool, window: int | None) -> str:
        g = self.graph
        kept = g.op("Cast", "attention_mask", to=_BOOL)
        kept = g.op("Unsqueeze", kept, g.constant([1, 2]))
        row = g.op("Unsqueeze", self.range, g.constant([1])) if causal or window is not None else ""
        if causal:
            kept = g.op("And", kept, g.op("GreaterOrEqual", row, self.range))
        if window is not None:
            far = g.op("Abs", g.op("Sub", row, self.range))
            kept = g.op("And", kept, g.op("LessOrEqual", far, g.constant(window)))
        lowest = g.scalar(-1e4 if g.dtype == "float16" else float(np.finfo(np.float32).min))
        return g.op("Where", kept, g.scalar(0.0), lowest)


def _stack(modules: Sequence[nn.Module]) -> tuple[Tensor, Tensor | None]:
    """Return copies of weights and biases of projections, one above the other."""
    import torch

    biases: list[Any] = [part.bias for part in modules if getattr(part, "bias", None) is not None]
    stacked = torch.cat([weight(part) for part in modules]).detach().clone()
    return stacked, torch.cat(biases).detach().clone() if biases else None


_FLOAT, _INT64, _BOOL = 1, 7, 9
_ACTIVATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "GELUActivation": ("Gelu", {}),
    "GELU": ("Gelu", {}),
    "NewGELUActivation": ("Gelu", {"approximate": "tanh"}),
    "GELUTanh": ("Gelu", {"approximate": "tanh"}),
    "PytorchGELUTanh": ("Gelu", {"approximate": "tanh"}),
    "FastGELUActivation": ("Gelu", {"approximate": "tanh"}),
    "ReLU": ("Relu", {}),
    "Tanh": ("Tanh", {}),
}
