"""What a strategy hands over."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pareto_prune.pruning.plan import PruningPlan

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@dataclass(frozen=True)
class Pruned:
    """What a strategy hands over: the plan, the cut model, and the training steps it used."""

    plan: PruningPlan
    model: PreTrainedModel
    steps_used: int = 0
