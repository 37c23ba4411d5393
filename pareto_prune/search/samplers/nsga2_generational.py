"""Optuna's own NSGA-II, to compare with: it closes generations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from pareto_prune.search.samplers import Proposal, Request, samplers
from pareto_prune.search.samplers._history import History
from pareto_prune.search.space import first_population


@samplers.register("nsga2_generational")
@dataclass(frozen=True)
class Nsga2Generational:
    """Optuna's own NSGA-II, generation after generation, for comparison.

    Attributes:
        population: trials of a generation; 0 takes trials / 15, from 12 to 50.
    """

    population: Annotated[int, Field(ge=0)] = 0

    def ask(self, history: History, request: Request) -> Proposal:
        """Return what Optuna's sampler proposes, and the generation it put the trial in."""
        from optuna.samplers import NSGAIISampler

        from pareto_prune.search.samplers._optuna import Mirror

        size = self.population or first_population(request.trials)
        seed = (request.seed * 1_000_003 + request.number) % 2**32
        sampler = NSGAIISampler(population_size=size, seed=seed)
        return Proposal(*Mirror.of(history).ask(request.number, sampler))
