"""The pages of the web service, as text: escaped, styled like the report, without a script."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.resources import files

from pareto_prune.core.quantities import duration
from pareto_prune.core.study_state import StudyState
from pareto_prune.results.status import Status, StudyRow
from pareto_prune.results.tables.workers import lease_of
from pareto_prune.storage import StudyEvent, verbs_from

FORM_KEY = "key"
"""Name of the field in which a form brings what its page was given."""

_EXTRA = """
nav { display: flex; gap: 1.2rem; align-items: center; min-height: 2.1rem; padding-top: .8rem;
  font-size: .9rem; }
nav form { margin-left: auto; }
.orders { display: flex; gap: .6rem; margin: 1rem 0; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .45rem .7rem; border-bottom: 1px solid var(--line); }
td.n, th.n { text-align: right; }
a { color: var(--accent); }
progress { width: 9rem; accent-color: var(--accent); }
.login { max-width: 24rem; margin: 18vh auto 0; display: grid; gap: .8rem; }
.login input { font: inherit; padding: .5rem; border: 1px solid var(--line); border-radius: .4rem;
  background: var(--card); color: var(--ink); }
.bad { color: var(--bad); }
@media (prefers-color-scheme: dark) { :root { --page: #11161c; --card: #1a2129; --ink: #e5eaf0;
  --dim: #a0acb9; --line: #333e4a; --accent: #7cb8ef; --bad: #ef8f80; --on-accent: #0d141b;
  color-scheme: dark; } }
