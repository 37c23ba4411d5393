"""From the modules of a transformer, dense or cut, to the nodes of a graph.

Which modules there are is read from the paths of the model's family, so that uneven layers,
missing heads, missing neurons and missing channels need no case of their own. What is not
recognised raises :class:`UnsupportedModelError`; what is recognised wrongly is caught by
:func:`pareto_prune.models.onnx_graph.check`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pareto_prune.core.errors import ParetoPruneError
from pareto_prune.models import families as models
from pareto_prune.models.onnx_graph.graph import Dtype, Graph

if TYPE_CHECKING:
    import onnx
    from torch import nn
    from transformers import PreTrainedModel

    from pareto_prune.models.onnx_graph.graph import Array


class UnsupportedModelError(ParetoPruneError):
    """The model has a part whose graph is not known here; it has to be traced."""


@dataclass(frozen=True)
class Built:
    """A finished graph with its interface.

    Attributes:
        inputs: names of its inputs, int64 of shape (batch, tokens).
        logits: name of what it returns.
        shape: of the logits; a string is a dynamic dimension.
    """

    graph: Graph
    inputs: tuple[str, ...]
    logits: str
    shape: tuple[str | int, ...]

    def proto(self) -> onnx.ModelProto:
        """Return the whole model, weights included."""
        return self.graph.proto(self.inputs, self.logits, self.shape)

    def skeleton(self) -> tuple[onnx.ModelProto, dict[str, Array]]:
        """Return the model without its large weights, and those by name."""
        return self.graph.skeleton(self.inputs, self.logits, self.shape)


def build(model: PreTrainedModel, dtype: Dtype = "float32", weight_bits: int = 8) -> Built:
    """Return the graph of a model with a classification head, with dynamic batch and length.

    Args:
        model: any supported family, dense or cut; its weights are copied.
        dtype: what the weights are kept in, see :class:`Graph`.
        weight_bits: bits used of an int8.

    Raises:
        UnsupportedModelError: a part of it is not known here.
    """
    walk = _Walk(model, Graph(dtype, weight_bits))
    walk.encoder()
    logits, shape = walk.head()
    return Built(walk.graph, input_names(model), logits, shape)


def input_names(model: PreTrainedModel) -> tuple[str, ...]:
    """Return the inputs that a model takes: token types where it tells two sentences apart."""
    names = ("input_ids", "attention_mask")
    types: Any = models.find(model.base_model, "embeddings.token_type_embeddings")
    both = types is not None and len(types.weight) > 1
    return (*names, "token_type_ids") if both else names


class _Walk:
    """Walks a model bottom up; ``x`` is the residual stream, (batch × tokens, hidden)."""

    def __init__(self, model: PreTrainedModel, graph: Graph) -> None:
        self.model, self.graph = model, graph
        self.base: Any = model.base_model
        self.family = models.family_of(model)
        self.paths = self.family.paths
        self.size = models.head_size(model.config)
        self.shape = graph.op("Shape", "input_ids")
        self.length = graph.op("Shape", "input_ids", start=1, end=2)
        self.range = self._range()
        self.x = ""
        self._mask: dict[bool, str] = {}

    def encoder(self) -> None:
        """Add everything below the head."""
        self._refuse_unknown()
        self._embeddings()
        pre_norm = self.paths.neurons_residual in self.paths.norms
        for layer in self.family.layers(self.model):
            norms: Any = self.family.norms(layer)
            for sublayer, norm in zip((self._attention, self._ffn), norms, strict=True):
                self._residual(sublayer, layer, norm, pre_norm)
        for path in self.paths.final_norms:
            self.x = self.graph.norm(self.x, self.base.get_submodule(path))

    def head(self) -> tuple[str, tuple[str | int, ...]]:
        """Add the head; return its logits and their shape."""
        task = type(self.model).__name__.partition("For")[2]
        if task == "TokenClassification":
            return self._token_head()
        if task != "SequenceClassification":
            raise UnsupportedModelError(f"the head of {type(self.model).__name__}")
        return self._sequence_head()

    def _refuse_unknown(self) -> None:
        config: Any = self.model.config
        if getattr(config, "add_cross_attention", False) or getattr(config, "is_decoder", False):
            raise UnsupportedModelError("a decoder")
        if getattr(config, "reorder_and_upcast_attn", False):
            raise UnsupportedModelError("attention in another order")

    def _range(self) -> str:
        end = self.graph.op("Squeeze", self.length)
        return self.graph.op("Range", self.graph.constant(0), end, self.graph.constant(1))

    def _embeddings(self) -> None:
        g, base = self.graph, self.base
        tables: list[Any] = [base.get_submodule(path) for path in self.paths.embeddings]
        x = g.table(tables[0].weight, "input_ids")
        if len(tables) == 3:
            x = g.op("Add", x, self._token_types(tables[2]))
        x = g.op("Add", x, g.table(tables[1].weight, self._positions()))
        for path in self.paths.embedding_norms:
            x = g.norm(x, base.get_submodule(path))
        width = int(tables[0].weight.shape[1])
        self.x = g.reshape(x, [-1, width])
        projection: Any = models.find(base, self.paths.projection)
        if projection is not None:
            self.x = self._linear(self.x, projection)

    def _token_types(self, table: Any) -> str:
        if len(table.weight) > 1:
            return self.graph.table(table.weight, "token_type_ids")
        return self.graph.vector(table.weight[0])

    def _positions(self) -> str:
        """Return the positions: counted from the start, or from the padding as RoBERTa does."""
        g, pad = self.graph, getattr(models.find(self.base, "embeddings"), "padding_idx", None)
        if pad is None:
            return self.range
        is_pad = g.op("Equal", "input_ids", g.constant(pad))
        real = g.op("Cast", g.op("Not", is_pad), to=_INT64)
        counted = g.op("Mul", g.op("CumSum", real, g.constant(1)), real)
        return g.op("Add", counted, g.constant(pad))

    def _residual(
        self, sublayer: Callable[[str, Any], str], layer: Any, norm: Any, pre: bool
    ) -> None:
        g = self.graph
        if pre:
            self.x = g.op("Add", sublayer(g.norm(self.x, norm), layer), self.x)
        else:
            self.x = g.norm(g.op("Add", sublayer(self.x, layer), self.x), norm)

    def _attention(self, x: str, layer: Any) -> str:
        out: Any = self.family.heads_out(layer)
        if not hasattr(out, "weight"):
            return self.graph.vector(out.bias)
        module = layer.get_submodule(self.paths.attention)
        query, key, value = self._heads(x, layer, float(module.scaling))
        scores = self.graph.op("MatMul", query, self.graph.op("Transpose", key, perm=[0, 1, 3, 2]))
        masked = self.graph.op("Add", scores, self.mask(bool(module.is_causal)))
        weights = self.graph.op("Softmax", masked, axis=-1)
        mixed = self.graph.op("MatMul", weights, value)
        joined = self.graph.op("Transpose", mixed, perm=[0, 2, 1, 3])
        width = int(models.weight(out).shape[1])
        return self._linear(self.graph.reshape(joined, [-1, width]), out)

    def _heads(self, x: str, layer: Any, scaling: float) -> list[str]:
        """Return scaled queries, keys and values, each (batch, heads, tokens, head size)."""
        import torch

        g, parts = self.graph, self.family.heads_in(layer)
        weight = torch.cat([models.weight(part) for part in parts]).detach().clone()
        bias = torch.cat([part.bias for part in parts]).detach().clone()  # type: ignore[misc]
        width = len(bias) // 3
        weight[:width] *= scaling
        bias[:width] *= scaling
        split = [3, width // self.size, self.size]
        y = g.reshape(g.linear(x, weight, bias), split, self.shape)
        y = g.op("Transpose", y, perm=[2, 0, 3, 1, 4])
        return [
            g.op("Squeeze", part, g.constant([0]))
            for part in g.ops("Split", y, outputs=3, axis=0, num_outputs=3)
        ]

    def mask(self, causal: bool) -> str:
        """Return what is added to the scores: 0, or hugely negative where nothing is attended to.

        Shape (batch, 1, 1, tokens), or (batch, 1, tokens, tokens) if causal.
        """
        if causal not in self._mask:
            g = self.graph
            kept = g.op("Cast", "attention_mask", to=_BOOL)
            kept = g.op("Unsqueeze", kept, g.constant([1, 2]))
            if causal:
                row = g.op("Unsqueeze", self.range, g.constant([1]))
                kept = g.op("And", kept, g.op("GreaterOrEqual", row, self.range))
            lowest = g.scalar(-1e4 if g.dtype == "float16" else float(np.finfo(np.float32).min))
            self._mask[causal] = g.op("Where", kept, g.scalar(0.0), lowest)
        return self._mask[causal]

    def _ffn(self, x: str, layer: Any) -> str:
        out: Any = self.family.neurons_out(layer)
        if not hasattr(out, "weight"):
            return self.graph.vector(out.bias)
        inner = self._linear(x, self.family.neurons_in(layer))
        owner, _, name = self.paths.activation.rpartition(".")
        return self._linear(self._activate(inner, getattr(layer.get_submodule(owner), name)), out)

    def _activate(self, x: str, activation: Any) -> str:
        name = getattr(activation, "__name__", type(activation).__name__)
        if name not in _ACTIVATIONS:
            raise UnsupportedModelError(f"the activation {name}")
        kind, attributes = _ACTIVATIONS[name]
        return self.graph.op(kind, x, **attributes)

    def _linear(self, x: str, module: nn.Module) -> str:
        bias: Any = getattr(module, "bias", None)
        return self.graph.linear(x, models.weight(module), bias)

    def _token_head(self) -> tuple[str, tuple[str | int, ...]]:
        classifier: Any = self.model.classifier
        labels = int(classifier.weight.shape[0])
        logits = self.graph.reshape(self._linear(self.x, classifier), [labels], self.shape)
        return logits, ("batch", "tokens", labels)

    def _sequence_head(self) -> tuple[str, tuple[str | int, ...]]:
        model: Any = self.model
        if hasattr(model, "score"):
            return self._final(self._last_token(), model.score)
        x = self._first_token()
        if getattr(self.base, "pooler", None) is not None:
            x = self.graph.op("Tanh", self._linear(x, self.base.pooler.dense))
        elif hasattr(model, "pre_classifier"):
            x = self.graph.op("Relu", self._linear(x, model.pre_classifier))
        elif hasattr(model.classifier, "out_proj"):
            x = self._linear(x, model.classifier.dense)
            activation = getattr(model.classifier, "activation", None)
            x = self._activate(x, activation) if activation else self.graph.op("Tanh", x)
            return self._final(x, model.classifier.out_proj)
        return self._final(x, model.classifier)

    def _final(self, x: str, module: Any) -> tuple[str, tuple[str | int, ...]]:
        return self._linear(x, module), ("batch", int(module.weight.shape[0]))

    def _tokens(self) -> str:
        """Return the residual stream as (batch, tokens, hidden)."""
        return self.graph.reshape(self.x, [int(self.model.config.hidden_size)], self.shape)

    def _first_token(self) -> str:
        return self.graph.op("Gather", self._tokens(), self.graph.constant(0), axis=1)

    def _last_token(self) -> str:
        """Return the stream at the last token that is not padding, as GPT-2's head reads it."""
        g, pad = self.graph, self.model.config.pad_token_id
        if pad is None:
            raise UnsupportedModelError("no padding token")
        is_pad = g.op("Equal", "input_ids", g.constant(pad))
        real = g.op("Cast", g.op("Not", is_pad), to=_INT64)
        last = g.op("ArgMax", g.op("Mul", real, self.range), axis=1, keepdims=1)
        return g.op("GatherND", self._tokens(), last, batch_dims=1)


_INT64, _BOOL = 7, 9
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
