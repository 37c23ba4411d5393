"""ModernBERT as one file: gated FFN, no bias, rotary positions, windows in two layers of three.

Registered by the tests alone (:func:`registered`): that nothing else is edited is what it proves.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from pareto_prune.models.family import ModelFamily, Written
from pareto_prune.models.layout import Paths, SublayerPaths
from pareto_prune.models.writer import Writer

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel

LOCAL = "sliding_attention"


@dataclass(frozen=True)
class ModernBert(ModelFamily):
    """ModernBERT: norms before sublayers, gated FFN, rotary positions, local and global layers."""

    model_types: ClassVar[tuple[str, ...]] = ("modernbert",)
    pre_norm: ClassVar[bool] = True
    paths: ClassVar[Paths] = Paths(
        layers="layers",
        attention=SublayerPaths(
            module="attn",
            tail=("Wo", "out_drop"),
            inputs=("attn.Wqkv",),
            output="attn.Wo",
            norm="attn_norm",
        ),
        ffn=SublayerPaths(
            module="mlp",
            tail=("Wo",),
            inputs=("mlp.Wi",),
            output="mlp.Wo",
            norm="mlp_norm",
            residual="mlp_norm",
        ),
        activation="mlp.act",
        embeddings=("embeddings.tok_embeddings",),
        embedding_norms=("embeddings.norm",),
        final_norms=("final_norm",),
        readers=("head.dense",),
    )

    def stated(
        self, config: PreTrainedConfig, kept: Sequence[int], head_size: int
    ) -> dict[str, Any]:
        """Return each layer's kind of attention, and the size that rotary positions have."""
        return {"layer_types": [config.layer_types[i] for i in kept], "head_dim": head_size}

    def stock_builds(self, config: PreTrainedConfig, kept: Sequence[int]) -> bool:
        """Whether the first layer, which has no norm before its attention, is the first still."""
        return not kept or kept[0] == 0

    def span(self, layer: nn.Module) -> int | None:
        """Return the tokens of a window, both sides and the middle."""
        window = _window(layer)
        return None if window is None else 2 * window + 1

    def unwritten(self, config: PreTrainedConfig) -> str | None:
        """Return positions that change with the length."""
        kinds = {rope["rope_type"] for rope in config.rope_parameters.values() if rope}
        return None if kinds == {"default"} else f"rotary positions of {sorted(kinds)}"

    def scaling(self, layer: nn.Module) -> float:
        """Return what scores are multiplied with before the softmax."""
        attention: Any = layer.attn
        return float(attention.head_dim**-0.5)

    def write_mask(self, w: Writer, layer: nn.Module) -> str:
        """Return the mask of padding and, in a local layer, of what is outside of its window."""
        return w.mask(window=_window(layer))

    def write_position(self, w: Writer, layer: nn.Module, x: str) -> str:
        """Return queries or keys turned by their positions."""
        g, (cosine, sine) = w.graph, _angles(w, layer)
        first, second = g.ops("Split", x, outputs=2, axis=-1, num_outputs=2)
        half = g.op("Concat", g.op("Neg", second), first, axis=-1)
        return g.op("Add", g.op("Mul", x, cosine), g.op("Mul", half, sine))

    def write_sentence(self, model: PreTrainedModel, w: Writer, x: str) -> Written:
        """Return the first token's state, or the mean of all, behind the head."""
        hidden, config = int(model.config.hidden_size), model.config
        pooled = (
            w.first_token(x, hidden) if config.classifier_pooling == "cls" else _mean(w, x, hidden)
        )
        return self.write_tokens(model, w, pooled)

    def write_tokens(self, model: PreTrainedModel, w: Writer, x: str) -> Written:
        """Return states behind the head."""
        whole: Any = model
        head = whole.head
        return w.norm(w.activate(w.linear(x, head.dense), head.act), head.norm), whole.classifier


def _window(layer: nn.Module) -> int | None:
    found: Any = layer
    return found.config.sliding_window if found.attention_type == LOCAL else None


def _angles(w: Writer, layer: Any) -> tuple[str, str]:
    """Return cosine and sine of every position's angles, (tokens, head size)."""
    kind, theta = layer.attention_type, layer.config.rope_parameters[layer.attention_type]

    def angle(name: str) -> str:
        angles = w.once(("angles", kind), lambda: _turned(w, theta["rope_theta"]))
        return w.once((name, kind), lambda: w.graph.to_real(w.graph.op(name, angles)))

    return angle("Cos"), angle("Sin")


def _turned(w: Writer, theta: float) -> str:
    g, size = w.graph, w.head_size
    frequencies = 1.0 / theta ** (np.arange(0, size, 2, dtype=np.float32) / size)
    positions = g.op("Unsqueeze", g.op("Cast", w.range, to=1), g.constant([1]))
    return g.op("Mul", positions, g.constant(np.tile(frequencies, 2), np.float32))


def _mean(w: Writer, x: str, hidden: int) -> str:
    g = w.graph
    real = w.graph.to_real(g.op("Unsqueeze", "attention_mask", g.constant([2])))
    total = g.op("ReduceSum", g.op("Mul", w.tokens(x, hidden), real), g.constant([1]), keepdims=0)
    return g.op("Div", total, g.op("ReduceSum", real, g.constant([1]), keepdims=0))


def config(**sizes: Any) -> Any:
    """A configuration of the sizes of :mod:`tests.tiny`: layer 1 is local, 0 and 2 are global."""
    from transformers import ModernBertConfig

    from tests import tiny

    given = {
        "vocab_size": tiny.VOCABULARY,
        "hidden_size": tiny.HIDDEN,
        "num_hidden_layers": tiny.LAYERS,
        "num_attention_heads": tiny.HEADS,
        "intermediate_size": tiny.NEURONS,
        "max_position_embeddings": tiny.POSITIONS,
        "pad_token_id": tiny.PAD,
        "bos_token_id": 2,
        "eos_token_id": 3,
        "cls_token_id": 2,
        "sep_token_id": 3,
        "local_attention": 4,
        "global_attn_every_n_layers": 2,
    }
    return ModernBertConfig(**(given | sizes))


@contextmanager
def registered() -> Iterator[None]:
    """Let the family be found, and tiny models of it be made, within a ``with`` block."""
    from transformers import ModernBertForSequenceClassification, ModernBertForTokenClassification

    from pareto_prune.models.families import families
    from tests import tiny

    families.names()
    families.register("modernbert")(ModernBert)
    tiny._MAKERS["modernbert"] = (
        config,
        ModernBertForSequenceClassification,
        ModernBertForTokenClassification,
    )
    try:
        yield
    finally:
        del families._members["modernbert"], tiny._MAKERS["modernbert"]
