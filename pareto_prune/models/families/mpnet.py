"""MPNet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pareto_prune.models.families import families
from pareto_prune.models.family import ModelFamily, Written
from pareto_prune.models.layout import Paths, SublayerPaths
from pareto_prune.models.writer import Writer

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel

_PAD = 1
"""Positions are counted behind this token, whatever the configuration pads with."""

_FARTHEST = 128
"""All distances from here on are in one bucket."""

_BIAS = "bias of relative positions"


@families.register("mpnet")
@dataclass(frozen=True)
class MPNet(ModelFamily):
    """MPNet: a bias of relative positions, one for each head, that all layers share."""

    model_types: ClassVar[tuple[str, ...]] = ("mpnet",)
    attentions: ClassVar[tuple[str, ...]] = ("eager",)
    gives_tuples: ClassVar[bool] = True
    paths: ClassVar[Paths] = Paths(
        layers="encoder.layer",
        attention=SublayerPaths(
            module="attention.attn",
            tail=("o",),
            inputs=("attention.attn.q", "attention.attn.k", "attention.attn.v"),
            output="attention.attn.o",
            norm="attention.LayerNorm",
            counts=("attention.attn.num_attention_heads",),
            widths=("attention.attn.all_head_size",),
            shared="position_bias",
            shared_table="encoder.relative_attention_bias",
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
        embeddings=("embeddings.word_embeddings", "embeddings.position_embeddings"),
        embedding_norms=("embeddings.LayerNorm",),
        readers=("pooler.dense", "classifier.dense", "classifier"),
    )

    def most_tokens(self, config: PreTrainedConfig) -> int | None:
        """Return the number of positions behind that of padding."""
        return int(config.max_position_embeddings) - _PAD - 1

    def fixed_rows(self, config: PreTrainedConfig) -> int:  # noqa: ARG002
        """Return the rows up to the token that positions are counted behind."""
        return _PAD + 1

    def scaling(self, layer: nn.Module) -> float:
        """Return what scores are multiplied with before the softmax."""
        attention: Any = layer.get_submodule(self.paths.attention.module)
        return float(attention.attention_head_size**-0.5)

    def write_embeddings(self, model: PreTrainedModel, w: Writer) -> str:
        """Return the residual stream below the first layer; the shared bias is made beside it."""
        w.once(_BIAS, lambda: _shared_bias(model, w))
        return super().write_embeddings(model, w)

    def write_rows(self, model: PreTrainedModel, w: Writer) -> Sequence[str | None]:  # noqa: ARG002
        """Return the rows of words and positions."""
        return ("input_ids", w.positions_behind(_PAD))

    def write_mask(self, w: Writer, layer: nn.Module) -> str:
        """Return the mask of padding with the bias of the heads that a layer has."""
        attention: Any = layer.get_submodule(self.paths.attention.module)
        kept = tuple(getattr(attention, "kept_heads", ()))
        return w.once(("mask of heads", kept), lambda: _mask_of(w, kept))

    def write_sentence(self, model: PreTrainedModel, w: Writer, x: str) -> Written:
        """Return the first token's state behind the projection in front of the classifier."""
        head: Any = model.get_submodule("classifier")
        x = w.linear(w.first_token(x, int(model.config.hidden_size)), head.dense)
        return w.graph.op("Tanh", x), head.out_proj


def _mask_of(w: Writer, kept: tuple[int, ...]) -> str:
    """Return mask plus bias of these heads, (batch, heads, tokens, tokens); of all if of none."""
    g, bias = w.graph, w.made(_BIAS)
    own = g.op("Gather", bias, g.constant(kept), axis=0) if kept else bias
    return g.op("Add", w.mask(), own)


def _shared_bias(model: PreTrainedModel, w: Writer) -> str:
    """Return the bias of every head by query and key, (heads, tokens, tokens).

    Distances are put into buckets by a table, made with the model's own rule: its logarithms,
    rounded by another library, would put some into the bucket beside it.
    """
    import torch

    g, encoder = w.graph, model.base_model.get_submodule("encoder")
    rule: Any = encoder.relative_position_bucket
    buckets = g.constant(rule(torch.arange(-_FARTHEST, _FARTHEST + 1)).numpy())
    far = g.op("Sub", w.range, g.op("Unsqueeze", w.range, g.constant([1])))
    near = g.op("Clip", far, g.constant(-_FARTHEST), g.constant(_FARTHEST))
    bucket = g.op("Gather", buckets, g.op("Add", near, g.constant(_FARTHEST)))
    table: Any = encoder.relative_attention_bias
    return g.op("Gather", g.vector(table.weight.T), bucket, axis=1)
