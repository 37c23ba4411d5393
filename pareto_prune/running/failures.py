"""Why a trial failed, and how many in a row failed alike."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterable
from typing import Self

from pareto_prune.core.errors import RepeatedFailureError, TrialError
from pareto_prune.core.records import Failure, Trial

ALIKE = 3
"""Failures of the same kind in a row that stop a run."""


class FailureStreak:
    """Failures of one kind in a row, over all the workers of a run and of those before it."""

    def __init__(self, most: int = ALIKE) -> None:
        self._most = most
        self._kind: str | None = None
        self._count = 0
        self._lock = threading.Lock()

    @classmethod
    def after(cls, trials: Iterable[Trial]) -> Self:
        """Return the streak that trials have left; a run that starts on it tries once more.

        So one that is started again whenever it ends does not use up the study.
        """
        streak = cls()
        ended = [trial for trial in trials if trial.result is not None]
        for trial in sorted(ended, key=lambda trial: trial.ended or 0.0)[-ALIKE:]:
            streak._count_in(trial.result.failure if trial.result else None)
        streak._count = min(streak._count, ALIKE - 1)
        return streak

    def _count_in(self, failure: Failure | None) -> None:
        kind = failure.kind if failure else None
        self._count = self._count + 1 if kind == self._kind else 1
        self._kind = kind

    def add(self, failure: Failure | None) -> None:
        """Count the end of one trial.

        Raises:
            RepeatedFailureError: it is one failure of this kind too many.
        """
        with self._lock:
            self._count_in(failure)
            if failure is not None and self._count >= self._most:
                said = f"{self._count} trials in a row failed the same way"
                raise RepeatedFailureError(f"{said}: {failure.kind}: {failure.reason}")


def failure_of(error: BaseException) -> Failure:
    """Return why a trial failed: the kind is stable, the reason is what a person reads."""
    if isinstance(error, TrialError):
        return Failure(kind=error.kind, reason=error.reason)
    name = type(error).__name__
    said = str(error).strip().splitlines()
    reason = said[0] if said else name
    if isinstance(error, MemoryError) or name == "OutOfMemoryError":
        return Failure(kind="out_of_memory", reason=reason)
    kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return Failure(kind=kind, reason=f"{name}: {reason}")
