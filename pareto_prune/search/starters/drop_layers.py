"""The top layers removed (Sajjad et al. 2020, "top-layer dropping"): the lower ones matter most."""

from __future__ import annotations

from dataclasses import dataclass

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import Candidate
from pareto_prune.search.space import SearchSpace
from pareto_prune.search.starters import shaped, starters


@starters.register("drop_layers")
@dataclass(frozen=True)
class DropLayers:
    """The top 1, 2, 3 … layers removed, at most two thirds of them.

    Attributes:
        most: highest share of the layers that goes.
    """

    most: float = 2 / 3

    def candidates(self, config: StudyConfig, space: SearchSpace) -> list[Candidate]:  # noqa: ARG002
        """Return one candidate for every number of dropped layers, fewest first."""
        dropped = range(1, int(self.most * space.layers + 1e-9) + 1)
        return [shaped(space, _gone(space.layers, count), "drop_layers") for count in dropped]


def _gone(layers: int, count: int) -> tuple[float, ...]:
    return (0.0,) * (2 * (layers - count)) + (1.0,) * (2 * count)
