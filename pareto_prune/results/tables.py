"""Tables for the terminal, and the same data as CSV or JSON: plain records in, renderables out.

All text that comes from users is shown as it is: never read as markup, no control characters.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pareto_prune.core.objectives import OBJECTIVES, Objective
from pareto_prune.core.quantities import ESTIMATED, count, duration, times, written
from pareto_prune.core.record import Record
from pareto_prune.core.records import TrialState
from pareto_prune.core.registry import Entry
from pareto_prune.results.members import DENSE
from pareto_prune.results.records import AtPointsLost, Confirmed, Front, Point
from pareto_prune.results.savings import Savings
from pareto_prune.results.selection.records import Selection

RECOMMENDED = "★"
_STATE_STYLES = {
    "complete": "green",
    "running": "cyan",
    "waiting": "dim",
    "stopped": "yellow",
    "failed": "red",
    "infeasible": "magenta",
}


class WorkerStatus(Record):
    """One worker of a study.

    Attributes:
        trial: number of the trial it holds, if any.
        lease_seconds: until its lease ends; below 0: it is taken for dead.
    """

    name: str
    trial: int | None = None
    lease_seconds: float


class Status(Record):
    """How a study stands.

    Attributes:
        states: trials by state.
        trials_asked: finished trials it is to have.
        trials_per_hour, seconds_left: at the present rate, where there is one.
        front: points on the front.
        early_stopping: what stopping early saved and how often it was wrong.
    """

    study: str
    states: dict[str, int]
    trials_asked: int
    trials_per_hour: float | None = None
    seconds_left: float | None = None
    hypervolume: float | None = None
    front: int = 0
    recommended: str | None = None
    early_stopping: Savings | None = None
    workers: tuple[WorkerStatus, ...] = ()


class StudyRow(Record):
    """One study of a storage; ``created`` in seconds since 1970."""

    name: str
    created: float
    finished: int
    trials_asked: int
    running: int = 0
    front: int = 0
    hypervolume: float | None = None
    model: str = ""
    data: str = ""


def shown(text: object) -> Text:
    """Return text from anywhere as it is: no markup, no control characters."""
    return Text("".join(c if c.isprintable() else " " for c in str(text)))


# ------------------------------------------------------------------------------- front


def front_view(front: Front, every: bool = False) -> RenderableType:
    """Return the table of a front with what it amounts to below.

    Args:
        front: made with ``all_trials`` for ``every``.
        every: every trial with its state, not only the members.
    """
    return Group(front_table(front, every), Padding(front_summary(front), (1, 0, 0, 1)))


def front_table(front: Front, every: bool = False) -> Table:
    """Return one row a point: absolute values with speed-up and cost ratios beside, dense first."""
    table = _table()
    table.add_column("", width=1)
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("strategy", overflow="ellipsis", min_width=8, max_width=24)
    if every:
        table.add_column("state", no_wrap=True)
    for objective in _objectives(front):
        table.add_column(_title(front, objective), justify="right", no_wrap=True)
        table.add_column("", justify="right", no_wrap=True, style="dim")
    if _with_size(front, every):
        table.add_column("params", justify="right", no_wrap=True)
    if front.reference:
        table.add_row(*_dense_row(front, every), style="bold")
    listed = front.trials if every else front.members
    for point in listed:
        if every or point.starter != DENSE or not front.reference:
            table.add_row(*_row(front, point, every), style=_style(point, every))
            if point.confirmation:
                table.add_row(*_confirmed_row(front, point.confirmation, every), style="italic")
    return table


def front_summary(front: Front) -> Text:
    """Return hypervolume, what little is lost for how much, and the recommended point."""
    lines = [_counted(front), _volume(front), *map(_at_loss, _known(front.at_points_lost))]
    lines += _ties(front)
    if front.recommended:
        chosen = front.recommended
        lines.append(f"{RECOMMENDED} recommended: trial {chosen.trial}, {chosen.reason}")
    if any(front.estimated(o.name) for o in front.objectives):
        lines.append(f"{ESTIMATED} an estimate, good to a factor of about 2")
    return shown_lines(lines)


def shown_lines(lines: Iterable[str]) -> Text:
    """Return lines of text from anywhere."""
    return Text("\n").join(shown(line) for line in lines if line)


def front_json(front: Front) -> str:
    """Return the front as JSON text."""
    return json.dumps(front.to_json(), indent=1, ensure_ascii=False, allow_nan=False)


def front_csv(front: Front) -> str:
    """Return one line a trial, the dense model first, plain numbers, with a header."""
    names = [o.name for o in front.objectives]
    head = ["trial", "state", "on_front", "recommended", "strategy", "importance", "starter"]
    bounds = [f"{name}_{end}" for name in names for end in ("low", "high")]
    shares = [f"{name}_relative" for name in front.costs]
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    tail = ["parameters", "bytes", "confirmed", "reason"]
    sizes = [name for name in tail if name not in names]
    again = [f"{name}_confirmed" for name in names]
    writer.writerow([*head, *names, *bounds, *shares, *sizes, *again])
    if front.reference:
        dense = _dense_csv(front, names, sizes)
        writer.writerow([*dense, *("" for _ in again)])
    writer.writerows(_csv_row(front, point, names, sizes) for point in front.trials)
    return out.getvalue()


def _dense_csv(front: Front, names: Sequence[str], sizes: Sequence[str]) -> list[Any]:
    reference = front.reference or {}
    bounds = [x for name in names for x in front.reference_intervals.get(name, ("", ""))]
    known = [reference.get(name, "") for name in sizes]
    head = ["", "reference", "", "", "", "", DENSE]
    return [
        *head,
        *(reference.get(n, "") for n in names),
        *bounds,
        *(1.0 for _ in front.costs),
        *known,
    ]


def _csv_row(front: Front, point: Point, names: Sequence[str], sizes: Sequence[str]) -> list[Any]:
    recommended = front.recommended is not None and front.recommended.trial == point.number
    bounds = [x for name in names for x in point.intervals.get(name, ("", ""))]
    row = [
        point.number,
        point.state.value,
        point.on_front,
        recommended,
        point.strategy,
        point.importance,
        point.starter,
        *(point.values.get(name) for name in names),
        *bounds,
        *(point.relative.get(name) for name in front.costs),
        *(getattr(point, name) for name in sizes),
        *(point.confirmation.values.get(n) if point.confirmation else None for n in names),
    ]
    return ["" if cell is None else _cell(cell) for cell in row]


def _cell(value: Any) -> Any:
    """Return a cell that no spreadsheet takes for a formula."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str) and value.startswith(tuple("=+-@\t\r")):
        return "'" + value
    return value


