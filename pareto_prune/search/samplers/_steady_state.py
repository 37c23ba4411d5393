"""A steady-state NSGA-II: at every ask, parents are the best of *all* trials told by then.

Optuna's NSGA-II closes generations: a trial that ends late, is retried, or was put in by hand
belongs to no open one and is never a parent. Without generations nothing is late (the scheme is
that of Durillo et al. 2009, "On the effect of the steady-state selection scheme in multi-objective
genetic algorithms").
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from pareto_prune.search.samplers import Proposal, Request
from pareto_prune.search.samplers._history import Floats, History
from pareto_prune.search.samplers._placement import placed
from pareto_prune.search.samplers._ranking import Elite, Ranking
from pareto_prune.search.samplers._variation import (
    Layout,
    crossed,
    farthest,
    filled,
    latin,
    mutated,
    reread,
    shifted,
    spread,
)

_ENOUGH = 4
_TRIES = 30
_SHIFTS = 4
"""Ways in which a child is made cheaper or dearer, to choose from."""


@dataclass(frozen=True)
class SteadyState:
    """The settings; :class:`~pareto_prune.search.samplers.nsga2.Nsga2` says what each is."""

    population: int
    crossover: float
    mutation: float
    shift: float
    eta: float
    shift_eta: float

    def ask(self, history: History, request: Request) -> Proposal:
        """Return a child of two of the best trials, or a new point while they are too few."""
        rng = np.random.default_rng((request.seed, request.number))
        layout = layout_of(history)
        elite = self._elite(history)
        row = placed(layout, history, elite, rng)
        if row is not None:
            return Proposal(self.distinct(layout, history, row, rng))
        if len(elite) >= max(2, self.population // _ENOUGH):
            row = self._child(layout, history, elite, rng)
        elif request.number < self.population:
            row = self._first(layout, request)
        else:
            row = spread(layout, rng.random(len(layout)), rng.random(), rng.random() / 2)
        return Proposal(self.distinct(layout, history, row, rng))

    def _first(self, layout: Layout, request: Request) -> Floats:
        """Return the point of the first population that is this trial's."""
        shares = latin(layout, request.number, self.population, request.seed)
        return spread(layout, shares[:-2], shares[-2], shares[-1] / 2)

    def _elite(self, history: History) -> Elite:
        key = ("ranking", self.population)
        ranking = history.cache.setdefault(key, None) or Ranking(history, self.population)
        history.cache[key] = ranking
        return ranking.elite()

    def _child(self, layout: Layout, history: History, elite: Elite, rng: Generator) -> Floats:
        found = list(parents(elite, rng))
        rows = np.stack([filled(layout, history.genes[row], rng) for row in found])
        both = rng.random() < self.crossover
        strategy = self._strategy(layout, rows if both else rows[:1], rng)
        first, second = (
            reread(layout, row, realised, strategy)
            for row, realised in zip(rows, history.realised[found], strict=True)
        )
        child = crossed(layout, first, second, rng) if both else first
        child = layout.with_strategy(child, strategy)
        if rng.random() < self.shift:
            ways = [shifted(layout, child, rng, self.shift_eta) for _ in range(_SHIFTS)]
            child = farthest(layout, np.stack(ways), history.genes)
        child = mutated(layout, child, rng, self._rate(layout), self.eta)
        return layout.with_strategy(child, strategy)

    def _strategy(self, layout: Layout, rows: Floats, rng: Generator) -> int:
        """Return the strategy of a child: that of one of its parents, or now and then another."""
        strategy, others = int(rng.choice(layout.strategies(rows))), len(layout.aiming) - 1
        if others and rng.random() < self._rate(layout):
            strategy = (strategy + 1 + int(rng.integers(others))) % (others + 1)
        return strategy

    def _rate(self, layout: Layout) -> float:
        return max(self.mutation, 1 / max(1, len(layout)))

    def distinct(
        self, layout: Layout, history: History, row: Floats, rng: Generator
    ) -> dict[str, float | str | int]:
        """Return the parameters of ``row``, mutated until they are new.

        A space may have fewer candidates than trials: after some tries a duplicate it is.
        """
        params = history.decode(row)
        for attempt in range(_TRIES):
            if not history.taken(params):
                break
            rate = min(1.0, self._rate(layout) * (1 + attempt))
            row = mutated(layout, row, rng, rate, self.eta)
            params = history.decode(row)
        return params


def parents(elite: Elite, rng: Generator) -> tuple[int, int]:
    """Return the rows of two parents, each the better of two by rank, then by crowding."""
    picks = rng.permutation(len(elite))[:4] if len(elite) >= 4 else rng.integers(len(elite), size=4)
    return _better(elite, picks[0], picks[1]), _better(elite, picks[2], picks[3])


def _better(elite: Elite, one: int, other: int) -> int:
    ahead = (elite.ranks[one], -elite.crowding[one]) <= (elite.ranks[other], -elite.crowding[other])
    return int(elite.rows[one if ahead else other])


def layout_of(history: History) -> Layout:
    """Return the layout of the history's space, made once."""
    if "layout" not in history.cache:
        history.cache["layout"] = Layout.of(history.space)
    layout: Layout = history.cache["layout"]
    return layout
