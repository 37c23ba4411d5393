"""The fronts of all studies, ready to be shown: each page is made once for each state of a study.

A page that is out of date is handed out at once where there is one, and made anew behind it: the
page itself asks every few seconds whether there is a newer one.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from pareto_prune.core.records import Study
from pareto_prune.results.front import front_of
from pareto_prune.results.records import Front
from pareto_prune.results.report import view_of
from pareto_prune.results.report.page import page_of
from pareto_prune.storage import Storage, StoredStudy, StudySummary

OLDEST_SECONDS = 60.0
"""How old a page may be although the trials are the same: confirmed values are not among them."""
_SCRIPT = re.compile(r"<script(?![^>]*application/json)[^>]*>(.*?)</script>", re.DOTALL)
_PLAIN = "default-src 'none'"
_ASKING = "default-src 'none'; connect-src 'self'"
NAV = (
    '<nav class="bar"><a href="/">Studies</a> <a href="" id="workers">Workers and events</a></nav>'
)
LIVE = """
(() => {
  const own = VERSION, here = location.pathname.replace(/\\/$/, "");
  document.getElementById("workers").href = `${here}/status`;
  let touched = false;
  for (const kind of ["pointerdown", "keydown", "wheel"])
    addEventListener(kind, () => { touched = true; }, { once: true, passive: true });
  const show = () => {
    if (!touched) return location.reload();
    if (document.getElementById("newer")) return;
    const link = document.createElement("a");
    link.id = "newer"; link.href = ""; link.textContent = "There are new trials: show them";
    link.onclick = (event) => { event.preventDefault(); location.reload(); };
    document.getElementById("about").after(link);
  };
  const title = document.getElementById("choice-title");
  const download = document.createElement("a");
  const offer = () => {
    const number = /\\d+/.exec(title.textContent);
    download.hidden = number === null;
    download.href = `${here}/trials/${number}/model.zip`;
    download.textContent = `Download the model of trial ${number}`;
  };
  document.getElementById("choice-export").after(download);
  const whole = { childList: true, characterData: true, subtree: true };
  new MutationObserver(offer).observe(title, whole);
  offer();
  setInterval(async () => {
    if (document.hidden) return;
    try {
      const answer = await fetch(here + "/version.json", { cache: "no-store" });
      if (answer.ok && (await answer.json()).version !== own) show();
    } catch { /* the service is away: the page stays as it is */ }
  }, 5000);
})();
"""


@dataclass(frozen=True)
class Shown:
    """One state of a study.

    Attributes:
        version: of the study that it shows.
        study: as it was read.
        front: its non-dominated trials.
        page: the page as UTF-8, compressed with gzip.
        policy: the content security policy of the page, with the digests of its scripts.
        made: value of the clock when it was made.
    """

    version: str
    study: Study
    front: Front
    page: bytes
    policy: str
    made: float


@dataclass
class _Entry:
    stored: StoredStudy
    created: float
    shown: Shown | None = None
    lock: threading.Lock = field(default_factory=threading.Lock)
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
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="fronts")

    def summaries(self) -> list[StudySummary]:
        """Return a line for every study."""
        return self._storage.studies()

    def stored(self, name: str) -> StoredStudy:
        """Return a study.

        Raises:
            UserError: there is none of this name.
        """
        return self._entry(name)[0].stored

    def version(self, name: str) -> str:
        """Return what changes with the trials of a study.

        Raises:
            UserError: there is none of this name.
        """
        return self._entry(name)[1]

    def newest(self, name: str) -> Shown:
        """Return a study as it stands now.

        Raises:
            UserError: there is none of this name.
        """
        entry, version = self._entry(name)
        return self._made(entry, version)

    def at_once(self, name: str) -> Shown:
        """Return a study as it stood a moment ago, if that was shown; else as it stands.

        Raises:
            UserError: there is none of this name.
        """
        entry, version = self._entry(name)
        if entry.shown is None:
            return self._made(entry, version)
        if self._old(entry.shown, version) and not entry.asked:
            entry.asked = True
            self._pool.submit(self._behind, entry, version)
        return entry.shown

    def warm(self) -> None:
        """Make all pages, in a thread of its own."""
        for summary in self.summaries():
            entry, version = self._entry(summary.name)
            self._pool.submit(self._behind, entry, version)

    def close(self) -> None:
        """Make no more pages."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _behind(self, entry: _Entry, version: str) -> None:
        entry.asked = False
        self._made(entry, version)

    def _made(self, entry: _Entry, version: str) -> Shown:
        with entry.lock:
            if entry.shown is None or self._old(entry.shown, version):
                entry.shown = shown(entry.stored.read(), version, self._clock())
            return entry.shown

    def _old(self, shown: Shown, version: str) -> bool:
        return shown.version != version or self._clock() - shown.made > OLDEST_SECONDS

    def _entry(self, name: str) -> tuple[_Entry, str]:
        """Return what is known of a study, and its version; forget it once it is another one."""
        summary = next((one for one in self.summaries() if one.name == name), None)
        with self._lock:
            entry = self._entries.get(name)
            if summary is None or entry is None or entry.created != summary.created:
                self._entries.pop(name, None)
                stored = self._storage.open_study(name)
                summary = summary or next(s for s in self.summaries() if s.name == name)
                entry = self._entries[name] = _Entry(stored, summary.created)
            return entry, version_of(summary)


def version_of(summary: StudySummary) -> str:
    """Return a digest of how many trials of a study stand where."""
    counts = {state.value: number for state, number in summary.counts.items() if number}
    state = [summary.created, summary.trials_asked, sorted(counts.items())]
    return hashlib.sha256(json.dumps(state).encode()).hexdigest()[:16]


def shown(study: Study, version: str, now: float) -> Shown:
    """Return a study with its page: the report's own, which asks for a newer one."""
    front = front_of(study)
    text = live(page_of(view_of(front, study)), version)
    page = gzip.compress(text.encode(), compresslevel=1, mtime=0)
    return Shown(version, study, front, page, policy_of(text), now)


def live(page: str, version: str) -> str:
    """Return a report's page that asks its server for newer versions of itself."""
    script = LIVE.replace("VERSION", json.dumps(version))
    page = page.replace(_PLAIN, _ASKING, 1)
    page = page.replace("<body>", f"<body>{NAV}", 1)
    before, end, after = page.rpartition("</body>")
    return f"{before}<script>{script}</script>{end}{after}"


def policy_of(page: str) -> str:
    """Return a content security policy under which the scripts of this page run, and no others.

    Plots in three dimensions compile their shaders' code with ``eval``.
    """
    digests = " ".join(f"'sha256-{_sha256(text)}'" for text in _SCRIPT.findall(page))
    return (
        f"default-src 'none'; script-src {digests} 'unsafe-eval'; worker-src blob:; "
        "style-src 'unsafe-inline'; img-src data: blob:; font-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )


def _sha256(text: str) -> str:
    return base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
