"""Asks a sampler what a claimed trial is to try."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from pareto_prune.core.records import Trial
from pareto_prune.results.yardstick import yardstick_for
from pareto_prune.search.samplers import Request, Sampler, samplers
from pareto_prune.search.space import SearchSpace
from pareto_prune.storage import StoredStudy


class Asker:
    """Asks a sampler for candidates, on a history that is read only as far as it is new."""

    def __init__(
        self,
        study: StoredStudy,
        space: SearchSpace,
        sampler: Sampler | None = None,
    ) -> None:
        from pareto_prune.search.samplers._history import History

        table = study.config.sampler
        self._study = study
        self._space = space
        self._sampler = sampler or samplers.create(table.name, table.options, "sampler")
        self._history = History(space, study.config.objectives, _promising(study), _dense(study))

    def assign(self, trial: Trial) -> Trial | None:
        """Return the trial with a candidate proposed and written; ``None`` if it was lost."""
        history = self._history
        history.update(self._study.history(self._space, history.last, history.unfinished))
        config = self._study.config
        request = Request(trial.number, config.limits.trials, config.seed)
        proposal = self._sampler.ask(history, request)
        candidate = self._space.to_candidate(proposal.params)
        return self._study.assign(trial, candidate, self._space, proposal.attributes)


def _dense(study: StoredStudy) -> Mapping[str, float]:
    """Return the dense model's objectives; none where they were not taken yet."""
    return yardstick_for(study.config.objectives, study.reference).reference


def _promising(study: StoredStudy) -> Callable[[Mapping[str, float]], bool]:
    """Return whether values lie within what the study is to find: see :class:`History`."""
    measure = yardstick_for(study.config.objectives, study.reference)
    dearest = study.config.search.cost_target.high
    return lambda values: measure.promising(values, dearest)
