"""Several workers shown as one: what they do together, not who of them does what."""

from __future__ import annotations

import threading
from collections import Counter

from pareto_prune.core.progress import Progress

FIRST_OF_TRIAL = "prune"
"""The stage that every trial begins with."""


class Crew:
    """Gathers what several workers say about themselves.

    One worker is passed on word for word. Of several, until the first trial begins, a stage is
    named when the first of them comes to it; from then on the stage says how many are where
    (``"2 fine-tune, 1 measure"``).

    Args:
        shown: told what they do together, one call at a time.
        size: how many workers there are.
    """

    def __init__(self, shown: Progress, size: int) -> None:
        self._shown = shown
        self._size = size
        self._lock = threading.Lock()
        self._stages: dict[Member, str] = {}
        self._said: set[str] = set()
        self._leader: Member | None = None
        self._in_trials = False

    def member(self) -> Progress:
        """Return the progress of one worker."""
        return self._shown if self._size == 1 else Member(self)

    def stage(self, member: Member, name: str, total: int | None) -> None:
        """A worker has come to a stage."""
        with self._lock:
            self._stages[member] = name
            if self._in_trials or name == FIRST_OF_TRIAL:
                self._in_trials, self._leader = True, None
                self._shown.stage(self._summary())
            elif name not in self._said:
                self._said.add(name)
                self._leader = member
                self._shown.stage(name, total)

    def advance(self, member: Member, steps: int) -> None:
        """A worker is further."""
        with self._lock:
            if member is self._leader:
                self._shown.advance(steps)

    def note(self, text: str) -> None:
        """A worker has something to say; what another one said is not said again."""
        with self._lock:
            if text not in self._said:
                self._said.add(text)
                self._shown.note(text)

    def _summary(self) -> str:
        counts = Counter(self._stages.values())
        return ", ".join(f"{number} {name}" for name, number in sorted(counts.items()))


class Member:
    """One worker of a :class:`Crew`."""

    def __init__(self, crew: Crew) -> None:
        self._crew = crew

    def stage(self, name: str, total: int | None = None) -> None:
        """Say that a stage begins."""
        self._crew.stage(self, name, total)

    def advance(self, steps: int = 1) -> None:
        """Say that steps are done."""
        self._crew.advance(self, steps)

    def note(self, text: str) -> None:
        """Say something worth a line."""
        self._crew.note(text)

    def quiet(self) -> None:
        """Do nothing: another worker may be at work all the same."""
