"""What a long piece of work tells whoever watches it. Says nothing of how it is shown."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """A watcher of the work. All calls are cheap and never raise."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Say that stage ``name`` begins, of ``total`` steps where that is known."""

    def advance(self, steps: int = 1) -> None:
        """Say that ``steps`` more steps of the stage are done."""

    def note(self, text: str) -> None:
        """Say something worth a line of the log."""

    def quiet(self) -> None:
        """Stop drawing until the next stage: a measurement is running."""


class Silent:
    """Nobody watches."""

    def stage(self, name: str, total: int | None = None) -> None:
        """Do nothing."""

    def advance(self, steps: int = 1) -> None:
        """Do nothing."""

    def note(self, text: str) -> None:
        """Do nothing."""

    def quiet(self) -> None:
        """Do nothing."""
