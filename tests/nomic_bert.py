"""Nomic BERT as one file: rotary positions, a gate in a projection of its own, no bias in a layer.

Registered by the tests alone (:func:`registered`): that nothing else is edited is what it proves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pareto_prune.models.family import ModelFamily, Written
from pareto_prune.models.layout import Paths, SublayerPaths
from pareto_prune.models.writer import Writer

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedModel

TYPE = "nomic_bert"


@dataclass(frozen=True)
class NomicBert(ModelFamily):
    """Nomic BERT: norms behind sublayers, gated FFN, rotary positions, token types."""

    model_types: ClassVar[tuple[str, ...]] = (TYPE,)
    paths: ClassVar[Paths] = Paths(
        layers="layers",
        attention=SublayerPaths(
            module="self_attn",
            tail=("o_proj",),
            inputs=("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
            output="self_attn.o_proj",
            norm="post_attention_layernorm",
        ),
        ffn=SublayerPaths(
            module="mlp",
            tail=("down_proj",),
            inputs=("mlp.gate_proj", "mlp.up_proj"),
            output="mlp.down_proj",
            norm="post_mlp_layernorm",
            residual="mlp",
        ),
        activation="mlp.act_fn",
        embeddings=("embeddings.word_embeddings", "embeddings.token_type_embeddings"),
        embedding_norms=("embeddings.LayerNorm",),
        readers=("pooler.dense", "classifier"),
    )

    def input_names(self, model: PreTrainedModel) -> tuple[str, ...]:
        """Return the inputs, token types among them."""
        return (*super().input_names(model), "token_type_ids")

    def write_rows(self, model: PreTrainedModel, w: Writer) -> Sequence[str | None]:
        """Return the rows of words and token types."""
        return ("input_ids", "token_type_ids")

    def write_position(self, w: Writer, layer: nn.Module, x: str) -> str:
        """Return queries or keys turned by their positions."""
        attention: Any = layer.get_submodule(self.paths.attention.module)
        return w.turned(x, float(attention.config.rope_parameters["rope_theta"]))

    def write_sentence(self, model: PreTrainedModel, w: Writer, x: str) -> Written:
        """Return the first token's state behind the pooler."""
        whole: Any = model
        first = w.first_token(x, int(model.config.hidden_size))
        return w.graph.op("Tanh", w.linear(first, whole.base_model.pooler.dense)), whole.classifier


def config(**sizes: Any) -> Any:
    """A configuration of the sizes of :mod:`tests.tiny`."""
    from transformers import NomicBertConfig

    from tests import tiny

    return tiny._bert(NomicBertConfig, hidden_act="gelu")(**sizes)


@contextmanager
def registered() -> Iterator[None]:
    """Let the family be found, and tiny models of it be made, within a ``with`` block."""
    from transformers import NomicBertForSequenceClassification, NomicBertForTokenClassification

    from pareto_prune.models.families import families
    from tests import tiny

    families.names()
    families.register(TYPE)(NomicBert)
    tiny._MAKERS[TYPE] = (
        config,
        NomicBertForSequenceClassification,
        NomicBertForTokenClassification,
    )
    try:
        yield
    finally:
        del families._members[TYPE], tiny._MAKERS[TYPE]
