"""Redeployments: a trained model of the front in the other number formats that are searched.

Most of a trial is training, and a format needs none: what nothing beats is evaluated and measured
once in each of the others, as it is. Pruning and int8 multiply, so the cheap end of a front is
found there.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import DENSE_STARTER, Candidate, Study, Trial, TrialState
from pareto_prune.results.members import members_of
from pareto_prune.results.yardstick import Yardstick, yardstick_for
from pareto_prune.search.space import DTYPE, SearchSpace

_KNOB = "dtype"


def redeployed(trial: Trial, dtype: str) -> Candidate:
    """Return the candidate that takes the model of a trial as it is, in another format."""
    assert trial.candidate is not None
    deployment = {**trial.candidate.deployment, _KNOB: dtype}
    return trial.candidate.model_copy(
        update={
            "parent": trial.number,
            "redeployed": True,
            "starter": None,
            "deployment": deployment,
        }
    )


class Redeployments:
    """The front of a study and the formats that its models were tried in, kept up to date.

    Args:
        config: of the study.
        space: with the formats that are searched.
    """

    def __init__(self, config: StudyConfig, space: SearchSpace) -> None:
        gene = space.gene(DTYPE)
        several = gene is not None and len(gene.choices) > 1 and config.search.folds == 1
        self.formats = tuple(map(str, gene.choices)) if several and gene is not None else ()
        self._config = config
        self._front: list[Trial] = []
        self._seen: set[int] = set()
        self._tried: set[tuple[int | None, str]] = set()

    def next(self, study: Study, there: Callable[[str], bool] = lambda _: True) -> Candidate | None:
        """Return the candidate of the next redeployment; ``None`` where all were tried.

        Args:
            study: as it stands, running trials included.
            there: whether the model that is kept at a place can be had.
        """
        measure = yardstick_for(self._config.objectives, study.reference)
        if not self.formats or not measure.complete:
            return None
        new = [trial for trial in study.trials if trial.number not in self._seen]
        self._take([trial for trial in new if trial.state.finished], measure)
        tried = self._tried | _tried(new)
        for trial in self._front:
            for dtype in self.formats if _may(trial) else ():
                if (trial.number, dtype) not in tried and there(str(_place(trial))):
                    return redeployed(trial, dtype)
        return None

    def _take(self, over: Sequence[Trial], measure: Yardstick) -> None:
        """Take in trials that have ended."""
        self._seen.update(trial.number for trial in over)
        self._tried |= _tried(over)
        ended = [trial for trial in over if trial.state is TrialState.COMPLETE]
        self._front = members_of([*self._front, *ended], measure)


def _may(trial: Trial) -> bool:
    """Whether a trial has a model of its own that was kept; the dense one is a named reference."""
    candidate = trial.candidate
    if candidate is None or candidate.redeployed or candidate.starter == DENSE_STARTER:
        return False
    return _place(trial) is not None


def _place(trial: Trial) -> str | None:
    return trial.result.artifact if trial.result else None


def _tried(trials: Sequence[Trial]) -> set[tuple[int | None, str]]:
    """Return trials with the formats in which their models were tried, or are now."""
    found = set()
    for trial in trials:
        if trial.candidate is not None:
            number = trial.candidate.parent if trial.candidate.redeployed else trial.number
            found.add((number, str(trial.candidate.deployment.get(_KNOB))))
    return found
