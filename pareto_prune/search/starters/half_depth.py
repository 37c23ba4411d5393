"""Half the layers: what DistilBERT is to BERT (Sanh et al. 2019, section 3)."""

from __future__ import annotations

from dataclasses import dataclass

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import Candidate
from pareto_prune.search.space import SearchSpace
from pareto_prune.search.starters import shaped, starters


@starters.register("half_depth")
@dataclass(frozen=True)
class HalfDepth:
    """Every other layer removed, the lowest one kept: half the depth."""

    def candidates(self, config: StudyConfig, space: SearchSpace) -> list[Candidate]:  # noqa: ARG002
        """Return one candidate; none for a model of a single layer."""
        if space.layers < 2:
            return []
        gone = [float(layer % 2) for layer in range(space.layers) for _ in range(2)]
        return [shaped(space, tuple(gone), "half_depth")]
