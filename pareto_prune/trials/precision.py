"""Forward passes in bfloat16 where the processor multiplies it faster; weights stay float32.

On processors with bfloat16 dot products (``avx512_bf16``, ``amx_bf16``) torch multiplies matrices
about twice as fast as in float32, but its attention is several times slower backward; so matrix
products run in bfloat16 under autocast and attention stays in float32. Where a family's attention
does not compute under autocast, its projections stay in float32 too, on any device.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from pareto_prune.models.families import family_of
from pareto_prune.pruning.replay import computing

Precision = Literal["auto", "float32", "bfloat16"]

_ATTENTION = "sdpa_float32"
_FAST = ("avx512_bf16", "amx_bf16")


def multiplies_bfloat16(device: torch.device) -> bool:
    """Return whether a device multiplies matrices in bfloat16 faster than in float32."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return device.type == "cpu" and any(capabilities.get(name) for name in _FAST)


@contextlib.contextmanager
def forward_precision(model: PreTrainedModel, precision: Precision) -> Iterator[None]:
    """Run the forward passes of a ``with`` block in this precision, and their backward passes.

    Args:
        model: its weights, and their gradients, stay float32.
        precision: ``auto`` takes bfloat16 where the device multiplies it fast.
    """
    fast = precision == "auto" and multiplies_bfloat16(model.device)
    if precision != "bfloat16" and not fast:
        yield
        return
    config: Any = model.config
    before = config._attn_implementation
    if model.device.type == "cpu" and before == "sdpa":
        config._attn_implementation = _ATTENTION
    try:
        with torch.autocast(model.device.type, torch.bfloat16), _aside(model):
            yield
    finally:
        config._attn_implementation = before


@contextlib.contextmanager
def _aside(model: PreTrainedModel) -> Iterator[None]:
    """Keep attention that does not compute under autocast out of it, in a ``with`` block."""
    family = family_of(model)
    with contextlib.ExitStack() as patches:
        for layer in [] if family.autocasts else family.layers(model):
            attention = layer.get_submodule(family.paths.attention.module)
            patches.enter_context(computing(attention, partial(_in_float32, attention)))
        yield


def _in_float32(module: Any, hidden: Tensor, *args: Any, **kwargs: Any) -> Any:
    with torch.autocast(hidden.device.type, enabled=False):
        return type(module).forward(module, hidden.float(), *args, **kwargs)


def _attention(
    module: Any, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **options: Any
) -> tuple[Tensor, None]:
    with torch.autocast(query.device.type, enabled=False):
        found: tuple[Tensor, None] = sdpa_attention_forward(
            module, query.float(), key.float(), value.float(), mask, **options
        )
    return found


AttentionInterface.register(_ATTENTION, _attention)
AttentionMaskInterface.register(_ATTENTION, sdpa_mask)
