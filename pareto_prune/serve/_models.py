"""Kept models on their way to who downloads them: those from elsewhere are copied here once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pareto_prune.core.errors import ParetoPruneError
from pareto_prune.core.records import Study
from pareto_prune.export.card import Card
from pareto_prune.export.kept_models.of_trial import kept_at, kept_model
from pareto_prune.export.kept_models.places import local_path
from pareto_prune.export.kept_models.store import Kept

MOST_COPIES = 2
"""How many models lie here at once: each takes the space of a model in the temporary folder."""


class BusyError(ParetoPruneError):
    """As many models as may lie here are being downloaded."""


@dataclass(eq=False)
class _Copy:
    """One model that is copied here by the first who wants it, and shared."""

    users: int = 0
    held: ExitStack = field(default_factory=ExitStack)
    found: tuple[Path, Card] | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)

    def opened(self, study: Study, number: int) -> tuple[Path, Card]:
        """Return the folder and its card, copied and checked the first time."""
        with self.lock:
            if self.found is None:
                self.found = self.held.enter_context(kept_model(study, number))
            return self.found


class Models:
    """The models of studies, ready to be read. Safe to use from several threads."""

    def __init__(self) -> None:
        self._lock = threading.RLock()  # a download that is given up ends within anything
        self._copies: dict[Kept, _Copy] = {}

    @contextmanager
    def held(self, study: Study, number: int) -> Iterator[tuple[Path, Card]]:
        """Yield the folder with the kept model of a trial, checked, and its card.

        Raises:
            UserError: there is no such trial, or its weights are not kept or damaged.
            BusyError: too many others are downloaded from elsewhere.
        """
        kept = kept_at(study, number)
        if local_path(kept.place) is not None:
            with kept_model(study, number) as found:
                yield found
            return
        copy = self._claimed(kept)
        try:
            yield copy.opened(study, number)
        finally:
            self._release(kept, copy)

    def close(self) -> None:
        """Remove what nobody reads."""
        with self._lock:
            self._drop_idle(0)

    def _claimed(self, kept: Kept) -> _Copy:
        with self._lock:
            if kept not in self._copies:
                self._drop_idle(MOST_COPIES - 1)
                if len(self._copies) >= MOST_COPIES:
                    raise BusyError(f"{MOST_COPIES} other models are being downloaded, try later")
                self._copies[kept] = _Copy()
            self._copies[kept].users += 1
            return self._copies[kept]

    def _release(self, kept: Kept, copy: _Copy) -> None:
        with self._lock:
            copy.users -= 1
            if copy.users == 0 and copy.found is None:
                self._copies.pop(kept)

    def _drop_idle(self, left: int) -> None:
        """Remove the oldest copies that nobody reads until so many are left."""
        idle = [kept for kept, copy in self._copies.items() if copy.users == 0]
        for kept in idle[: max(0, len(self._copies) - left)]:
            self._copies.pop(kept).held.close()