def _objectives(front: Front) -> tuple[Objective, ...]:
    return tuple(OBJECTIVES[o.name] for o in front.objectives)


def _with_size(front: Front, every: bool) -> bool:
    """Whether there is a column of parameters: where they are no objective and there is room."""
    return not every and all(o.name != "parameters" for o in front.objectives)


def _title(front: Front, objective: Objective) -> str:
    label = {"latency_p95_ms": "latency p95"}.get(objective.name, objective.label)
    return f"{label} {ESTIMATED}" if front.estimated(objective.name) else label


def _dense_row(front: Front, every: bool) -> list[RenderableType]:
    reference = front.reference or {}
    trial = next((p for p in front.members if p.starter == DENSE), None)
    cells: list[RenderableType] = ["", str(trial.number) if trial and not every else "", "dense"]
    if every:
        cells.append("reference")
    for objective in _objectives(front):
        estimated = front.estimated(objective.name)
        cells += [written(objective.name, reference.get(objective.name), estimated), ""]
    if _with_size(front, every):
        cells.append(written("parameters", reference.get("parameters")))
    return cells


def _row(front: Front, point: Point, every: bool) -> list[RenderableType]:
    marked = front.recommended is not None and front.recommended.trial == point.number
    cells: list[RenderableType] = [RECOMMENDED if marked else "", str(point.number)]
    cells.append(shown(made_by(point)))
    if every:
        cells.append(_state(point))
    for objective in _objectives(front):
        value = point.values.get(objective.name)
        known = value is not None
        estimated = front.estimated(objective.name)
        cells += [written(objective.name, value, estimated) if known else "–"]
        cells.append(_beside(front, point, objective))
    if _with_size(front, every):
        cells.append("–" if point.parameters is None else count(point.parameters))
    return cells


