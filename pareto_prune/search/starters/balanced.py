"""``balanced`` at several cost targets: a first front before the search has learnt anything."""

from __future__ import annotations

from dataclasses import dataclass

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import Candidate
from pareto_prune.search.space import ATTENTION, SearchSpace
from pareto_prune.search.starters import plain, starters


@starters.register("balanced")
@dataclass(frozen=True)
class Balanced:
    """The strategy `balanced` at several cost targets, every layer weighing the same.

    Attributes:
        targets: shares of the dense cost, most useful first.
    """

    targets: tuple[float, ...] = (0.5, 0.25, 0.35, 0.15, 0.7)

    def candidates(self, config: StudyConfig, space: SearchSpace) -> list[Candidate]:
        """Return one candidate a target that the study allows; none if it has no `balanced`."""
        if "balanced" not in config.search.strategies:
            return []
        allowed = config.search.cost_target
        equal = (ATTENTION if space.even else 1.0,) * (2 * space.layers)
        change = {"strategy": "balanced", "sublayers": equal, "starter": "balanced"}
        return [
            plain(space).model_copy(update={**change, "cost_target": target})
            for target in self.targets
            if allowed.low <= target <= allowed.high
        ]
