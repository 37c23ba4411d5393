"""DeBERTa and DeBERTa-v2; DeBERTa-v3 checkpoints are models of the latter.

Attention is disentangled (He et al. 2021, section 3.1). With contents c and a table of relative
positions p that all layers share, head by head::

    score(i, j) = (q(c_i)·k(c_j) + q(c_i)·k'(p_[i-j]) + q'(p_[i-j])·k(c_j)) / √(parts × head size)
                   content         content to position  position to content
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, ClassVar

from pareto_prune.core.errors import Problem
from pareto_prune.models.families import families
from pareto_prune.models.family import ModelFamily, Written
from pareto_prune.models.layout import Paths, SublayerPaths, find
from pareto_prune.models.writer import Writer

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedConfig, PreTrainedModel

_TO_POSITION, _TO_CONTENT = _PARTS = ("c2p", "p2c")
_WORDS, _TYPES = "embeddings.word_embeddings", "embeddings.token_type_embeddings"


@families.register("deberta")
@dataclass(frozen=True)
class Deberta(ModelFamily):
    """DeBERTa: scores of contents with relative positions, whose table all layers share."""

    model_types: ClassVar[tuple[str, ...]] = ("deberta",)
    attentions: ClassVar[tuple[str, ...]] = ("eager",)
    autocasts: ClassVar[bool] = False
    gives_tuples: ClassVar[bool] = True
    paths: ClassVar[Paths] = Paths(
        layers="encoder.layer",
        attention=SublayerPaths(
            module="attention.self",
            tail=(),
            inputs=("attention.self.in_proj",),
            output="attention.output.dense",
            norm="attention.output.LayerNorm",
            counts=("attention.self.num_attention_heads",),
            widths=("attention.self.all_head_size",),
            beside=("attention.self.pos_proj", "attention.self.pos_q_proj"),
            vectors=("attention.self.q_bias", "attention.self.v_bias"),
            interleaved=True,
        ),
        ffn=SublayerPaths(
            module="intermediate",
            tail=(),
            inputs=("intermediate.dense",),
            output="output.dense",
            norm="output.LayerNorm",
            residual="intermediate",
        ),
        activation="intermediate.intermediate_act_fn",
        embeddings=(_WORDS, _TYPES, "embeddings.position_embeddings"),
        embedding_norms=("embeddings.LayerNorm",),
        projection="embeddings.embed_proj",
        projects_first=True,
        readers=("pooler.dense", "classifier"),
        tables=("encoder.rel_embeddings",),
    )

    def most_tokens(self, config: PreTrainedConfig) -> int | None:
        """Return the number of absolute positions; relative ones go on, all far ones alike."""
        return int(config.max_position_embeddings) if config.position_biased_input else None

    def problems(self, config: PreTrainedConfig) -> list[Problem]:
        """Return what mixes heads with each other."""
        if not getattr(config, "talking_head", False):
            return []
        return [Problem("model", "config.talking_head is true", "allowed: false")]

    def stock_sizes(
        self, model: PreTrainedModel, heads: int, neurons: int, head_size: int
    ) -> dict[str, Any] | None:
        """Return the sizes, that of the pooler among them."""
        sizes = super().stock_sizes(model, heads, neurons, head_size)
        return sizes and {**sizes, "pooler_hidden_size": sizes["hidden_size"]}

    def table_readers(self, layer: nn.Module) -> list[nn.Module]:
        """Return what reads the table of positions in a layer, the stream perhaps as well."""
        return list(self._position_readers(layer).values())

    def position_scores(self, layer: nn.Module) -> int:
        """Return how many parts of a layer's scores compare tokens with relative positions."""
        return len(self._position_readers(layer))

    # As nodes

    def unwritten(self, config: PreTrainedConfig) -> str | None:
        """Return what is not written: scores with parts that are not known."""
        parts = set(config.pos_att_type or ()) - set(_PARTS)
        return f"scores of the kind {sorted(parts)[0]}" if parts else super().unwritten(config)

    def input_names(self, model: PreTrainedModel) -> tuple[str, ...]:
        """Return the inputs: token types where the model tells two sentences apart."""
        names = super().input_names(model)
        return (*names, "token_type_ids") if _tells_types(model) else names

    def write_rows(self, model: PreTrainedModel, w: Writer) -> Sequence[str | None]:
        """Return the rows of words, token types and positions."""
        return ("input_ids", "token_type_ids" if _tells_types(model) else None, w.range)

    def write_layers(self, model: PreTrainedModel, w: Writer, x: str) -> str:
        """Return the stream behind the last layer; what all layers share is made beside it."""
        self._write_tables(model, w)
        return super().write_layers(model, w, x)

    def write_attention(self, w: Writer, layer: nn.Module, x: str) -> str:
        """Return what the heads of a layer write."""
        g, sublayer = w.graph, self.attention(layer)
        query, key, value = w.heads(x, self._projections(layer), self.scaling(layer))
        added = [w.mask()]
        for part in self._position_readers(layer):
            compared = query if part == _TO_POSITION else key
            scores = _by_token(w, g.op("MatMul", compared, w.made((layer, part))))
            turned = part == _TO_CONTENT
            added.append(g.op("Transpose", scores, perm=[0, 1, 3, 2]) if turned else scores)
        mixed = w.attend(query, key, value, w.added(added), sublayer.width)
        return w.linear(mixed, sublayer.output)

    def scaling(self, layer: nn.Module) -> float:
        """Return what scores are multiplied with before the softmax."""
        attention: Any = layer.get_submodule(self.paths.attention.module)
        parts = 1 + len(attention.pos_att_type)
        return float((parts * attention.attention_head_size) ** -0.5)

    def write_sentence(self, model: PreTrainedModel, w: Writer, x: str) -> Written:
        """Return the first token's state behind the pooler."""
        from transformers.activations import ACT2FN

        whole: Any = model
        x = w.linear(w.first_token(x, int(model.config.hidden_size)), whole.pooler.dense)
        return w.activate(x, ACT2FN[model.config.pooler_hidden_act]), whole.classifier

    def _position_readers(self, layer: nn.Module) -> dict[str, nn.Module]:
        """Return, for each part of the scores with positions, what reads their table for it."""
        attention: Any = layer.get_submodule(self.paths.attention.module)
        if not getattr(attention, "relative_attention", False):
            return {}
        named = zip(_PARTS, self._named_readers(attention), strict=True)
        wanted = attention.pos_att_type
        return {part: getattr(attention, name) for part, name in named if part in wanted}

    def _named_readers(self, attention: nn.Module) -> tuple[str, str]:  # noqa: ARG002
        """Return the projections that make keys and queries of positions, below an attention."""
        return "pos_proj", "pos_q_proj"

    def _projections(self, layer: nn.Module) -> list[Any]:
        """Return q, k and v of a layer, each with weight and bias."""
        import torch

        query, value = self.attention(layer).vectors
        biases = (query, torch.zeros_like(query), value)
        blocks = zip(self.attention(layer).blocks(), biases, strict=True)
        return [SimpleNamespace(weight=weight, bias=bias) for weight, bias in blocks]

    def _write_tables(self, model: PreTrainedModel, w: Writer) -> None:
        encoder = model.base_model.get_submodule("encoder")
        for layer in self.layers(model):
            for part in self._position_readers(layer):
                w.once((layer, part), partial(self._write_positions, w, encoder, layer, part))

    def _write_positions(self, w: Writer, encoder: nn.Module, layer: nn.Module, part: str) -> str:
        """Return the keys or queries of 2 × tokens distances, (heads, head size, distances).

        Distances fall from tokens - 1 for keys, and rise to tokens for queries.
        """
        keys, heads = part == _TO_POSITION, self.attention(layer).width // w.head_size
        table = _projected(encoder, self._position_readers(layer)[part])
        table = table if keys else table * self.scaling(layer)
        by_head = table.reshape(len(table), heads, -1).transpose(0, 1)
        which = w.once((part, "rows"), lambda: _rows(w, encoder, falling=keys))
        own = w.once((part, "rows", heads), lambda: _of_heads(w, which, heads, len(table)))
        return w.graph.op("Transpose", w.graph.table(by_head.flatten(0, 1), own), perm=[0, 2, 1])


