"""Trade-offs between accuracy, latency and energy of pruned BERT-family models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from transformers import PreTrainedModel

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(
    folder: str | Path, attention: Literal["sdpa", "eager"] = "sdpa", device: str = "cpu"
) -> PreTrainedModel:
    """Return the model of a folder that ``pareto-prune export`` wrote, in eval mode.

    See :func:`pareto_prune.loading.load`.
    """
    from pareto_prune import loading

    return loading.load(folder, attention, device)
