"""Says what a claimed trial is to try: a finished model again, or what a sampler proposes."""

from __future__ import annotations

from functools import partial

from pareto_prune.core.records import Trial
from pareto_prune.export.kept_models.store import is_there
from pareto_prune.results.yardstick import yardstick_for
from pareto_prune.search.promotion import Promotions, promotes
from pareto_prune.search.redeployment import Redeployments
from pareto_prune.search.samplers import Request, Sampler, samplers
from pareto_prune.search.space import SearchSpace
from pareto_prune.storage import PromotedError, StoredStudy


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
        self._promotions = Promotions(study.config)
        self._redeployments = Redeployments(study.config, space)
        measure = yardstick_for(study.config.objectives, study.reference)
        promising = partial(measure.promising, dearest=study.config.search.cost_target.high)
        self._history = History(space, study.config.objectives, promising, measure)

    def assign(self, trial: Trial) -> Trial | None:
        """Return the trial with a candidate proposed and written; ``None`` if it was lost."""
        return self._going_on(trial) or self._proposed(trial)

    def _going_on(self, trial: Trial) -> Trial | None:
        """Let the trial train a finished model further, or try it in another number format."""
        study = self._study
        if not promotes(study.config) and not self._redeployments.formats:
            return None
        read = study.read()
        further = self._promotions.next(read, _there)
        candidate = further or self._redeployments.next(read, _there)
        if candidate is None:
            return None
        try:
            return study.assign(trial, candidate, self._space)
        except PromotedError:
            return None

    def _proposed(self, trial: Trial) -> Trial | None:
        """Let the trial try what the sampler proposes."""
        history = self._history
        history.update(self._study.history(self._space, history.last, history.unfinished))
        config = self._study.config
        request = Request(trial.number, config.limits.trials, config.seed)
        proposal = self._sampler.ask(history, request)
        candidate = self._space.to_candidate(proposal.params)
        return self._study.assign(trial, candidate, self._space, proposal.attributes)


def _there(place: str) -> bool:
    """Return whether a kept model can be had; a file system that fails has none now."""
    try:
        return is_there(place)
    except Exception:  # every file system has errors of its own
        return False
