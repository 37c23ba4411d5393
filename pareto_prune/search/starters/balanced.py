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
        targets: shares of the dense cost, most useful first; each half of the one before it, since
            a front is as wide in the logarithm of the cost.
    """

    targets: tuple[float, ...] = (0.5, 0.25, 0.12, 0.06)

    def candidates(self, config: StudyConfig, space: SearchSpace) -> list[Candidate]:
        """Return one candidate a target, as near to it as the study allows.

        None if the study has no `balanced`.
        """
        if "balanced" not in config.search.strategies:
            return []
        allowed = config.search.cost_target
        equal = (ATTENTION if space.even else 1.0,) * (2 * space.layers)
        change = {"strategy": "balanced", "sublayers": equal, "starter": "balanced"}
        return [
            plain(space).model_copy(update={**change, "cost_target": target})
            for target in dict.fromkeys(
                min(allowed.high, max(allowed.low, target)) for target in self.targets
            )
        ]
