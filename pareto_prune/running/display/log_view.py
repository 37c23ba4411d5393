"""The display where nothing can move: lines, as a log wants them."""

from __future__ import annotations

from rich.console import Console
from rich.text import Text

from pareto_prune.results.tables import shown
from pareto_prune.running.display.snapshot import Clock, Snapshot

HEARTBEAT_SECONDS = 30.0


class LogView:
    """Lines only: each stage and trial once, and a sign of life every half minute of steps."""

    def __init__(self, console: Console, now: Snapshot, clock: Clock) -> None:
        self._console = console
        self._now = now
        self._clock = clock
        self._began = self._last = clock()

    def start(self) -> None:
        """Do nothing: there is nothing that moves."""

    def pause(self) -> None:
        """Do nothing: there is nothing that moves."""

    def stop(self) -> None:
        """Do nothing: lines stay."""

    def line(self, text: Text) -> None:
        """Write a line with the time since the start."""
        self._last = self._clock()
        minutes, seconds = divmod(int(self._last - self._began), 60)
        stamp = Text(f"[{minutes:3d}:{seconds:02d}] ")
        self._console.print(stamp + text, soft_wrap=True, highlight=False)

    def stage(self, ended: str | None) -> None:
        """Write how the last stage went and what begins, outside of trials."""
        if ended:
            self.line(shown(ended))
        if self._now.stage and not self._now.trial:
            steps = f" ({self._now.total} steps)" if self._now.total else ""
            self.line(shown(f"{self._now.stage}{steps}"))

    def beat(self) -> None:
        """Write how far the stage is, when nothing was written for half a minute."""
        if self._clock() - self._last < HEARTBEAT_SECONDS:
            return
        of = f" of {self._now.total}" if self._now.total else ""
        self.line(shown(f"{self._now.task}: {self._now.steps}{of} steps"))
