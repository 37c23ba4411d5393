"""What a model is given at once: its inputs by name, as transformers has them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

Batch = Mapping[str, "Tensor"]
"""``input_ids`` and ``attention_mask``, shape (examples, tokens), ``labels`` and what else the
model reads; see :meth:`pareto_prune.inputs.examples.Split.batch`."""
