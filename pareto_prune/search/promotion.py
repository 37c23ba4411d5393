"""Promotions: which finished model is worth more training, and is trained further next.

Multi-objective asynchronous successive halving (Schmucker et al. 2021, "Multi-objective
Asynchronous Successive Halving", section 3): trials that trained as long are one rung; of each, one
in ``factor`` goes on, the non-dominated first, highest rung first. A promotion goes on from the
weights that were kept, so neither its plan nor its costs are anew.

::

    rung 0   60 steps   ● ● ● ● ● ● ●
    rung 1  180 steps     ●     ●
    rung 2  540 steps     ●

Training cannot win back more than was lost, so of those that nothing beats, the one that lost the
most goes first.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import DENSE_STARTER, Candidate, Study, Trial, TrialState
from pareto_prune.results.members import members_of
from pareto_prune.results.yardstick import Yardstick, yardstick_for


def promotes(config: StudyConfig) -> bool:
    """Whether trials of a study are promoted at all."""
    return config.promotion.enabled and config.search.folds == 1 and config.finetune.steps > 0


def promoted(trial: Trial) -> Candidate:
    """Return the candidate that trains the model of a trial further."""
    assert trial.candidate is not None
    rung = trial.candidate.rung + 1
    return trial.candidate.model_copy(
        update={"parent": trial.number, "rung": rung, "starter": None}
    )


def origin(study: Study, trial: Trial) -> int:
    """Return the number of the trial that pruned what a trial has trained: its own, if it did."""
    parents = {one.number: one.candidate.parent for one in study.trials if one.candidate}
    number, parent = trial.number, parents.get(trial.number)
    while parent is not None:
        number, parent = parent, parents.get(parent)
    return number


def multiple(candidate: Candidate, config: StudyConfig) -> int:
    """Return how many times the steps of a trial that was not promoted a candidate trains."""
    return int(config.promotion.factor**candidate.rung)


def mean_multiple(config: StudyConfig) -> float:
    """Return how many times its own steps a trial takes on average, if all promote that may."""
    if not promotes(config):
        return 1.0
    factor, rungs = config.promotion.factor, range(config.promotion.rungs + 1)
    trials = [factor**-rung for rung in rungs]
    steps = [factor**rung - factor ** (rung - 1) if rung else 1 for rung in rungs]
    return sum(map(operator.mul, trials, steps)) / sum(trials)


class Promotions:
    """The rungs of a study, kept up to date as its trials end.

    A finished trial never changes, and what was beaten once stays beaten: an ask looks at what
    ended since the last one, however many trials there are.

    Args:
        config: of the study.
    """

    def __init__(self, config: StudyConfig) -> None:
        self._config = config
        self._rungs = tuple(_Rung() for _ in range(config.promotion.rungs))
        self._seen: set[int] = set()

    def next(self, study: Study, there: Callable[[str], bool] = lambda _: True) -> Candidate | None:
        """Return the candidate of the next promotion; ``None`` where it is not time for one.

        Args:
            study: as it stands, running trials included.
            there: whether the model that is kept at a place can be had.
        """
        measure = yardstick_for(self._config.objectives, study.reference)
        if not promotes(self._config) or not measure.complete:
            return None
        new = [trial for trial in study.trials if trial.number not in self._seen]
        self._take([trial for trial in new if trial.state.finished], measure)
        for level, rung in reversed(tuple(enumerate(self._rungs))):
            gone = rung.gone | _parents(new, level + 1)
            for trial in rung.due(gone, measure, self._config.promotion.factor):
                if trial.result and trial.result.artifact and there(trial.result.artifact):
                    return promoted(trial)
        return None

    def _take(self, over: Sequence[Trial], measure: Yardstick) -> None:
        """Take in trials that have ended."""
        self._seen.update(trial.number for trial in over)
        for level, rung in enumerate(self._rungs):
            rung.gone |= _parents(over, level + 1)
            rung.take([trial for trial in over if _on_rung(trial, level)], measure)


@dataclass
class _Rung:
    """The trials that trained as long, as far as they have ended.

    Attributes:
        ended: how many did not fail.
        front: those of them that nothing beats.
        gone: numbers of those whose promotion has ended.
    """

    ended: int = 0
    front: list[Trial] = field(default_factory=list)
    gone: set[int] = field(default_factory=set)

    def take(self, over: Sequence[Trial], measure: Yardstick) -> None:
        """Take in trials that have ended."""
        known = [t for t in over if t.state in (TrialState.COMPLETE, TrialState.STOPPED)]
        if known:
            self.ended += len(known)
            self.front = members_of([*self.front, *known], measure)

    def due(self, gone: set[int], measure: Yardstick, factor: int) -> list[Trial]:
        """Return the trials that may go on now, the most to be won back first.

        Args:
            gone: numbers of those that went on, running promotions included.
            measure: what values are held against.
            factor: one in so many goes on.
        """
        if self.ended // factor <= len(gone):
            return []
        dense = measure.reference[measure.metric.name]
        waiting = [trial for trial in self.front if trial.number not in gone]
        behind = [trial for trial in waiting if _metric(trial, measure) < dense]
        return sorted(behind, key=lambda trial: _metric(trial, measure))


def _parents(trials: Sequence[Trial], rung: int) -> set[int]:
    """Return the numbers of the trials that those on a rung went on from."""
    found = {
        trial.candidate.parent for trial in trials if trial.candidate and _on_rung(trial, rung)
    }
    return {number for number in found if number is not None}


def _on_rung(trial: Trial, rung: int) -> bool:
    candidate = trial.candidate
    if candidate is None or candidate.redeployed:
        return False
    return candidate.rung == rung and candidate.starter != DENSE_STARTER


def _metric(trial: Trial, measure: Yardstick) -> float:
    assert trial.result is not None
    return trial.result.values[measure.metric.name]
