"""GPT-2, for classification."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pareto_prune.core.errors import Problem
from pareto_prune.models.families import families
from pareto_prune.models.family import ModelFamily, Written
from pareto_prune.models.layout import Paths, SublayerPaths
from pareto_prune.models.writer import UnsupportedModelError, Writer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel


@families.register("gpt2")
@dataclass(frozen=True)
class Gpt2(ModelFamily):
    """GPT-2: LayerNorm before each sublayer, q, k and v fused in one transposed projection."""

    model_types: ClassVar[tuple[str, ...]] = ("gpt2",)
    pre_norm: ClassVar[bool] = True
    neurons_key: ClassVar[str] = "n_inner"
    paths: ClassVar[Paths] = Paths(
        layers="h",
        attention=SublayerPaths(
            module="attn",
            tail=("c_proj", "resid_dropout"),
            inputs=("attn.c_attn",),
            output="attn.c_proj",
            norm="ln_1",
            counts=("attn.num_heads",),
            widths=("attn.split_size",),
        ),
        ffn=SublayerPaths(
            module="mlp",
            tail=("c_proj", "dropout"),
            inputs=("mlp.c_fc",),
            output="mlp.c_proj",
            norm="ln_2",
            residual="ln_2",
        ),
        activation="mlp.act",
        embeddings=("wte", "wpe"),
        embedding_norms=(),
        final_norms=("ln_f",),
        readers=("score", "classifier"),
    )

    def problems(self, config: PreTrainedConfig) -> list[Problem]:
        """Return the lack of a padding token: sentences of a batch end at different tokens."""
        if config.pad_token_id is not None:
            return []
        return [
            Problem("model", "config.pad_token_id is not set", "allowed: a token of its vocabulary")
        ]

    def places(self, config: PreTrainedConfig, layers: int) -> Sequence[Hashable]:
        """Return each layer's index where scores are scaled by it."""
        indexed = getattr(config, "scale_attn_by_inverse_layer_idx", False)
        return range(layers) if indexed else super().places(config, layers)

    def unwritten(self, config: PreTrainedConfig) -> str | None:
        """Return what is not written: a decoder, and scores in another order."""
        if getattr(config, "reorder_and_upcast_attn", False):
            return "attention in another order"
        return super().unwritten(config)

    def write_sentence(self, model: PreTrainedModel, w: Writer, x: str) -> Written:
        """Return the state of the last token that is not padding."""
        g, pad = w.graph, model.config.pad_token_id
        whole: Any = model
        if pad is None:
            raise UnsupportedModelError("no padding token")
        last = g.op("ArgMax", g.op("Mul", w.is_real(pad), w.range), axis=1, keepdims=1)
        tokens = w.tokens(x, int(model.config.hidden_size))
        return g.op("GatherND", tokens, last, batch_dims=1), whole.score
