"""What is known of one trial when the next one is chosen: a record that needs nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pareto_prune.core.records import TrialState


@dataclass(frozen=True)
class Past:
    """What a sampler knows of one trial.

    Attributes:
        number: of the trial.
        state: where it stands; failed and unfinished trials count as taken points only.
        params: values of its genes; ``None`` while nothing was proposed for it, and of a trial
            that trained the model of another one further.
        values: objectives by name; for a trial stopped early, with the optimistic metric of the
            stop decision.
        violation: sum of how far the study's constraints are violated, scaled; 0 is feasible.
        attributes: what the sampler that proposed it wanted kept.
        kept: units that it left of every sublayer, bottom up; empty where that is not known.
    """

    number: int
    state: TrialState
    params: Mapping[str, Any] | None = None
    values: Mapping[str, float] | None = None
    violation: float = 0.0
    attributes: Mapping[str, Any] = field(default_factory=dict)
    kept: tuple[int, ...] = ()
