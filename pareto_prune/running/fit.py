"""Which studies of a storage a worker can take trials of, and why it leaves the others alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from contextlib import suppress

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.errors import UserError
from pareto_prune.measure import engines
from pareto_prune.storage import UNFIT, Identity, Queued, Storage

AGAIN_SECONDS = 600.0
"""After how long a study that was left alone is looked at again: what was wrong may be mended."""


class Fit:
    """Says of a study whether a worker can take its trials.

    Args:
        storage: of the studies; each one is told once why it is left alone.
        worker: its name.
        labels: that the worker has.
        usable: raises where the engine, the device or the number format is not there.
        clock: seconds, monotonic.
    """

    def __init__(
        self,
        storage: Storage,
        worker: str,
        labels: Collection[str] = (),
        usable: Callable[[MeasureTable], object] = engines.choose,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._storage = storage
        self._worker = worker
        self._labels = frozenset(labels)
        self._usable = usable
        self._clock = clock
        self._until: dict[Identity, float] = {}
        self._said: set[tuple[Identity, str]] = set()

    def __call__(self, queued: Queued) -> bool:
        """Return whether the worker can take trials of a study, as far as is known before."""
        if self._clock() < self._until.get(queued.identity, 0.0):
            return False
        why = self._why_not(queued.config.measure)
        if why is not None:
            self.set_aside(queued, why)
        return why is None

    def _why_not(self, table: MeasureTable) -> str | None:
        missing = sorted(set(table.labels) - self._labels)
        if missing:
            return f"the study wants a worker with --label {' --label '.join(missing)}"
        try:
            self._usable(table)
        except UserError as error:
            return str(error)
        return None

    def set_aside(self, queued: Queued, why: str) -> None:
        """Leave a study alone for a while, and tell it why."""
        self._until[queued.identity] = self._clock() + AGAIN_SECONDS
        if (queued.identity, why) in self._said:
            return
        self._said.add((queued.identity, why))
        with suppress(UserError):  # it may have been deleted
            self._storage.open_study(queued.identity.name).event(UNFIT, why, self._worker)
