"""DistilBERT."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pareto_prune.models.families import families
from pareto_prune.models.family import ModelFamily, Written
from pareto_prune.models.layout import Paths, SublayerPaths
from pareto_prune.models.writer import Writer

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@families.register("distilbert")
@dataclass(frozen=True)
class DistilBert(ModelFamily):
    """DistilBERT: half of BERT's layers, no token types, no pooler."""

    model_types: ClassVar[tuple[str, ...]] = ("distilbert",)
    neurons_key: ClassVar[str] = "hidden_dim"
    paths: ClassVar[Paths] = Paths(
        layers="transformer.layer",
        attention=SublayerPaths(
            module="attention",
            tail=("out_lin",),
            inputs=("attention.q_lin", "attention.k_lin", "attention.v_lin"),
            output="attention.out_lin",
            norm="sa_layer_norm",
            counts=("attention.n_heads",),
        ),
        ffn=SublayerPaths(
            module="ffn",
            tail=("lin2", "dropout"),
            inputs=("ffn.lin1",),
            output="ffn.lin2",
            norm="output_layer_norm",
            residual="ffn",
        ),
        activation="ffn.activation",
        embeddings=("embeddings.word_embeddings", "embeddings.position_embeddings"),
        embedding_norms=("embeddings.LayerNorm",),
        readers=("pre_classifier", "classifier"),
    )

    def write_sentence(self, model: PreTrainedModel, w: Writer, x: str) -> Written:
        """Return the first token's state behind the projection in front of the classifier."""
        whole: Any = model
        x = w.linear(w.first_token(x, int(model.config.hidden_size)), whole.pre_classifier)
        return w.graph.op("Relu", x), whole.classifier
