"""The default: a steady-state NSGA-II (Deb et al. 2002), for few trials and many workers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from pareto_prune.search.samplers import Proposal, Request, samplers
from pareto_prune.search.samplers._history import History
from pareto_prune.search.samplers._steady_state import SteadyState

Chance = Annotated[float, Field(ge=0.0, le=1.0)]


@samplers.register("nsga2")
@dataclass(frozen=True)
class Nsga2:
    """Steady-state NSGA-II: every finished trial can be a parent at once, duplicates are rejected.

    Attributes:
        population: how many of the best trials are parents; 0 takes trials / 20, from 8 to 50.
        crossover: chance that a child has two parents.
        mutation: chance that a gene changes; at least one in the number of genes.
        shift: chance that a child is made cheaper or dearer as a whole, to where costs were
            tried least.
        eta: how small the steps of mutated numbers are.
        shift_eta: how small the common steps are.
    """

    population: Annotated[int, Field(ge=0)] = 0
    crossover: Chance = 0.9
    mutation: Chance = 0.05
    shift: Chance = 0.7
    eta: Annotated[float, Field(gt=0.0)] = 15.0
    shift_eta: Annotated[float, Field(gt=0.0)] = 1.0

    def ask(self, history: History, request: Request) -> Proposal:
        """Return the next candidate's parameters."""
        return self.search(request).ask(history, request)

    def search(self, request: Request) -> SteadyState:
        """Return the search with the population that fits the number of trials."""
        size = self.population or min(50, max(8, request.trials // 20))
        return SteadyState(
            population=size,
            crossover=self.crossover,
            mutation=self.mutation,
            shift=self.shift,
            eta=self.eta,
            shift_eta=self.shift_eta,
        )
