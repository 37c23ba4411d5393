"""The display on a terminal: two lines that move."""

from __future__ import annotations

import threading
from contextlib import suppress

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pareto_prune.core.quantities import duration
from pareto_prune.results.tables import shown
from pareto_prune.running.display.snapshot import Clock, Snapshot

REFRESHES_PER_SECOND = 4
_BAR_WIDTH = 24


class TerminalView:
    """Two lines at the bottom of a terminal, redrawn by a thread that a pause ends."""

    def __init__(self, console: Console, now: Snapshot, clock: Clock) -> None:
        self._console = console
        self._now = now
        self._clock = clock
        self._spinner = Spinner("dots")
        self._thread: threading.Thread | None = None
        self._halt = threading.Event()
        self._live = Live(
            console=console,
            get_renderable=self._render,
            auto_refresh=False,
            transient=True,
            redirect_stdout=False,
        )

    def start(self) -> None:
        """Draw from now on."""
        if self._thread is not None:
            return
        if not self._live.is_started:
            self._live.start()
        self._halt.clear()
        self._thread = threading.Thread(target=self._run, name="display", daemon=True)
        self._thread.start()

    def pause(self) -> None:
        """Draw once more, then end the thread."""
        self._end_thread()
        if self._live.is_started:
            self._live.refresh()

    def stop(self) -> None:
        """End the thread, erase the two lines and show the cursor again."""
        self._end_thread()
        self._live.stop()

    def line(self, text: Text) -> None:
        """Write a line above the two that move."""
        self._console.print(text, highlight=False)

    def stage(self, ended: str | None) -> None:
        """Write how a stage outside of trials went."""
        if ended:
            self.line(shown(ended))

    def beat(self) -> None:
        """Do nothing: the thread draws."""

    def _run(self) -> None:
        with suppress(OSError, ValueError):
            while not self._halt.wait(1 / REFRESHES_PER_SECOND):
                self._live.refresh()

    def _end_thread(self) -> None:
        self._halt.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def _render(self) -> Group:
        now = self._now
        head = Table.grid(padding=(0, 1))
        head.add_column(width=1)
        head.add_column(no_wrap=True, overflow="ellipsis")
        head.add_column(no_wrap=True)
        head.add_column(no_wrap=True)
        mark = Text("‖", style="cyan") if now.quiet else self._spinner
        task = f"{now.task} (the display rests)" if now.quiet else now.task
        bar = None if now.quiet or not now.total else self._bar(now.steps, now.total)
        steps = f"{now.steps}/{now.total}" if now.total else str(now.steps or "")
        head.add_row(mark, shown(task), bar or "", "" if now.quiet else steps)
        return Group(
            head, Text(f"  {self._foot()}", style="dim", no_wrap=True, overflow="ellipsis")
        )

    def _bar(self, steps: int, total: int) -> ProgressBar:
        return ProgressBar(total=total, completed=min(steps, total), width=_BAR_WIDTH)

    def _foot(self) -> str:
        finish = self._now.finish
        left = f"{duration(finish - self._clock())} left" if finish is not None else None
        elapsed = f"{duration(self._clock() - self._now.began)} in this stage"
        return " · ".join(part for part in (left or elapsed, self._now.found) if part)
