"""How important every unit of a model is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(frozen=True)
class UnitScores:
    """Importance of every unit: higher is more important.

    Attributes:
        heads: one tensor a layer, shape (heads,).
        neurons: one tensor a layer, shape (neurons,).
    """

    heads: tuple[Tensor, ...]
    neurons: tuple[Tensor, ...]
