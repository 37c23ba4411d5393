"""Magnitude pruning by the L1 norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from pareto_prune.pruning.norms import ByNorm, Order
from pareto_prune.pruning.strategies import strategies


@strategies.register("l1")
@dataclass(frozen=True)
class L1(ByNorm):
    """Rank units by the L1 norm of their weights, per layer or by one threshold."""

    order: ClassVar[Order] = 1
