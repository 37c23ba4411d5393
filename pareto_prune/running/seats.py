"""The studies that a worker is ready for: the last few keep what was prepared for them.

To prepare for a study takes as long as its first trial does in a worker of that study alone: the
model, the data and the calibration are loaded. So a study that has a seat goes on at once, and
what that saved is said.
"""

from __future__ import annotations

import functools
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from pareto_prune.core.memory import is_short
from pareto_prune.core.progress import Progress
from pareto_prune.core.quantities import duration
from pareto_prune.running.asker import Asker
from pareto_prune.running.assignment import RunTrial
from pareto_prune.running.failures import FailureStreak
from pareto_prune.running.interruptions import Interruptions
from pareto_prune.running.launch import Prepare, Trials
from pareto_prune.running.lease_keeper import Keeper
from pareto_prune.running.run_study import Watch, Watcher, prepare, space_of
from pareto_prune.running.turns import Turns
from pareto_prune.running.worker_events import one_at_a_time
from pareto_prune.search.space import SearchSpace
from pareto_prune.storage import Identity, Storage, StoredStudy

MOST_SEATS = 3
"""Studies that a worker keeps ready for, where memory does not run short before."""
FIRST_LEASE = "first"
"""Name of the lease under which one worker of all studies prepares for a new one, while the others
go on elsewhere."""


@dataclass(frozen=True)
class Shop:
    """What all seats of a worker have in common.

    Attributes:
        url: of the storage.
        worker: its name.
        watcher: told of stages and trials.
        trials: makes what runs the trials of a study, from what prepares it.
        stop: once set, the trial in hand is handed back.
        lock: held while the watcher is told of something, by all workers of a run.
        prepare: makes what runs a trial of the study of a name.
        space: gives the space of the study of a name, once it is prepared.
        short: whether memory runs short.
    """

    url: str
    worker: str
    watcher: Watcher
    trials: Callable[[Prepare], Trials]
    stop: threading.Event
    lock: threading.Lock
    prepare: Callable[[str, str, Progress], RunTrial] = prepare
    space: Callable[[str, str], SearchSpace] = space_of
    short: Callable[[], bool] = is_short


@dataclass(frozen=True, eq=False)
class Seat:
    """A study that a worker is ready for.

    Attributes:
        turns: at its trials.
        trials: what runs them.
        seconds: that preparing took.
    """

    turns: Turns
    trials: Trials
    seconds: float

    def leave(self, interruptions: Interruptions) -> None:
        """Leave the study and let go of what was prepared for it."""
        try:
            self.turns.leave(interruptions)
        finally:
            self.trials.close()


class Seats:
    """The seats of one worker.

    Args:
        storage: of the studies.
        shop: what the seats have in common.
    """

    def __init__(self, storage: Storage, shop: Shop) -> None:
        self._storage = storage
        self._shop = shop
        self._kept: OrderedDict[Identity, Seat] = OrderedDict()
        self._last: Identity | None = None

    def at(self, identity: Identity, interruptions: Interruptions) -> Seat | None:
        """Return the seat at a study, prepared for where there is none.

        Returns:
            ``None`` where another worker makes what is made once a study, or is to stop.

        Raises:
            ParetoPruneError: it cannot be prepared for.
        """
        seat = self._kept.get(identity) or self._new(identity, interruptions)
        if seat is not None:
            self._kept[identity] = seat
            self._kept.move_to_end(identity)
            self._say(seat)
        return seat

    def leave(self, identity: Identity, interruptions: Interruptions) -> None:
        """Give up the seat at a study, if there is one."""
        seat = self._kept.pop(identity, None)
        if seat is not None:
            seat.leave(interruptions)

    def leave_all(self, interruptions: Interruptions) -> None:
        """Give up all seats."""
        for identity in list(self._kept):
            self.leave(identity, interruptions)

    def _new(self, identity: Identity, interruptions: Interruptions) -> Seat | None:
        self._make_room(interruptions)
        study = self._storage.open_study(identity.name)
        if study.identity != identity:
            return None
        with _turn_to_make(study, self._shop.worker) as ours:
            return self._prepared(study) if ours else None

    def _make_room(self, interruptions: Interruptions) -> None:
        """Give up the seats that were used longest ago, until there may be one more."""
        while self._kept and (len(self._kept) >= MOST_SEATS or self._shop.short()):
            self.leave(next(iter(self._kept)), interruptions)

    def _prepared(self, study: StoredStudy) -> Seat | None:
        shop, began = self._shop, time.monotonic()
        trials = shop.trials(functools.partial(shop.prepare, shop.url, study.name))
        try:
            if not trials.prepare(shop.stop):
                trials.close()
                return None
            space = shop.space(shop.url, study.name)
        except BaseException:
            trials.close()
            raise
        return self._seat(study, trials, space, time.monotonic() - began)

    def _seat(self, study: StoredStudy, trials: Trials, space: SearchSpace, seconds: float) -> Seat:
        shop = self._shop
        watch = Watch(study, shop.watcher, threading.Event())
        turns = Turns(
            study=study,
            run_trial=trials,
            name=shop.worker,
            asker=Asker(study, space),
            on_event=one_at_a_time(watch, shop.lock),
            stop=shop.stop,
            streak=FailureStreak.after(study.read().trials),
        )
        return Seat(turns, trials, seconds)

    def _say(self, seat: Seat) -> None:
        """Say where the next trials come from, where that changes, and what preparing cost."""
        study = seat.turns.study
        if self._last != study.identity:
            self._last = study.identity
            cost = f"preparing for it took {duration(seat.seconds)}"
            with self._shop.lock:
                self._shop.watcher.note(f"trials of study {study.name!r}: {cost}")


@contextmanager
def _turn_to_make(study: StoredStudy, worker: str) -> Iterator[bool]:
    """Yield whether to prepare for a study: of one that has no dense model yet, one worker does."""
    if study.reference is not None:
        yield True
    elif not study.acquire(FIRST_LEASE, worker):
        yield False
    else:
        try:
            with Keeper(lambda: study.keep(FIRST_LEASE), study.lease_seconds):
                yield True
        finally:
            study.release(FIRST_LEASE)