def _confirmed_row(front: Front, found: Confirmed, every: bool) -> list[RenderableType]:
    """Return what stands under a point that was retrained and measured afresh."""
    cells: list[RenderableType] = ["", "", f"  confirmed ×{found.retrainings}"]
    if every:
        cells.append("")
    for objective in _objectives(front):
        value, estimated = found.values.get(objective.name), front.estimated(objective.name)
        cells.append("–" if value is None else written(objective.name, value, estimated))
        cells.append(_against(front, value, objective))
    return [*cells, ""] if _with_size(front, every) else cells


def made_by(point: Point) -> str:
    """Return what made a point: its starter's name, or its strategy and importance."""
    if point.starter:
        return point.starter
    parts = [part for part in (point.strategy, point.importance) if part]
    return "/".join(dict.fromkeys(parts)) or "–"


def _state(point: Point) -> Text:
    infeasible = point.state is TrialState.COMPLETE and not point.feasible
    state = "infeasible" if infeasible else point.state.value
    return Text(state, style=_STATE_STYLES.get(state, ""))


def _beside(front: Front, point: Point, objective: Objective) -> str:
    """Return what stands beside a value: points lost, the speed-up, or the share of the cost."""
    return _against(front, point.values.get(objective.name), objective)


def _against(front: Front, value: float | None, objective: Objective) -> str:
    """Return how a value compares with the dense model's."""
    dense = (front.reference or {}).get(objective.name)
    if value is None or not dense:
        return ""
    if objective.kind == "quality":
        return f"{100 * (value - dense):+.1f}".replace("-", "−")
    ratio = value / dense
    if objective.name.startswith("latency") or objective.name == "throughput":
        return times(ratio**-objective.sign)
    return times(ratio)


def _style(point: Point, every: bool) -> str:
    if every and not point.on_front:
        return "dim"
    return ""


def _counted(front: Front) -> str:
    finished = {s: n for s, n in front.counts.items() if n and s in ("stopped", "failed")}
    finished |= {s: n for s, n in front.counts.items() if n and s == "infeasible"}
    rest = "".join(f", {n} {state}" for state, n in finished.items())
    total = sum(front.counts.get(s, 0) for s in ("complete", "stopped", "failed"))
    members = len(front.members)
    noun = "point" if members == 1 else "points"
    return f"{members} {noun} on the front of {total} trials{rest}"


def _volume(front: Front) -> str:
    if front.hypervolume is None:
        why = "does not beat chance" if front.reference else "is not measured yet"
        return f"hypervolume: none, the dense model {why}"
    return f"hypervolume {front.hypervolume:.3f}"


def _ties(front: Front) -> list[str]:
    """Return which confirmed points are not better, or no different, beyond noise."""
    label = OBJECTIVES[front.metric].label
    lines, told = [], set()
    for point in front.members:
        if not (found := point.confirmation):
            continue
        fresh = [n for n in found.tied if frozenset((n, point.number)) not in told]
        told |= {frozenset((n, point.number)) for n in fresh}
        if fresh:
            lines.append(f"statistically tied: trials {_listed([point.number, *fresh])}")
        if found.matched_by is not None and found.matched_by not in found.tied:
            than = f"trial {found.matched_by}, which is cheaper"
            lines.append(f"trial {point.number}: {label} within noise of {than}")
    return lines


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers)


def _known(at_points_lost: Iterable[AtPointsLost]) -> list[AtPointsLost]:
    return [at for at in at_points_lost if at.speedup is not None or at.energy_ratio is not None]


def _at_loss(at: AtPointsLost) -> str:
    parts = []
    if at.speedup is not None:
        parts.append(f"{times(at.speedup)} faster{_whose(at.speedup_trial)}")
    if at.energy_ratio is not None:
        parts.append(f"{times(at.energy_ratio)} the energy{_whose(at.energy_trial)}")
    lost = f"{at.points} point{'s' * (at.points > 1)}"
    return f"at most {lost} lost: {', '.join(parts)}"


def _whose(trial: int | None) -> str:
    return "" if trial is None else f" (trial {trial})"


# --------------------------------------------------------------- selection, status, lists


def selection_view(selection: Selection) -> Text:
    """Return the explanation of a selection, its warnings last."""
    text = shown_lines(selection.sentences)
    for warning in selection.warnings:
        text.append("\n! ", style="yellow")
        text.append_text(shown(warning))
    return text


