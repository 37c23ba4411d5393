"""Sentence vectors: what a bare encoder says of a text, pooled from its last states.

A model gives them as its ``logits``, shape (batch, hidden), as others give those of a head. How
they are pooled stands in its configuration, so that it survives surgery, copies and files; stock
classes of transformers read past it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig, PreTrainedModel

    from pareto_prune.models.writer import Writer

KEY = "sentence_vectors"
"""Of a configuration."""

MODES = ("mean", "cls", "max", "last")


@dataclass(frozen=True)
class Pooling:
    """How the states of a text become its vector (Reimers and Gurevych 2019, section 3).

    Attributes:
        mode: the mean of all tokens, the first one, the largest number of each channel, or the
            last token.
        normalised: whether the vector has length 1.
    """

    mode: str = "mean"
    normalised: bool = False


def pooling_of(model: PreTrainedModel | PreTrainedConfig) -> Pooling | None:
    """Return how a model makes sentence vectors; ``None`` where it makes none."""
    found: Mapping[str, Any] | None = getattr(getattr(model, "config", model), KEY, None)
    return None if found is None else Pooling(**found)


def state(config: PreTrainedConfig, pooling: Pooling) -> None:
    """Write into a configuration how sentence vectors are made."""
    setattr(config, KEY, asdict(pooling))


def with_vectors(model: PreTrainedModel) -> PreTrainedModel:
    """Let an encoder whose configuration says how give sentence vectors; leave others alone.

    What was trained for another head, its pooler, is taken away: nothing reads it.
    """
    if pooling_of(model) is not None:
        whole: Any = model
        if getattr(model, "pooler", None) is not None:
            whole.pooler = None
        model.register_forward_hook(_give, with_kwargs=True)
    return model


def _give(model: Any, _: tuple[Any, ...], inputs: dict[str, Any], output: Any) -> Any:
    states, mask = output.last_hidden_state.float(), inputs.get("attention_mask")
    pooling = pooling_of(model)
    assert pooling is not None
    real = states.new_ones(states.shape[:2]) if mask is None else mask
    output.logits = pooled(states, real, pooling)
    return output


def pooled(states: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """Return the vectors of texts.

    Args:
        states: behind the last layer, shape (batch, tokens, hidden).
        mask: 1 at tokens, 0 at padding, which is on the right; shape (batch, tokens).
        pooling: how they are made.

    Returns:
        Shape (batch, hidden).
    """
    from torch.nn.functional import normalize

    found = _one(states, mask, pooling.mode)
    return normalize(found, dim=-1) if pooling.normalised else found


def _one(states: Tensor, mask: Tensor, mode: str) -> Tensor:
    if mode == "cls":
        return states[:, 0]
    real = mask[..., None].to(states.dtype)
    if mode == "max":
        return states.masked_fill(real == 0, float("-inf")).amax(1)
    if mode == "last":
        place = (mask.long().sum(1) - 1)[:, None, None].expand(-1, 1, states.shape[-1])
        return states.gather(1, place)[:, 0]
    return (states * real).sum(1) / real.sum(1)


def write_vectors(w: Writer, x: str, hidden: int, pooling: Pooling) -> str:
    """Return the vectors of texts, as nodes, (batch, hidden).

    Args:
        w: of the graph.
        x: the stream behind the last layer, (batch × tokens, hidden).
        hidden: its width.
        pooling: how they are made.
    """
    write = {"cls": w.first_token, "last": w.last_token, "max": w.largest, "mean": w.mean}
    found = write[pooling.mode](x, hidden)
    return w.normalised(found) if pooling.normalised else found
