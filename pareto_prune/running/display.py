"""The live display of a run: what is being done, how far it is, what was found so far.

On a terminal two lines that move, with one line above them for every finished trial; elsewhere only
lines, as a log wants them. While a measurement runs nothing is drawn and no thread is alive.

::

    trial 6   balanced/obs  82.5 %  latency 0.36×  energy ≈0.25×  on the front
    ⠹ trial 7 of 40, layer_wise/fisher · fine-tune ━━━━━━━━━╸━━━━━ 32/60
      8 min left · front 5 · hypervolume 0.213 · best 82.5 % 2.8× faster, 0.25× the energy (trial 6)
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from pareto_prune.core.quantities import ESTIMATED, duration, times, written
from pareto_prune.core.records import Candidate, Trial, TrialState
from pareto_prune.results.gains import gains
from pareto_prune.results.members import competes
from pareto_prune.results.records import Front, Point
from pareto_prune.results.tables import shown
from pareto_prune.results.yardstick import yardstick_of

REFRESHES_PER_SECOND = 4
HEARTBEAT_SECONDS = 30.0
_BAR_WIDTH = 24
Clock = Callable[[], float]


@dataclass
class Snapshot:
    """All that is shown; written by the run, read by whoever draws."""

    stage: str = "starting"
    steps: int = 0
    total: int | None = None
    began: float = 0.0
    trial: str | None = None
    found: str | None = None
    finish: float | None = None
    quiet: bool = False

    @property
    def task(self) -> str:
        """The stage, within its trial if there is one."""
        return f"{self.trial} · {self.stage}" if self.trial else self.stage


class View(Protocol):
    """Shows a snapshot somewhere."""

    def start(self) -> None:
        """Begin to draw, or go on after :meth:`pause`."""

    def pause(self) -> None:
        """Draw no more, and leave no thread alive, until :meth:`start`."""

    def stop(self) -> None:
        """Leave the terminal as it was."""

    def line(self, text: Text) -> None:
        """Show a line that stays."""

    def stage(self, ended: str | None) -> None:
        """Say that the stage changed; ``ended`` says how the last one went, outside of trials."""

    def beat(self) -> None:
        """Say that a step was done."""


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
        finished = sum(front.counts.get(s, 0) for s in ("complete", "stopped", "failed"))
        now = self._clock()
        first = now if self._first_trial is None else self._first_trial
        pace = (now - first) / self._done
        finish = now + pace * max(0, self._trials_asked - finished)
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


def made_from(candidate: Candidate) -> str:
    """Return what a candidate is made from, in a word or two."""
    if candidate.starter:
        return candidate.starter
    return "/".join(dict.fromkeys((candidate.strategy, candidate.importance)))


def found(front: Front) -> str | None:
    """Say what the front amounts to so far, in one line."""
    if not front.members:
        return None
    count = len(front.members)
    parts = [f"front {count}"]
    if front.hypervolume is not None:
        parts.append(f"hypervolume {front.hypervolume:.3f}")
    best = front.point(front.recommended.trial) if front.recommended else None
    if best is not None:
        gain = gains(best, yardstick_of(front))
        metric = written(front.metric, best.values[front.metric])
        parts.append(f"best {metric} {gain} (trial {best.number})")
    return " · ".join(parts)


def trial_line(trial: Trial, front: Front, total: int = 0) -> Text:
    """Return one line: number, strategy, metric, latency and energy ratio, and where it stands."""
    point = front.point(trial.number)
    candidate = trial.candidate or (trial.result.candidate if trial.result else None)
    of = f"/{total}" if total else ""
    text = Text(f"trial {trial.number}{of}".ljust(13))
    text.append_text(shown((made_from(candidate) if candidate else "?").ljust(20)))
    for part in _figures(trial, front):
        text.append(f"  {part}")
    text.append("  ")
    text.append_text(_standing(trial, front, point))
    return text


def _figures(trial: Trial, front: Front) -> list[str]:
    values = trial.result.values if trial.result else {}
    if not values:
        return []
    measure = yardstick_of(front)
    shares = measure.relative(values)
    figures = [written(front.metric, values.get(front.metric))]
    for objective in measure.costs:
        if objective.name in shares:
            mark = ESTIMATED if front.estimated(objective.name) else ""
            figures.append(f"{objective.label} {mark}{times(shares[objective.name])}")
    return figures


def _standing(trial: Trial, front: Front, point: Point | None) -> Text:
    result = trial.result
    if trial.state is TrialState.FAILED:
        failure = result.failure if result else None
        reason = f"failed: {failure.kind}: {failure.reason}" if failure else "failed"
        return Text(shown(reason).plain, style="red")
    if trial.state is TrialState.STOPPED:
        reason = result.stop_reason if result and result.stop_reason else ""
        return Text(shown(f"stopped early {reason}".strip()).plain, style="yellow")
    if point is not None and point.on_front:
        return Text("on the front", style="green")
    if not competes(trial, yardstick_of(front)):
        return Text("breaks a constraint", style="magenta")
    return Text("dominated", style="dim")


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
