"""How a study stands."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pareto_prune.core.quantities import duration
from pareto_prune.results.savings import Savings
from pareto_prune.results.status import Status
from pareto_prune.results.tables.states import STATE_STYLES, STUDY_STYLES
from pareto_prune.results.tables.text import shown
from pareto_prune.results.tables.workers import workers_table


def status_view(status: Status) -> RenderableType:
    """Return how a study stands, with its workers."""
    grid = Table.grid(padding=(0, 2))
    grid.add_row("study", shown(status.study))
    if status.state.value in STUDY_STYLES:
        grid.add_row("state", Text(status.state.value, STUDY_STYLES[status.state.value]))
    if status.waits:
        grid.add_row(Text("waits", style="yellow"), shown(status.waits))
    grid.add_row("trials", f"{status.finished} of {status.trials_asked} finished")
    grid.add_row("states", _states(_to_come(status)))
    rate = status.trials_per_hour
    grid.add_row("rate", "–" if rate is None else f"{rate:.0f} trials/h")
    grid.add_row("time left", "–" if status.seconds_left is None else duration(status.seconds_left))
    volume = "–" if status.hypervolume is None else f"{status.hypervolume:.3f}"
    grid.add_row("hypervolume", f"{volume} ({status.front} on the front)")
    if status.early_stopping:
        grid.add_row("early stops", _stops(status.early_stopping))
    if status.recommended:
        grid.add_row("recommended", shown(status.recommended))
    for caution in status.cautions:
        grid.add_row(Text("mind", style="yellow"), shown(caution))
    return Group(grid, Padding(workers_table(status.workers), (1, 0, 0, 0), expand=False))


def _stops(found: Savings) -> str:
    saved = f"{found.stopped} stopped, about {duration(found.saved_seconds)} saved"
    if not found.audited:
        return f"{saved}; none audited yet"
    return f"{saved}; {len(found.wrong)} of {found.audited} audited ones were wrong"


def _to_come(status: Status) -> dict[str, int]:
    """Return the states; candidates that wait are not told where no trial is left to run them."""
    over = status.finished >= status.trials_asked
    return {s: n for s, n in status.states.items() if not (over and s == "waiting")}


def _states(states: dict[str, int]) -> Text:
    parts = [
        Text(f"{number} {state}", style=STATE_STYLES.get(state, ""))
        for state, number in states.items()
        if number
    ]
    return Text(", ").join(parts) if parts else Text("none yet")
