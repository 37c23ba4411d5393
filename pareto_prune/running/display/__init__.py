"""The live display of a run: what is being done, how far it is, what was found so far.

On a terminal two lines that move, with one line above them for every finished trial; elsewhere only
lines, as a log wants them. While a measurement runs nothing is drawn and no thread is alive.

::

    trial 6   balanced/obs  82.5 %  latency 0.36×  energy ≈0.25×  on the front
    ⠹ trial 7 of 40, layer_wise/fisher · fine-tune ━━━━━━━━━╸━━━━━ 32/60
      8 min left · front 5 · hypervolume 0.213 · best 82.5 % 2.8× faster, 0.25× the energy (trial 6)
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.text import Text

from pareto_prune.core.quantities import duration
from pareto_prune.core.records import Candidate, Trial
from pareto_prune.results.records import Front
from pareto_prune.results.tables import shown
from pareto_prune.running.display.lines import found, made_from, trial_line
from pareto_prune.running.display.log_view import LogView
from pareto_prune.running.display.snapshot import Clock, Snapshot, View
from pareto_prune.running.display.terminal_view import TerminalView


class Display:
    """A :class:`pareto_prune.core.progress.Progress` that people watch, also told of whole trials.

    Use it as a context manager: the terminal is left as it was, whatever happens inside.

    Args:
        console: where to draw; stderr by default.
        time_limit: seconds after which the run ends anyway, if it does.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        console: Console | None = None,
        *,
        time_limit: float | None = None,
        clock: Clock = time.monotonic,
    ) -> None:
        self._console = console or Console(stderr=True)
        self._clock = clock
        self._began = clock()
        self._ends = None if time_limit is None else self._began + time_limit
        self._first_trial: float | None = None
        self._done = 0
        self._trials_asked = 0
        self._kept: list[Text] = []
        self._running: dict[int, str] = {}
        self._now = Snapshot(began=self._began)
        moving = self._console.is_terminal and not self._console.is_dumb_terminal
        make = TerminalView if moving else LogView
        self._view: View = make(self._console, self._now, clock)

    def __enter__(self) -> Self:
        """Begin to draw."""
        self._safely(self._view.start)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Leave the terminal as it was."""
        self._flush()
        if kind is None:
            self._end_stage()
        self._safely(self._view.stop)

    def stage(self, name: str, total: int | None = None) -> None:
        """Say that stage ``name`` begins, of ``total`` steps where that is known."""
        ended = self._ended()
        now = self._now
        now.stage, now.steps, now.total, now.began = name, 0, total, self._clock()
        self._wake()
        self._safely(lambda: self._view.stage(ended))

    def advance(self, steps: int = 1) -> None:
        """Say that ``steps`` more steps of the stage are done."""
        self._now.steps += steps
        if not self._now.quiet:
            self._safely(self._view.beat)

    def note(self, text: str) -> None:
        """Show a line; kept until drawing is allowed again."""
        self._kept.append(shown(text))
        if not self._now.quiet:
            self._flush()

    def quiet(self) -> None:
        """Stop drawing, and every thread that draws, until the next stage or trial."""
        if not self._now.quiet:
            self._now.quiet = True
            self._safely(self._view.pause)

    def trial_started(self, number: int, total: int, candidate: Candidate | None) -> None:
        """Say that trial ``number`` begins, of ``total`` finished ones the study is to have."""
        self._wake()
        if self._now.trial is None:
            self._end_stage()
        if self._first_trial is None:
            self._first_trial = self._clock()
        self._trials_asked = total
        made = f", {made_from(candidate)}" if candidate else ""
        self._running[number] = f"trial {number} of {total}{made}"
        self._now.trial = self._in_hand()
        self._now.stage, self._now.steps, self._now.total = "prune", 0, None
        self._now.began = self._clock()

    def trial_finished(self, trial: Trial, front: Front) -> None:
        """Say that ``trial`` has ended, and what the front of the study is now."""
        self._wake()
        self._done += 1
        self._running.pop(trial.number, None)
        self._now.trial = self._in_hand()
        if self._now.trial is None:
            self._now.stage, self._now.steps, self._now.total = "next trial", 0, None
        self._now.found = found(front)
        self._now.finish = self._finish(front)
        self._safely(lambda: self._view.line(trial_line(trial, front, self._trials_asked)))

    def trial_dropped(self, number: int) -> None:
        """Say that trial ``number`` is not run here any more."""
        self._running.pop(number, None)
        self._now.trial = self._in_hand()

    def _in_hand(self) -> str | None:
        """Return what runs: one trial in full, several by their numbers."""
        if len(self._running) > 1:
            numbers = ", ".join(map(str, sorted(self._running)))
            return f"trials {numbers} of {self._trials_asked}"
        return next(iter(self._running.values()), None)

    def _finish(self, front: Front) -> float | None:
        """Return when the run will end, by the pace of its trials so far."""
        now = self._clock()
        first = now if self._first_trial is None else self._first_trial
        pace = (now - first) / self._done
        finish = now + pace * max(0, self._trials_asked - front.finished)
        return finish if self._ends is None else min(finish, self._ends)

    def _wake(self) -> None:
        self._now.quiet = False
        self._flush()
        self._safely(self._view.start)

    def _flush(self) -> None:
        kept, self._kept = self._kept, []
        for line in kept:
            self._safely(lambda text=line: self._view.line(text))  # type: ignore[misc]

    def _end_stage(self) -> None:
        ended = self._ended()
        if ended:
            self._safely(lambda: self._view.stage(ended))

    def _ended(self) -> str | None:
        if self._now.trial or self._now.stage in ("starting", "next trial", ""):
            return None
        took = duration(self._clock() - self._now.began)
        ended, self._now.stage = f"{self._now.stage}: done in {took}", ""
        return ended

    def _safely(self, draw: Callable[[], None]) -> None:
        """Draw; a terminal that is gone does not end the work."""
        with suppress(OSError, ValueError):
            draw()
