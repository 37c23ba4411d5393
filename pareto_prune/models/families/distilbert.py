"""DistilBERT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pareto_prune.models.families import ModelFamily, Paths, families


@families.register("distilbert")
@dataclass(frozen=True)
class DistilBert(ModelFamily):
    """DistilBERT: half of BERT's layers, no token types, no pooler."""

    model_types: ClassVar[tuple[str, ...]] = ("distilbert",)
    paths: ClassVar[Paths] = Paths(
        layers="transformer.layer",
        attention="attention",
        attention_tail=("out_lin",),
        heads_in=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
        heads_out="attention.out_lin",
        head_counts=("attention.n_heads",),
        head_widths=(),
        neurons_in="ffn.lin1",
        activation="ffn.activation",
        neurons_out="ffn.lin2",
        neurons_residual="ffn",
        norms=("sa_layer_norm", "output_layer_norm"),
        embeddings=("embeddings.word_embeddings", "embeddings.position_embeddings"),
        embedding_norms=("embeddings.LayerNorm",),
        projection="",
        final_norms=(),
        readers=("pre_classifier", "classifier"),
    )
