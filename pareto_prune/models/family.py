"""What a model family knows: one class, of which a member overrides what is its own.

::

    paths, pre_norm        where units live, and on which side of a sublayer its norm stands
    problems … span        what its configurations say
    write_…                how it is written as ONNX nodes

Surgery, calibration, repair, cost and export ask a family and know none by name.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pareto_prune.core.architecture import LayerKind
from pareto_prune.core.errors import Problem
from pareto_prune.models.layout import Paths, Sublayer, find, present
from pareto_prune.models.writer import UnsupportedModelError, Writer

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel

PREFIX = "pruned_"
"""Before the ``model_type`` of a cut model."""

Written = tuple[str, "nn.Module"]
"""The name of what the last projection reads, and that projection."""


@dataclass(frozen=True)
class ModelFamily:
    """What is built alike.

    Attributes:
        model_types: values of ``config.model_type`` that are built this way.
        paths: where its parts live.
        pre_norm: whether norms stand before their sublayers, inside of the residual connection,
            or behind the sum.
        attentions: implementations of the attention that it has in transformers, best first.
        autocasts: whether its attention computes under autocast.
        gives_tuples: whether a layer returns a tuple: the residual stream, then attention weights.
        neurons_key: what configurations call the number of neurons of a layer.
    """

    model_types: ClassVar[tuple[str, ...]]
    paths: ClassVar[Paths]
    pre_norm: ClassVar[bool] = False
    attentions: ClassVar[tuple[str, ...]] = ("sdpa", "eager")
    autocasts: ClassVar[bool] = True
    gives_tuples: ClassVar[bool] = False
    neurons_key: ClassVar[str] = "intermediate_size"

    def layers(self, model: PreTrainedModel) -> list[nn.Module]:
        """Return the layers that are there, bottom up; dropped ones are not among them."""
        stack = model.base_model.get_submodule(self.paths.layers).children()
        return [layer for layer in stack if list(layer.children())]

    def attention(self, layer: nn.Module) -> Sublayer:
        """Return the attention of a layer: units are heads."""
        return Sublayer(self.paths.attention, layer)

    def ffn(self, layer: nn.Module) -> Sublayer:
        """Return the FFN of a layer: units are neurons."""
        return Sublayer(self.paths.ffn, layer)

    def sublayers(self, layer: nn.Module) -> tuple[Sublayer, Sublayer]:
        """Return the attention and the FFN of a layer, in the order in which they run."""
        return self.attention(layer), self.ffn(layer)

    def norms(self, layer: nn.Module) -> list[nn.Module]:
        """Return the norms that a layer has."""
        return [part.norm for part in self.sublayers(layer) if part.norm is not None]

    def stream_writers(self, model: PreTrainedModel) -> list[nn.Module]:
        """Return what the residual stream is made of below the first layer: tables or one map."""
        projection = find(model.base_model, self.paths.projection)
        if projection is not None:
            return [projection]
        return present(model.base_model, self.paths.embeddings)

    def stream_norms(self, model: PreTrainedModel) -> tuple[list[nn.Module], list[nn.Module]]:
        """Return the norms of hidden width around the first layer and behind the last one."""
        base, paths = model.base_model, self.paths
        projected = find(base, paths.projection) is not None and not paths.projects_first
        around = (*(() if projected else paths.embedding_norms), *paths.mixer_norms)
        return present(base, around), present(base, paths.final_norms)

    def table_norms(self, model: PreTrainedModel) -> list[nn.Module]:
        """Return the norms over the tables that all layers read beside the stream."""
        return present(model.base_model, self.paths.table_norms)

    def table_readers(self, layer: nn.Module) -> list[nn.Module]:
        """Return what reads those tables in a layer, the stream perhaps as well."""
        return self.attention(layer).beside

    # What configurations say

    def attention_kind(self, wanted: str) -> str:
        """Return ``wanted``, or the best implementation of the attention that there is."""
        return wanted if wanted in self.attentions else self.attentions[0]

    def problems(self, config: PreTrainedConfig) -> list[Problem]:  # noqa: ARG002
        """Return what keeps a model with this configuration from the tasks of this package."""
        return []

    def head_size(self, config: PreTrainedConfig) -> int:
        """Return the dimensions of one attention head of a dense model."""
        return int(config.hidden_size) // int(config.num_attention_heads)

    def most_tokens(self, config: PreTrainedConfig) -> int | None:
        """Return the length of the longest sequence that there are positions for; None: any."""
        return int(config.max_position_embeddings)

    def fixed_rows(self, config: PreTrainedConfig) -> int:  # noqa: ARG002
        """Return how many of the first rows of the word table must stay where they are."""
        return 0

    def stated(
        self,
        config: PreTrainedConfig,  # noqa: ARG002
        kept: Sequence[int],  # noqa: ARG002
        head_size: int,  # noqa: ARG002
    ) -> dict[str, Any]:
        """Return what a configuration says, beside its sizes, once only some layers are left.

        Args:
            config: of the model as it is.
            kept: positions, among the layers that it has, of those that stay.
            head_size: dimensions of a head.
        """
        return {}

    def places(self, config: PreTrainedConfig, layers: int) -> Sequence[Hashable]:  # noqa: ARG002
        """Return what the stock class gives each of a dense model's layers by its place alone.

        A layer that moves down, since one below it is gone, must find the same at its new place.
        """
        return [None] * layers

    def stock_sizes(
        self,
        model: PreTrainedModel,
        heads: int,
        neurons: int,
        head_size: int,
    ) -> dict[str, Any] | None:
        """Return what the stock configuration says where every layer has so many units.

        ``None`` where it cannot say it. Stock classes take hidden channels / heads for the size of
        a head, and project from as many features as there are channels. They project embeddings
        where these are of another width, and only there.

        Args:
            model: dense, or cut before.
            heads: of every layer.
            neurons: of every layer.
            head_size: dimensions of a head.
        """
        hidden, width = heads * head_size, getattr(model.config, "embedding_size", None)
        sizes = {"hidden_size": hidden, "num_attention_heads": heads, self.neurons_key: neurons}
        if width is None:
            return sizes
        if find(model.base_model, self.paths.projection) is None:
            return {**sizes, "embedding_size": hidden}
        return None if hidden == width else sizes

    def span(self, layer: nn.Module) -> int | None:  # noqa: ARG002
        """Return how many tokens one token of a dense layer attends to at most; None: all."""
        return None

    def position_scores(self, layer: nn.Module) -> int:  # noqa: ARG002
        """Return how many parts of a layer's scores compare tokens with relative positions."""
        return 0

    def kind(self, layer: nn.Module) -> LayerKind:
        """Return what the units of a dense layer hold and cost."""
        heads, neurons = self.sublayers(layer)
        hidden = len(heads.blocks()[0].T)
        units = sum(
            part.width * ((_matrices(part) + len(part.beside)) * hidden + _biases(part))
            for part in (heads, neurons)
        )
        rest = sum(parameter.numel() for parameter in layer.parameters()) - units
        return LayerKind(
            head_matrices=_matrices(heads),
            head_biases=_biases(heads),
            neuron_matrices=_matrices(neurons),
            neuron_biases=_biases(neurons),
            vectors=rest // hidden,
            span=self.span(layer),
            position_matrices=len(heads.beside),
            position_scores=self.position_scores(layer),
        )

    # How it is written as ONNX nodes. ``x`` is the name of a tensor of (batch × tokens, hidden).

    def unwritten(self, config: PreTrainedConfig) -> str | None:
        """Return what of a model is not written as nodes here, if anything."""
        decodes = any(getattr(config, n, False) for n in ("add_cross_attention", "is_decoder"))
        return "a decoder" if decodes else None

    def input_names(self, model: PreTrainedModel) -> tuple[str, ...]:  # noqa: ARG002
        """Return the inputs that a model takes."""
        return ("input_ids", "attention_mask")

    def write_embeddings(self, model: PreTrainedModel, w: Writer) -> str:
        """Return the residual stream below the first layer."""
        base: Any = model.base_model
        tables: list[Any] = [find(base, path) for path in self.paths.embeddings]
        pairs = zip(tables, self.write_rows(model, w), strict=True)
        x = w.added([w.rows(*pair) for pair in pairs if pair[0] is not None])
        norms = [base.get_submodule(path) for path in self.paths.embedding_norms]
        x = x if self.paths.projects_first else w.normed(x, norms)
        x = w.graph.reshape(x, [-1, int(tables[0].weight.shape[1])])
        projection = find(base, self.paths.projection)
        x = x if projection is None else w.linear(x, projection)
        return w.normed(x, norms) if self.paths.projects_first else x

    def write_rows(self, model: PreTrainedModel, w: Writer) -> Sequence[str | None]:  # noqa: ARG002
        """Return which row each token takes of every table; None where a table has one row."""
        return ("input_ids", w.range)[: len(self.paths.embeddings)]

    def write_layers(self, model: PreTrainedModel, w: Writer, x: str) -> str:
        """Return the stream behind the last layer."""
        for layer in self.layers(model):
            x = self.write_layer(w, layer, x)
        return x

    def write_layer(self, w: Writer, layer: nn.Module, x: str) -> str:
        """Return the stream behind a layer."""
        x = self._residual(w, self.attention(layer), x, self.write_attention)
        return self._residual(w, self.ffn(layer), x, self.write_ffn)

    def write_attention(self, w: Writer, layer: nn.Module, x: str) -> str:
        """Return what the heads of a layer write."""
        sublayer = self.attention(layer)
        query, key, value = w.heads(x, sublayer.inputs, self.scaling(layer))
        query, key = (self.write_position(w, layer, part) for part in (query, key))
        mixed = w.attend(query, key, value, self.write_mask(w, layer), sublayer.width)
        return w.linear(mixed, sublayer.output)

    def scaling(self, layer: nn.Module) -> float:
        """Return what scores are multiplied with before the softmax."""
        module: Any = layer.get_submodule(self.paths.attention.module)
        return float(module.scaling)

    def write_position(self, w: Writer, layer: nn.Module, x: str) -> str:  # noqa: ARG002
        """Return queries or keys, (batch, heads, tokens, head size), that know their positions."""
        return x

    def write_mask(self, w: Writer, layer: nn.Module) -> str:
        """Return what is added to the scores of a layer."""
        module: Any = layer.get_submodule(self.paths.attention.module)
        return w.mask(causal=bool(module.is_causal))

    def write_ffn(self, w: Writer, layer: nn.Module, x: str) -> str:
        """Return what the neurons of a layer write: gated where two blocks make them."""
        sublayer, activation = self.ffn(layer), find(layer, self.paths.activation)
        inner = w.stacked(x, sublayer.inputs)
        if len(sublayer.blocks()) == 1:
            return w.linear(w.activate(inner, activation), sublayer.output)
        active, gate = w.graph.ops("Split", inner, outputs=2, axis=-1, num_outputs=2)
        gated = w.graph.op("Mul", w.activate(active, activation), gate)
        return w.linear(gated, sublayer.output)

    def write_sentence(self, model: PreTrainedModel, w: Writer, x: str) -> Written:  # noqa: ARG002
        """Return what of each sequence the last projection of a classifier reads."""
        raise UnsupportedModelError(f"the head of {type(model).__name__}")

    def write_tokens(self, model: PreTrainedModel, w: Writer, x: str) -> Written:  # noqa: ARG002
        """Return what of each token the last projection of a tagger reads."""
        whole: Any = model
        return x, whole.classifier

    def _residual(
        self,
        w: Writer,
        sublayer: Sublayer,
        x: str,
        write: Callable[[Writer, nn.Module, str], str],
    ) -> str:
        read = w.norm(x, sublayer.norm) if self.pre_norm and sublayer.inputs else x
        y = write(w, sublayer.layer, read) if sublayer.inputs else w.bias(sublayer.output)
        x = x if y is None else w.graph.op("Add", y, x)
        return x if self.pre_norm else w.norm(x, sublayer.norm)


def _matrices(sublayer: Sublayer) -> int:
    """Return how many matrices the units of a sublayer have: what reads the stream, and writes."""
    return len(sublayer.blocks()) + 1


def _biases(sublayer: Sublayer) -> int:
    """Return how many biases of their own the units of a sublayer have."""
    parts: list[Any] = [*sublayer.inputs, *sublayer.beside]
    biases = [part.bias for part in parts if getattr(part, "bias", None) is not None]
    return sum(len(bias) for bias in (*biases, *sublayer.vectors)) // sublayer.width
