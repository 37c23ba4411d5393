"""GPT-2, for classification."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pareto_prune.core.errors import Problem
from pareto_prune.models.families import ModelFamily, Paths, families

if TYPE_CHECKING:
    from transformers import PreTrainedConfig


@families.register("gpt2")
@dataclass(frozen=True)
class Gpt2(ModelFamily):
    """GPT-2: LayerNorm before each sublayer, q, k and v fused in one transposed projection."""

    model_types: ClassVar[tuple[str, ...]] = ("gpt2",)
    paths: ClassVar[Paths] = Paths(
        layers="h",
        attention="attn",
        attention_tail=("c_proj", "resid_dropout"),
        heads_in=("attn.c_attn",),
        heads_out="attn.c_proj",
        head_counts=("attn.num_heads",),
        head_widths=("attn.split_size",),
        neurons_in="mlp.c_fc",
        activation="mlp.act",
        neurons_out="mlp.c_proj",
        neurons_residual="ln_2",
        norms=("ln_1", "ln_2"),
        embeddings=("wte", "wpe"),
        embedding_norms=(),
        projection="",
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
