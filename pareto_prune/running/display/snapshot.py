"""All that the display shows, and what shows it somewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rich.text import Text

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