@families.register("deberta-v2")
@dataclass(frozen=True)
class DebertaV2(Deberta):
    """DeBERTa-v2 and v3: buckets of relative positions, some with a convolution."""

    model_types: ClassVar[tuple[str, ...]] = ("deberta-v2",)
    autocasts: ClassVar[bool] = True
    paths: ClassVar[Paths] = replace(
        Deberta.paths,
        attention=replace(
            Deberta.paths.attention,
            inputs=tuple(f"attention.self.{name}_proj" for name in ("query", "key", "value")),
            beside=("attention.self.pos_key_proj", "attention.self.pos_query_proj"),
            vectors=(),
            interleaved=False,
        ),
        table_norms=("encoder.LayerNorm",),
        mixer="encoder.conv",
        mixer_maps=("encoder.conv.conv",),
        mixer_norms=("encoder.conv.LayerNorm",),
        first_stays=True,
    )

    def problems(self, config: PreTrainedConfig) -> list[Problem]:
        """Return what keeps channels of a convolution in groups of one size."""
        groups = getattr(config, "conv_groups", 1)
        wrong = Problem("model", f"config.conv_groups is {groups}", "allowed: 1")
        return [*super().problems(config), *([wrong] if groups != 1 else [])]

    def places(self, config: PreTrainedConfig, layers: int) -> Sequence[Hashable]:  # noqa: ARG002
        """Return which layer is the first, at whose place the encoder computes."""
        return [index == 0 for index in range(layers)]

    def unwritten(self, config: PreTrainedConfig) -> str | None:
        """Return what is not written: scores of unknown parts, buckets that stop nowhere."""
        buckets = getattr(config, "position_buckets", -1)
        odd = buckets > 0 and buckets % 2
        return "an odd number of buckets" if odd else super().unwritten(config)

    def write_layers(self, model: PreTrainedModel, w: Writer, x: str) -> str:
        """Return the stream behind the last layer, with the convolution behind the first place."""
        encoder: Any = model.base_model.get_submodule("encoder")
        if encoder.conv is None:
            return super().write_layers(model, w, x)
        self._write_tables(model, w)
        below, there = x, self.layers(model)
        for place, layer in enumerate(encoder.layer):
            x = self.write_layer(w, layer, x) if layer in there else x
            x = _mixed(w, encoder.conv, below, x) if place == 0 else x
        return x

    def _named_readers(self, attention: nn.Module) -> tuple[str, str]:
        shared = getattr(attention, "share_att_key", False)
        return ("key_proj", "query_proj") if shared else ("pos_key_proj", "pos_query_proj")

    def _projections(self, layer: nn.Module) -> list[Any]:
        return self.attention(layer).inputs


