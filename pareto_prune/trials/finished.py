"""A trial that has ended, with its model in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pareto_prune.core.records import TrialResult
from pareto_prune.pruning.plan import PruningPlan

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase


@dataclass(frozen=True)
class Finished:
    """A trial that has ended: what it found out, and the plan and model if it got that far.

    Attributes:
        tokenizer: of the model, where it is not that of the dense model.
    """

    result: TrialResult
    plan: PruningPlan | None
    model: PreTrainedModel | None
    tokenizer: PreTrainedTokenizerBase | None = None
