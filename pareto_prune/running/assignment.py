"""One trial to run: what a worker gives to whatever runs trials."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pareto_prune.core.records import Candidate, Rung, TrialResult


class TrialAbortedError(BaseException):
    """The trial in hand must not go on: its lease was lost, or the worker is to stop.

    Not an :class:`Exception`, so that a trial's own ``except Exception`` lets it through.
    """


@dataclass(frozen=True)
class Assignment:
    """One trial to run.

    Attributes:
        candidate: what to try.
        number: of the trial.
        seed: determines all that is random in it.
        deadline: value of :func:`time.monotonic` by which it must have ended; ``None`` for never.
        report_rung: keeps the quality part of the way, and checks.
        check: raises where the trial must not go on; cheap, to be called every few steps.
            :class:`TrialAbortedError` passes through, :class:`TrialError` is the time limit.
    """

    candidate: Candidate
    number: int
    seed: int
    deadline: float | None
    report_rung: Callable[[Rung], None]
    check: Callable[[], None]


RunTrial = Callable[[Assignment], TrialResult]
"""What runs one trial. Raises :class:`TrialError`, or anything else, where it fails."""
