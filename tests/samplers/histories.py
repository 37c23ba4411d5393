"""Histories by formula: what a study would have told a sampler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from pareto_prune.core.objectives import OBJECTIVES as BY_NAME
from pareto_prune.core.records import TrialState
from pareto_prune.results.yardstick import Yardstick
from pareto_prune.search.past import Past
from pareto_prune.search.samplers import Request, Sampler
from pareto_prune.search.samplers._history import History
from pareto_prune.search.space import SearchSpace
from tests.storage.scripted import space_of, study_config, values_of

CONFIG = study_config(trials=150)
SPACE = space_of(CONFIG)
OBJECTIVES = CONFIG.objectives
DENSE = {"accuracy": 0.9, "latency_ms": 12.0, "energy_j": 0.12}
MEASURE = Yardstick(tuple(BY_NAME[name] for name in OBJECTIVES), DENSE, 0.5)


def drawn(space: SearchSpace, seed: int) -> dict[str, Any]:
    """Return parameters drawn uniformly."""
    rng = np.random.default_rng(seed)
    return {
        gene.name: gene.choices[rng.integers(len(gene.choices))]
        if gene.choices
        else gene.at(rng.random())
        for gene in space.genes
    }


def complete(number: int, params: Mapping[str, Any], **changes: Any) -> Past:
    """Return a finished trial with the scripted values of its parameters."""
    values = values_of(SPACE.to_candidate(params))
    given = {"state": TrialState.COMPLETE, "params": dict(params), "values": values}
    return Past(number=number, **(given | changes))


def history_of(
    pasts: Iterable[Past], space: SearchSpace = SPACE, measure: Yardstick | None = None
) -> History:
    """Return a history that has seen the given trials."""
    history = History(space, OBJECTIVES, measure=measure)
    history.update(pasts)
    return history


def random_history(
    trials: int, space: SearchSpace = SPACE, measure: Yardstick | None = None
) -> History:
    """Return a history of random candidates with scripted values."""
    return history_of((complete(n, drawn(space, n)) for n in range(trials)), space, measure)


def searched(sampler: Sampler, trials: int, seed: int = 0, workers: int = 1) -> list[Past]:
    """Return the trials of a whole study; ``workers`` of them run at a time."""
    history = History(SPACE, OBJECTIVES)
    running: list[int] = []
    params: dict[int, dict[str, Any]] = {}
    for number in range(trials):
        proposal = sampler.ask(history, Request(number, trials, seed))
        params[number] = proposal.params
        attributes = proposal.attributes
        history.update([Past(number, TrialState.RUNNING, proposal.params, attributes=attributes)])
        running.append(number)
        if len(running) == workers or number == trials - 1:
            done = running.pop(0)
            history.update([complete(done, params[done], attributes=_kept(history, done))])
    return [past for past in history.pasts if past.state is TrialState.COMPLETE]


def _kept(history: History, number: int) -> Mapping[str, Any]:
    return next(past.attributes for past in history.pasts if past.number == number)
