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

from collections.abc import Callable, Sequence

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import DENSE_STARTER, Candidate, Study, Trial, TrialState
from pareto_prune.results.members import members_of
from pareto_prune.results.yardstick import Yardstick, yardstick


def promotes(config: StudyConfig) -> bool:
    """Whether trials of a study are promoted at all."""
    return config.promotion.enabled and config.search.folds == 1 and config.finetune.steps > 0


def promotion(
    study: Study, config: StudyConfig, there: Callable[[str], bool] = lambda _: True
) -> Candidate | None:
    """Return the candidate of the next promotion; ``None`` where it is not time for one.

    Args:
        study: as it stands, running trials included.
        config: of the study.
        there: whether the model that is kept at a place can be had.
    """
    measure, table = yardstick(study), config.promotion
    if not promotes(config) or not measure.complete:
        return None
    for rung in reversed(range(table.rungs)):
        for trial in _due(study.trials, rung, measure, table.factor):
            if trial.result and trial.result.artifact and there(trial.result.artifact):
                return promoted(trial)
    return None


def promoted(trial: Trial) -> Candidate:
    """Return the candidate that trains the model of a trial further."""
    assert trial.candidate is not None
    rung = trial.candidate.rung + 1
    return trial.candidate.model_copy(
        update={"parent": trial.number, "rung": rung, "starter": None}
    )


def multiple(candidate: Candidate, config: StudyConfig) -> int:
    """Return how many times the steps of a trial that was not promoted a candidate trains."""
    return int(config.promotion.factor**candidate.rung)


def _due(trials: Sequence[Trial], rung: int, measure: Yardstick, factor: int) -> list[Trial]:
    """Return the trials of a rung that may go on now, the most to be won back first."""
    peers = [trial for trial in trials if _on_rung(trial, rung)]
    gone = {trial.candidate.parent for trial in trials if trial.candidate} - {None}
    ended = [trial for trial in peers if trial.state in (TrialState.COMPLETE, TrialState.STOPPED)]
    if len(ended) // factor <= sum(trial.number in gone for trial in ended):
        return []
    dense = measure.reference[measure.metric.name]
    lost = {trial.number: dense - _metric(trial, measure) for trial in members_of(ended, measure)}
    waiting = [t for t in ended if lost.get(t.number, 0.0) > 0 and t.number not in gone]
    return sorted(waiting, key=lambda trial: -lost[trial.number])


def _on_rung(trial: Trial, rung: int) -> bool:
    candidate = trial.candidate
    return candidate is not None and candidate.rung == rung and candidate.starter != DENSE_STARTER


def _metric(trial: Trial, measure: Yardstick) -> float:
    assert trial.result is not None
    return trial.result.values[measure.metric.name]
