"""The same share of every sublayer, as one would try by hand."""

from __future__ import annotations

from dataclasses import dataclass

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import Candidate
from pareto_prune.search.space import SearchSpace
from pareto_prune.search.starters import shaped, starters


@starters.register("uniform")
@dataclass(frozen=True)
class Uniform:
    """The same share of every sublayer removed: 2× and 4× fewer units.

    Attributes:
        factors: how many times fewer units each candidate has.
    """

    factors: tuple[float, ...] = (2.0, 4.0)

    def candidates(self, config: StudyConfig, space: SearchSpace) -> list[Candidate]:  # noqa: ARG002
        """Return one candidate a factor."""
        sublayers = 2 * space.layers
        return [shaped(space, (1 - 1 / f,) * sublayers, "uniform") for f in self.factors]
