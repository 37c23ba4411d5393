"""What stopping early saved, and how often it was wrong."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection
from statistics import median

from pareto_prune.core.record import Record
from pareto_prune.core.records import Study, TrialResult, TrialState


class Savings(Record):
    """What came of early stopping in a study.

    Attributes:
        stopped: trials that were stopped.
        saved_seconds: of fine-tuning and evaluating, against the median of the complete trials.
        spent_seconds: of the same, by all trials.
        audited: trials that were to be stopped and ran on.
        wrong: numbers of the audited ones that made the front: their stop would have been wrong.
        reasons: why, most frequent first, and how many times.
    """

    stopped: int
    saved_seconds: float
    spent_seconds: float
    audited: int
    wrong: tuple[int, ...]
    reasons: tuple[tuple[str, int], ...]


def savings(study: Study, on_front: Collection[int]) -> Savings | None:
    """Return what stopping saved; ``None`` where nothing was stopped.

    Args:
        study: as the storage holds it.
        on_front: numbers of the trials on its front.
    """
    results = [(trial.number, trial.result) for trial in study.trials if trial.result]
    stopped = [r for _, r in results if r.state is TrialState.STOPPED]
    ran_on = [number for number, r in results if r.audited and r.state is TrialState.COMPLETE]
    if not stopped and not ran_on:
        return None
    full = [r for _, r in results if r.state is TrialState.COMPLETE]
    typical = median(map(_training, full)) if full else 0.0
    reasons = Counter(result.stop_reason or "not recorded" for result in stopped)
    return Savings(
        stopped=len(stopped),
        saved_seconds=sum(max(0.0, typical - _training(r)) for r in stopped),
        spent_seconds=sum(_training(r) for _, r in results),
        audited=len(ran_on),
        wrong=tuple(number for number in ran_on if number in on_front),
        reasons=tuple(reasons.most_common(12)),
    )


def _training(result: TrialResult) -> float:
    """Return the seconds a trial spent on fine-tuning and evaluating."""
    return result.timings.get("finetune", 0.0) + result.timings.get("evaluate", 0.0)
