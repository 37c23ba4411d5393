"""Model-based first, evolution after: few trials teach a density sooner than a population."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
from pydantic import Field

from pareto_prune.search.samplers import Proposal, Request, samplers
from pareto_prune.search.samplers._history import History
from pareto_prune.search.samplers._steady_state import layout_of
from pareto_prune.search.samplers.nsga2 import Nsga2
from pareto_prune.search.space import Params


@samplers.register("hybrid")
@dataclass(frozen=True)
class Hybrid:
    """Optuna's multivariate TPE for the first trials, then steady-state NSGA-II over all of them.

    Attributes:
        tpe: trials before the evolution starts.
        population: how many of the best trials are parents; 0 takes trials / 20, from 8 to 50.
    """

    tpe: Annotated[int, Field(ge=0)] = 100
    population: Annotated[int, Field(ge=0)] = 0

    def ask(self, history: History, request: Request) -> Proposal:
        """Return the next candidate's parameters."""
        search = Nsga2(population=self.population).search(request)
        if not search.population <= request.number < self.tpe or not history.scored:
            return search.ask(history, request)
        rng = np.random.default_rng((request.seed, request.number))
        row = history.encode(self._modelled(history, request, int(rng.integers(2**32))))
        return Proposal(search.distinct(layout_of(history), history, row, rng))

    def _modelled(self, history: History, request: Request, seed: int) -> Params:
        from optuna.samplers import TPESampler

        from pareto_prune.search.samplers._optuna import Mirror

        sampler = TPESampler(multivariate=True, constant_liar=True, n_startup_trials=1, seed=seed)
        params, _ = Mirror.of(history).ask(request.number, sampler)
        return params
