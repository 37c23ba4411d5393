"""The fronts of all studies, ready to be shown: each is read once for each state of its study.

What is out of date is handed out at once where there is something, and made anew behind it: a page
itself asks every few seconds whether there is a newer one. Pages are large, so that only those
looked at last are kept.
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

from pareto_prune.core.errors import MismatchError, UserError
from pareto_prune.results.front import front_of
from pareto_prune.serve._page import Page, Shown, page_of
from pareto_prune.storage import Storage, StoredStudy, StudySummary

OLDEST_SECONDS = 60.0
"""How old a page may be although the trials are the same: confirmed values are not among them."""
MOST_PAGES = 8


@dataclass(eq=False)
class _Entry:
    stored: StoredStudy
    created: float
    shown: Shown | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    asked: bool = False


class Fronts:
    """The fronts of a storage's studies. Safe to use from several threads.

    Args:
        storage: whose studies.
        clock: seconds, monotonic.
    """

    def __init__(self, storage: Storage, clock: Callable[[], float] = time.monotonic) -> None:
        self._storage = storage
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._listed: list[StudySummary] = []
        self._unread: set[str] = set()
        self._pages: OrderedDict[_Entry, Page] = OrderedDict()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="fronts")

    def version(self, name: str) -> str:
        """Return what changes with the trials of a study.

        Raises:
            UserError: there is none of this name.
        """
        return self._entry(name)[1]

    def newest(self, name: str) -> tuple[StoredStudy, Shown]:
        """Return a study as it stands now.

        Raises:
            UserError: there is none of this name.
        """
        entry, version = self._entry(name)
        return entry.stored, self._made(entry, version)

    def all_newest(self) -> list[tuple[StoredStudy, Shown]]:
        """Return all studies as they stand now, but for those that cannot be read."""
        return list(self._each(self._made))

    def all_at_once(self) -> list[tuple[StoredStudy, Shown]]:
        """Return the same as they stood a moment ago, or stand now where none was shown."""
        return list(self._each(self._at_once))

    def _each(self, make: Callable[[_Entry, str], Shown]) -> Iterator[tuple[StoredStudy, Shown]]:
        for entry, version in self._all():
            with self._reading(entry.stored.name):
                yield entry.stored, make(entry, version)

    @contextmanager
    def _reading(self, name: str) -> Iterator[None]:
        """Remember that a study is of another version; one that was deleted is just left out."""
        try:
            yield
        except MismatchError:
            self._unread.add(name)
        except UserError:
            pass

    def unread(self) -> list[StudySummary]:
        """Return the studies that were listed last and are of another version."""
        return [summary for summary in self._listed if summary.name in self._unread]

    def page(self, name: str) -> Page:
        """Return the page of a study as it stood a moment ago, if that was shown; else as it is.

        Raises:
            UserError: there is none of this name.
        """
        entry, version = self._entry(name)
        page = self._kept(entry)
        if page is None:
            return self._drawn(entry, version)
        if self._old(page, version):
            self._behind(entry, version, self._drawn)
        return page

    def warm(self) -> None:
        """Read all studies and make as many pages as are kept, in a thread of its own."""
        self._pool.submit(self._warm)

    def _warm(self) -> None:
        known = self._all()
        newest = sorted(known, key=lambda one: one[0].created, reverse=True)[:MOST_PAGES]
        for entry, version in known:
            self._behind(entry, version, self._drawn if (entry, version) in newest else self._made)

    def close(self) -> None:
        """Make no more pages."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _at_once(self, entry: _Entry, version: str) -> Shown:
        if entry.shown is None:
            return self._made(entry, version)
        if self._old(entry.shown, version):
            self._behind(entry, version, self._made)
        return entry.shown

    def _behind(
        self, entry: _Entry, version: str, make: Callable[[_Entry, str], Shown | Page]
    ) -> None:
        """Have something made soon, unless something of this study will be."""
        if not entry.asked:
            entry.asked = True
            self._pool.submit(self._answer, entry, version, make)

    @staticmethod
    def _answer(entry: _Entry, version: str, make: Callable[[_Entry, str], Shown | Page]) -> None:
        entry.asked = False
        make(entry, version)

    def _made(self, entry: _Entry, version: str) -> Shown:
        with entry.lock:
            if entry.shown is None or self._old(entry.shown, version):
                study = entry.stored.read()
                entry.shown = Shown(version, study, front_of(study), self._clock())
            return entry.shown

    def _drawn(self, entry: _Entry, version: str) -> Page:
        with entry.lock:
            page = self._kept(entry)
            if page is None or self._old(page, version):
                page = page_of(self._made(entry, version))
                self._keep(entry, page)
            return page

    def _kept(self, entry: _Entry) -> Page | None:
        with self._lock:
            if entry in self._pages:
                self._pages.move_to_end(entry)
            return self._pages.get(entry)

    def _keep(self, entry: _Entry, page: Page) -> None:
        with self._lock:
            self._pages[entry] = page
            self._pages.move_to_end(entry)
            while len(self._pages) > MOST_PAGES:
                self._pages.popitem(last=False)

    def _old(self, made: Shown | Page, version: str) -> bool:
        return made.version != version or self._clock() - made.made > OLDEST_SECONDS

    def _entry(self, name: str) -> tuple[_Entry, str]:
        """Return what is known of a study, and its version.

        Raises:
            UserError: there is none of this name.
        """
        for entry, version in self._all():
            if entry.stored.name == name:
                return entry, version
        self._storage.open_study(name)  # says which there are
        return self._entry(name)

    def _all(self) -> list[tuple[_Entry, str]]:
        """Return what is known of all studies, with their versions; forget those that are gone."""
        summaries = self._storage.studies()
        with self._lock:
            before, self._entries = self._entries, {}
            self._listed, self._unread = summaries, set()
            for summary in summaries:
                with self._reading(summary.name):
                    self._entries[summary.name] = self._known(before.get(summary.name), summary)
            for entry in {*before.values()} - {*self._entries.values()}:
                self._pages.pop(entry, None)
            known = [one for one in summaries if one.name in self._entries]
            return [(self._entries[one.name], version_of(one)) for one in known]

    def _known(self, entry: _Entry | None, summary: StudySummary) -> _Entry:
        if entry is not None and entry.created == summary.created:
            return entry
        return _Entry(self._storage.open_study(summary.name), summary.created)


def version_of(summary: StudySummary) -> str:
    """Return a digest of where a study and its trials stand."""
    counts = {state.value: number for state, number in summary.counts.items() if number}
    told = [summary.created, summary.trials_asked, summary.state, sorted(counts.items())]
    return hashlib.sha256(json.dumps(told).encode()).hexdigest()[:16]
