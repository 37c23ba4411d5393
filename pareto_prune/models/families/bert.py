"""BERT and its look-alikes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pareto_prune.models.families import families
from pareto_prune.models.family import PREFIX, ModelFamily, Written
from pareto_prune.models.layout import Paths, SublayerPaths, find
from pareto_prune.models.writer import Writer

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel

_FROM_PADDING = ("camembert", "roberta", "xlm-roberta")
_WORDS, _TYPES = "embeddings.word_embeddings", "embeddings.token_type_embeddings"


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
        attention=SublayerPaths(
            module="attention.self",
            tail=(),
            inputs=("attention.self.query", "attention.self.key", "attention.self.value"),
            output="attention.output.dense",
            norm="attention.output.LayerNorm",
            counts=("attention.self.num_attention_heads",),
            widths=("attention.self.all_head_size",),
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
        projection="embeddings_project",
        readers=("pooler.dense", "classifier.dense", "classifier"),
    )

    def most_tokens(self, config: PreTrainedConfig) -> int | None:
        """Return the number of positions; RoBERTa's kind counts them from the padding token on."""
        positions = int(config.max_position_embeddings)
        return positions - int(config.pad_token_id) - 1 if _from_padding(config) else positions

    def fixed_rows(self, config: PreTrainedConfig) -> int:
        """Return the rows up to the padding token where positions are counted from its number."""
        return int(config.pad_token_id) + 1 if _from_padding(config) else 0

    def input_names(self, model: PreTrainedModel) -> tuple[str, ...]:
        """Return the inputs: token types where the model tells two sentences apart."""
        names = super().input_names(model)
        return (*names, "token_type_ids") if _tells_types(model) else names

    def write_rows(self, model: PreTrainedModel, w: Writer) -> Sequence[str | None]:
        """Return the rows of words, token types and positions."""
        pad, types = model.config.pad_token_id, _tells_types(model)
        positions = w.positions_behind(pad) if _from_padding(model.config) else w.range
        return ("input_ids", "token_type_ids" if types else None, positions)

    def write_sentence(self, model: PreTrainedModel, w: Writer, x: str) -> Written:
        """Return the first token's state behind the pooler, or behind what stands in for it."""
        x = w.first_token(x, int(model.config.hidden_size))
        whole: Any = model
        if getattr(whole.base_model, "pooler", None) is not None:
            return w.graph.op("Tanh", w.linear(x, whole.base_model.pooler.dense)), whole.classifier
        x = w.linear(x, whole.classifier.dense)
        activation = getattr(whole.classifier, "activation", None)
        x = w.activate(x, activation) if activation else w.graph.op("Tanh", x)
        return x, whole.classifier.out_proj


def _from_padding(config: PreTrainedConfig) -> bool:
    return config.model_type.removeprefix(PREFIX) in _FROM_PADDING


def _tells_types(model: PreTrainedModel) -> bool:
    table: Any = find(model.base_model, _TYPES)
    return len(table.weight) > 1