def _tells_types(model: PreTrainedModel) -> bool:
    table: Any = find(model.base_model, _TYPES)
    return table is not None and len(table.weight) > 1


def _projected(encoder: Any, reader: nn.Module) -> Tensor:
    """Return what a projection makes of the table of positions, (positions, heads × head size)."""
    import torch

    with torch.no_grad():
        projected: Tensor = reader(encoder.get_rel_embedding())
    return projected


def _rows(w: Writer, encoder: Any, falling: bool) -> str:
    """Return the table's row for each of 2 × tokens distances, one after the other."""
    g, far = w.graph, int(encoder.max_relative_positions)
    rising = w.once("rising distances", lambda: _rising(w))
    distances = g.op("Neg", rising) if falling else rising
    near = g.op("Clip", distances, g.constant(-far), g.constant(far))
    return g.op("Gather", g.constant(_buckets(encoder, far)), g.op("Add", near, g.constant(far)))


def _of_heads(w: Writer, rows: str, heads: int, positions: int) -> str:
    """Return these rows in a table where those of one head stand below another's, (heads, rows)."""
    first = w.graph.constant([[head * positions] for head in range(heads)])
    return w.graph.op("Add", rows, first)


def _rising(w: Writer) -> str:
    """Return 1 - tokens, 2 - tokens, … tokens."""
    g, tokens = w.graph, _tokens(w)
    places = g.op("Concat", w.range, g.op("Add", w.range, tokens), axis=0)
    return g.op("Sub", places, g.op("Sub", tokens, g.constant([1])))


def _tokens(w: Writer) -> str:
    return w.once("tokens", lambda: w.graph.op("Shape", "input_ids", start=1, end=2))


def _buckets(encoder: Any, far: int) -> Any:
    """Return the table's row for every distance from -far to far, by the model's own rule.

    All from ``far`` on are in one bucket.
    """
    import torch

    one, many, half = torch.empty(1, 1, 1), torch.empty(1, far + 1, 1), _half(encoder)
    behind = encoder.get_rel_pos(many, query_states=one).flatten()
    before = encoder.get_rel_pos(one, query_states=many).flatten()
    distances = torch.cat([behind[1:].flip(0), before])
    return (distances + half).clamp(0, 2 * half - 1).numpy()


def _half(encoder: Any) -> int:
    return len(encoder.rel_embeddings.weight) // 2


def _by_token(w: Writer, scores: str) -> str:
    """Return (batch, heads, tokens, tokens) of scores with 2 × tokens distances.

    Row i starts at column tokens - 1 - i: one that is cut off the whole, row by row, moves the
    start of each row by one more.
    """
    g, tokens, one = w.graph, _tokens(w), w.graph.constant([1])
    flat = g.op("Reshape", scores, g.constant([0, 0, -1]))
    start, axis = g.op("Sub", tokens, one), g.constant([2])
    rest = g.op("Slice", flat, start, g.constant([-1]), axis)
    shape = g.op("Concat", g.constant([0, 0]), tokens, g.constant([-1]), axis=0)
    moved = g.op("Reshape", rest, shape)
    return g.op("Slice", moved, g.constant([0]), tokens, g.constant([3]))


def _mixed(w: Writer, mixer: Any, below: str, x: str) -> str:
    """Return the stream behind the convolution, which sees nothing where there is padding."""
    from transformers.activations import ACT2FN

    g, conv = w.graph, mixer.conv
    hidden, side = int(conv.weight.shape[0]), int(conv.padding[0])
    real = g.to_real(g.op("Unsqueeze", "attention_mask", g.constant([2])))
    seen = g.op("Transpose", g.op("Mul", w.tokens(below, hidden), real), perm=[0, 2, 1])
    weights = [g.vector(part) for part in (conv.weight, conv.bias)]
    y = g.op("Transpose", g.op("Conv", seen, *weights, pads=[side, side]), perm=[0, 2, 1])
    y = w.activate(g.reshape(y, [-1, hidden]), ACT2FN[mixer.conv_act])
    return w.norm(g.op("Add", x, y), mixer.LayerNorm)
