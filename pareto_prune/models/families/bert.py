"""BERT and its look-alikes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

from pareto_prune.models.families import PREFIX, ModelFamily, Paths, families

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

_FROM_PADDING = ("camembert", "roberta", "xlm-roberta")


@families.register("bert")
@dataclass(frozen=True)
class Bert(ModelFamily):
    """BERT, RoBERTa, XLM-RoBERTa, CamemBERT, ELECTRA; MiniLM and TinyBERT are BERT models."""

    model_types: ClassVar[tuple[str, ...]] = (
        "bert",
        "camembert",
        "electra",
        "roberta",
        "xlm-roberta",
    )
    paths: ClassVar[Paths] = Paths(
        layers="encoder.layer",
        attention="attention.self",
        attention_tail=(),
        heads_in=("attention.self.query", "attention.self.key", "attention.self.value"),
        heads_out="attention.output.dense",
        head_counts=("attention.self.num_attention_heads",),
        head_widths=("attention.self.all_head_size",),
        neurons_in="intermediate.dense",
        activation="intermediate.intermediate_act_fn",
        neurons_out="output.dense",
        neurons_residual="intermediate",
        norms=("attention.output.LayerNorm", "output.LayerNorm"),
        embeddings=(
            "embeddings.word_embeddings",
            "embeddings.position_embeddings",
            "embeddings.token_type_embeddings",
        ),
        embedding_norms=("embeddings.LayerNorm",),
        projection="embeddings_project",
        final_norms=(),
        readers=("pooler.dense", "classifier.dense", "classifier"),
    )

    def most_tokens(self, config: PreTrainedConfig) -> int | None:
        """Return the number of positions; RoBERTa's kind counts them from the padding token on."""
        positions = int(config.max_position_embeddings)
        counted = config.model_type.removeprefix(PREFIX) in _FROM_PADDING
        return positions - config.pad_token_id - 1 if counted else positions