"""


def login_page(wrong: str = "") -> str:
    """Return the log-in page; ``wrong`` says why an attempt failed."""
    said = f'<p class="bad" role="alert">{html.escape(wrong)}</p>' if wrong else ""
    return _page(
        "Log in",
        '<form class="login" method="post" action="/login"><h1>pareto_prune</h1>'
        f'{said}<label for="token">Token</label>'
        '<input id="token" name="token" type="password" autocomplete="current-password" required>'
        '<button type="submit">Log in</button></form>',
    )


@dataclass(frozen=True)
class Links:
    """What every page leads to, beside the studies.

    Attributes:
        dashboard: whether Optuna's dashboard is there.
        log_out: whether there is anything to log out of.
    """

    dashboard: bool
    log_out: bool


def studies_page(rows: Sequence[StudyRow], storage: str, links: Links) -> str:
    """Return the page of all studies."""
    heads = ("study", "trials", "#running", "#on the front", "#hypervolume", "model", "data", "")
    table = _table(heads, [_study_cells(row) for row in rows])
    empty = '<p class="empty">No study yet: <code>pareto-prune run STUDY.toml</code></p>'
    body = f'<h1>Studies</h1><p class="dim">{html.escape(storage)}</p>'
    return _page("Studies", _nav(links) + body + (table if rows else empty))


def _study_cells(row: StudyRow) -> list[str]:
    name, volume = html.escape(row.name), row.hypervolume
    of = f"{row.finished} of {row.trials_asked}"
    told = "" if row.state is StudyState.OPEN else f", {row.state.value}"
    bar = f'<progress max="{row.trials_asked}" value="{row.finished}">{of}</progress> {of}{told}'
    return [
        f'<a href="/studies/{name}">{name}</a>',
        bar,
        str(row.running),
        str(row.front),
        "–" if volume is None else f"{volume:.3f}",
        html.escape(row.problem or row.model),
        html.escape(row.data),
        f'<a href="/studies/{name}/status">workers</a>',
    ]


def status_page(
    status: Status, events: Sequence[StudyEvent], links: Links, form_key: str = ""
) -> str:
    """Return the page of one study's workers and of what happened to it, newest first.

    Args:
        status: of the study.
        events: what happened.
        links: of the navigation.
        form_key: what its forms bring; empty for a page without any.
    """
    name = html.escape(status.study)
    body = [
        _nav(links),
        f'<h1>{name}</h1><p><a href="/studies/{name}">The front</a></p>',
        f'<div class="tiles">{"".join(_tiles(status))}</div>',
        _orders(status, form_key) if form_key else "",
        "<section><h2>Workers</h2>",
        _workers(status),
        "</section><section><h2>Events</h2>",
        _events(events),
        "</section>",
    ]
    return _page(f"{status.study} – workers", "".join(body))


def _orders(status: Status, form_key: str) -> str:
    """Return a button for each order that a study may be given as it stands."""
    base = f"/api/v1/studies/{html.escape(status.study)}"
    field = f'<input type="hidden" name="{FORM_KEY}" value="{html.escape(form_key)}">'
    forms = [
        f'<form method="post" action="{base}/{verb}">{field}'
        f'<button type="submit">{verb.capitalize()}</button></form>'
        for verb in verbs_from(status.state)
    ]
    return f'<div class="orders">{"".join(forms)}</div>'


def _tiles(status: Status) -> Iterable[str]:
    left = "–" if status.seconds_left is None else duration(status.seconds_left)
    rate = "–" if status.trials_per_hour is None else f"{status.trials_per_hour:.0f}"
    volume = "–" if status.hypervolume is None else f"{status.hypervolume:.3f}"
    told = {} if status.state is StudyState.OPEN else {"state": status.state.value}
    shown = {
        **told,
        "trials": f"{status.finished} of {status.trials_asked}",
        "left": left,
        "trials an hour": rate,
        "on the front": str(status.front),
        "hypervolume": volume,
        **{state: str(number) for state, number in sorted(status.states.items())},
    }
    for label, value in shown.items():
        yield f'<div class="tile"><b>{value}</b><span class="dim">{label}</span></div>'


def _workers(status: Status) -> str:
    rows = [
        [
            html.escape(worker.name),
            "–" if worker.trial is None else str(worker.trial),
            lease_of(worker),
        ]
        for worker in status.workers
    ]
    why = f"Nobody works on it now. {status.waits or ''}".strip()
    none = f'<p class="empty">{html.escape(why)}</p>'
    return _table(("worker", "#trial", "lease"), rows) if rows else none


def _events(events: Sequence[StudyEvent]) -> str:
    heads = ("at (UTC)", "what", "trial", "worker", "said")
    none = '<p class="empty">Nothing out of the ordinary.</p>'
    return _table(heads, map(_event_cells, events)) if events else none


def _event_cells(event: StudyEvent) -> list[str]:
    at = datetime.fromtimestamp(event.at, UTC).strftime("%Y-%m-%d %H:%M:%S")
    number = "" if event.number is None else str(event.number)
    return [at, *map(html.escape, (event.kind, number, event.worker or "", event.text))]


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are escaped; heads with ``#`` are of numbers."""
    kinds = [' class="n"' if head.startswith("#") else "" for head in heads]
    head = "".join(
        f'<th scope="col"{kind}>{name.removeprefix("#")}</th>'
        for kind, name in zip(kinds, heads, strict=True)
    )
    body = "".join(
        "<tr>"
        + "".join(f"<td{kind}>{cell}</td>" for kind, cell in zip(kinds, row, strict=True))
        + "</tr>"
        for row in rows
    )
    return f'<div class="scroll"><table><tr>{head}</tr>{body}</table></div>'


def _nav(links: Links) -> str:
    optuna = '<a href="/dashboard">Optuna dashboard</a>' if links.dashboard else ""
    out = '<form method="post" action="/logout"><button type="submit">Log out</button></form>'
    out = out if links.log_out else ""
    return f'<nav><a href="/">Studies</a>{optuna}<a href="/metrics">Metrics</a>{out}</nav>'


def _page(title: str, body: str) -> str:
    style = (
        files("pareto_prune.results.report").joinpath("templates", "page.css").read_text("utf-8")
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><link rel="icon" href="data:,">'
        f"<title>{html.escape(title)}</title><style>{style}{_EXTRA}</style></head>"
        f"<body>{body}</body></html>"
    )