def status_view(status: Status) -> RenderableType:
    """Return how a study stands, with its workers."""
    grid = Table.grid(padding=(0, 2))
    finished = sum(status.states.get(s, 0) for s in ("complete", "stopped", "failed"))
    grid.add_row("study", shown(status.study))
    grid.add_row("trials", f"{finished} of {status.trials_asked} finished")
    grid.add_row("states", _states(status.states))
    rate = status.trials_per_hour
    grid.add_row("rate", "–" if rate is None else f"{rate:.0f} trials/h")
    grid.add_row("time left", "–" if status.seconds_left is None else duration(status.seconds_left))
    volume = "–" if status.hypervolume is None else f"{status.hypervolume:.3f}"
    grid.add_row("hypervolume", f"{volume} ({status.front} on the front)")
    if status.early_stopping:
        grid.add_row("early stops", _stops(status.early_stopping))
    if status.recommended:
        grid.add_row("recommended", shown(status.recommended))
    return Group(grid, Padding(workers_table(status.workers), (1, 0, 0, 0)))


def _stops(found: Savings) -> str:
    saved = f"{found.stopped} stopped, about {duration(found.saved_seconds)} saved"
    if not found.audited:
        return f"{saved}; none audited yet"
    return f"{saved}; {len(found.wrong)} of {found.audited} audited ones were wrong"


def workers_table(workers: Sequence[WorkerStatus]) -> RenderableType:
    """Return the workers with their leases."""
    if not workers:
        return Text("no worker is at it", style="dim")
    table = _table()
    for title in ("worker", "trial", "lease"):
        table.add_column(title, no_wrap=title != "worker", overflow="fold")
    for worker in workers:
        alive = worker.lease_seconds > 0
        lease = f"{duration(worker.lease_seconds)} left" if alive else "ended"
        trial = "–" if worker.trial is None else str(worker.trial)
        table.add_row(shown(worker.name), trial, Text(lease, style="" if alive else "red"))
    return table


def _states(states: dict[str, int]) -> Text:
    parts = [
        Text(f"{number} {state}", style=_STATE_STYLES.get(state, ""))
        for state, number in states.items()
        if number
    ]
    return Text(", ").join(parts) if parts else Text("none yet")


def studies_table(rows: Sequence[StudyRow]) -> RenderableType:
    """Return the studies of a storage."""
    if not rows:
        return Text("no studies yet", style="dim")
    table = _table()
    table.add_column("study", no_wrap=True)
    table.add_column("created", no_wrap=True)
    for title in ("trials", "front", "volume"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("model", overflow="ellipsis")
    table.add_column("data", overflow="ellipsis")
    for row in rows:
        table.add_row(*_study_cells(row))
    return table


def _study_cells(row: StudyRow) -> list[RenderableType]:
    running = f" +{row.running}" if row.running else ""
    return [
        shown(row.name),
        datetime.fromtimestamp(row.created, tz=UTC).astimezone().strftime("%Y-%m-%d %H:%M"),
        f"{row.finished}/{row.trials_asked}{running}",
        str(row.front),
        "–" if row.hypervolume is None else f"{row.hypervolume:.3f}",
        shown(row.model),
        shown(row.data),
    ]


def entries_table(entries: Sequence[Entry]) -> Table:
    """Return the members of a family with what each is, or why it cannot be used here."""
    table = _table()
    table.add_column("name", no_wrap=True)
    table.add_column("", width=1)
    table.add_column("summary")
    for entry in entries:
        summary = shown(entry.summary)
        if not entry.available:
            summary.append_text(Text(f"\nnot here: {shown(entry.why_not).plain}", style="yellow"))
        mark = Text("✓", style="green") if entry.available else Text("✗", style="red")
        table.add_row(shown(entry.name), mark, summary)
    return table


def listed_json(items: Iterable[Record | Entry]) -> str:
    """Return records, or members of a family, as a JSON list."""
    rows = [item.to_json() if isinstance(item, Record) else vars(item) for item in items]
    return json.dumps(rows, indent=1, ensure_ascii=False, allow_nan=False)


def _table() -> Table:
    return Table(box=None, pad_edge=False, header_style="dim", padding=(0, 1, 0, 0))
