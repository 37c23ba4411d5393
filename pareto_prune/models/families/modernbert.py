"""ModernBERT."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pareto_prune.models.families import families, record
from pareto_prune.models.family import ModelFamily, Written
from pareto_prune.models.layout import Paths, SublayerPaths
from pareto_prune.models.writer import Writer

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel

_LOCAL = "sliding_attention"


@families.register("modernbert")
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
        pooled_norm="head.norm",
    )

    def stated(
        self, config: PreTrainedConfig, kept: Sequence[int], head_size: int
    ) -> dict[str, Any]:
        """Return each layer's kind of attention, and the size that rotary positions have."""
        return {"layer_types": [config.layer_types[i] for i in kept], "head_dim": head_size}

    def places(self, config: PreTrainedConfig, layers: int) -> Sequence[Hashable]:
        """Return which layer is the first, which has no norm, and each one's kind of attention.

        New versions of transformers read the kinds from a list; older ones, and other servers,
        count every n-th layer from the first.
        """
        found = record(config)
        types = config.layer_types if found is None else found["stated"]["layer_types"]
        return [(index == 0, types[index]) for index in range(layers)]

    def span(self, layer: nn.Module) -> int | None:
        """Return the tokens of a window, both sides and the middle."""
        window = _window(layer)
        return None if window is None else 2 * window + 1

    def unwritten(self, config: PreTrainedConfig) -> str | None:
        """Return what is not written: a decoder, and positions that change with the length."""
        kinds = {rope["rope_type"] for rope in config.rope_parameters.values() if rope}
        if kinds != {"default"}:
            return f"rotary positions of {sorted(kinds)}"
        return super().unwritten(config)

    def scaling(self, layer: nn.Module) -> float:
        """Return what scores are multiplied with before the softmax."""
        attention: Any = layer.attn
        return float(attention.head_dim**-0.5)

    def write_mask(self, w: Writer, layer: nn.Module) -> str:
        """Return the mask of padding and, in a local layer, of what is outside of its window."""
        return w.mask(window=_window(layer))

    def write_position(self, w: Writer, layer: nn.Module, x: str) -> str:
        """Return queries or keys turned by their positions."""
        found: Any = layer
        rope = found.config.rope_parameters[found.attention_type]
        return w.turned(x, float(rope["rope_theta"]))

    def write_sentence(self, model: PreTrainedModel, w: Writer, x: str) -> Written:
        """Return the first token's state, or the mean of all, behind the head."""
        hidden, config = int(model.config.hidden_size), model.config
        pool = w.first_token if config.classifier_pooling == "cls" else w.mean
        return self.write_tokens(model, w, pool(x, hidden))

    def write_tokens(self, model: PreTrainedModel, w: Writer, x: str) -> Written:
        """Return states behind the head."""
        whole: Any = model
        head = whole.head
        return w.norm(w.activate(w.linear(x, head.dense), head.act), head.norm), whole.classifier


def _window(layer: nn.Module) -> int | None:
    found: Any = layer
    return found.config.sliding_window if found.attention_type == _LOCAL else None
