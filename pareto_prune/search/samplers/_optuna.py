"""Optuna's own samplers on our history: the trials mirrored into a study in memory."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.records import TrialState
from pareto_prune.search.past import Past
from pareto_prune.search.samplers._history import History
from pareto_prune.search.space import Params

if TYPE_CHECKING:
    from optuna import Study
    from optuna.samplers import BaseSampler
    from optuna.trial import FrozenTrial

_CONSTRAINT = "constraints:sum"


class Mirror:
    """One study in memory that holds what the history holds, trial by trial."""

    def __init__(self, history: History) -> None:
        from optuna.storages import InMemoryStorage
        from optuna.study import Study, StudyDirection

        directions = [OBJECTIVES[name].direction.upper() for name in history.objectives]
        self._history = history
        self._storage = InMemoryStorage()
        with _quiet():
            self._id = self._storage.create_new_study(
                [StudyDirection[d] for d in directions], "mirror"
            )
        self._study: Study = Study("mirror", self._storage)
        self._distributions = history.space.distributions()
        self._seen = 0
        self._ids: dict[int, int] = {}

    @classmethod
    def of(cls, history: History) -> Mirror:
        """Return the mirror of a history, made once and up to date."""
        if "mirror" not in history.cache:
            history.cache["mirror"] = cls(history)
        mirror: Mirror = history.cache["mirror"]
        mirror.update()
        return mirror

    def update(self) -> None:
        """Take in what changed in the history since the last time."""
        changes = self._history.changes[self._seen :]
        self._seen += len(changes)
        for row in dict.fromkeys(changes):
            self._take(self._history.pasts[row])

    def ask(self, number: int, sampler: BaseSampler) -> tuple[Params, dict[str, Any]]:
        """Return parameters of one more trial from ``sampler``, and the attributes it set."""
        self._study.sampler = sampler
        trial = self._study.ask(self._distributions)
        self._ids[number] = trial._trial_id
        frozen = self._storage.get_trial(trial._trial_id)
        return dict(frozen.params), _kept(frozen.system_attrs)

    def _take(self, past: Past) -> None:
        known = self._ids.get(past.number)
        if known is None:
            trial = self._frozen(past)
            self._ids[past.number] = self._storage.create_new_trial(self._id, trial)
        elif past.state.finished and not self._storage.get_trial(known).state.is_finished():
            self._finish(known, past)

    def _finish(self, trial: int, past: Past) -> None:
        state, values = _outcome(past, self._history.objectives)
        self._storage.set_trial_system_attr(trial, _CONSTRAINT, _finite(past.violation))
        self._storage.set_trial_state_values(trial, state, values)

    def _frozen(self, past: Past) -> FrozenTrial:
        from optuna.trial import create_trial

        params = {name: self._inside(name, value) for name, value in (past.params or {}).items()}
        params = {name: value for name, value in params.items() if value is not None}
        state, values = _outcome(past, self._history.objectives)
        constraint = {_CONSTRAINT: _finite(past.violation)} if past.state.finished else {}
        return create_trial(
            state=state,
            values=values,
            params=params,
            distributions={name: self._distributions[name] for name in params},
            system_attrs={**past.attributes, **constraint},
        )

    def _inside(self, name: str, value: Any) -> Any:
        """Return a value as the study's ranges allow it: starters may lie outside of them."""
        gene = self._history.space.gene(name)
        if gene is None or (gene.choices and value not in gene.choices):
            return None
        return value if gene.choices else gene.at(gene.share(value))


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep Optuna from announcing the study in memory."""
    from optuna import logging

    level = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(level)


def _outcome(past: Past, objectives: tuple[str, ...]) -> tuple[Any, list[float] | None]:
    """Return Optuna's state and values of a trial; one stopped early has its optimistic values."""
    from optuna.trial import TrialState as OptunaState

    if not past.state.finished:
        return OptunaState.RUNNING, None
    values = [_value(past.values, name) for name in objectives]
    if past.state is TrialState.FAILED or not all(map(math.isfinite, values)):
        return OptunaState.FAIL, None
    return OptunaState.COMPLETE, values


def _value(values: Mapping[str, float] | None, name: str) -> float:
    return float(values.get(name, math.nan)) if values else math.nan


def _finite(violation: float) -> float:
    return violation if math.isfinite(violation) else 1e9


def _kept(attributes: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a sampler must find again: the generation, not the shared parameters."""
    return {key: value for key, value in attributes.items() if key.endswith(":generation")}
