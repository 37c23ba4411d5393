"""Random search, to compare with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pareto_prune.search.samplers import Proposal, Request, samplers
from pareto_prune.search.samplers._history import History
from pareto_prune.search.samplers._steady_state import layout_of
from pareto_prune.search.samplers._variation import uniform


@samplers.register("random")
@dataclass(frozen=True)
class Random:
    """Every parameter uniformly at random: what any search must beat."""

    def ask(self, history: History, request: Request) -> Proposal:
        """Return parameters that depend on the seed and the number alone."""
        rng = np.random.default_rng((request.seed, request.number))
        return Proposal(history.decode(uniform(layout_of(history), rng)))
