"""The dense model as a trial of its own, so that every front holds it."""

from __future__ import annotations

from dataclasses import dataclass

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import DENSE_STARTER, Candidate
from pareto_prune.search.space import SearchSpace
from pareto_prune.search.starters import shaped, starters


@starters.register(DENSE_STARTER)
@dataclass(frozen=True)
class Dense:
    """The dense model, nothing removed: the trial that starts the front."""

    def candidates(self, config: StudyConfig, space: SearchSpace) -> list[Candidate]:  # noqa: ARG002
        """Return one candidate of sparsity 0; its trial neither prunes nor fine-tunes."""
        whole = shaped(space, (0.0,) * (2 * space.layers), DENSE_STARTER)
        return [whole.model_copy(update={"vocabulary": 1.0})]
