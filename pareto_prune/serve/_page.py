"""The page of a study as it is served: the report's own, which asks for newer ones of itself."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from dataclasses import dataclass

from pareto_prune.core.records import Study
from pareto_prune.results.records import Front
from pareto_prune.results.report import view_of
from pareto_prune.results.report.page import page_of as report_page

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
        made: value of the clock when it was read.
    """

    version: str
    study: Study
    front: Front
    made: float


@dataclass(frozen=True)
class Page:
    """The page of one state of a study.

    Attributes:
        content: UTF-8, compressed with gzip.
        policy: its content security policy, with the digests of its scripts.
        version: of the study that it shows.
        made: value of the clock when that was read.
    """

    content: bytes
    policy: str
    version: str
    made: float


def page_of(shown: Shown) -> Page:
    """Return the page of a study."""
    text = live(report_page(view_of(shown.front, shown.study)), shown.version)
    content = gzip.compress(text.encode(), compresslevel=1, mtime=0)
    return Page(content, policy_of(text), shown.version, shown.made)


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
