"""The table of a front: one row a point."""

from __future__ import annotations

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from pareto_prune.core.objectives import OBJECTIVES, Objective
from pareto_prune.core.quantities import ESTIMATED, count, times, written
from pareto_prune.core.records import DENSE_STARTER, TrialState
from pareto_prune.results.records import Confirmed, Front, NamedReference, Point
from pareto_prune.results.tables.states import STATE_STYLES
from pareto_prune.results.tables.summary import RECOMMENDED, front_summary
from pareto_prune.results.tables.text import plain_table, shown


def front_view(front: Front, every: bool = False) -> RenderableType:
    """Return the table of a front with what it amounts to below.

    Args:
        front: made with ``all_trials`` for ``every``.
        every: every trial with its state, not only the members.
    """
    return Group(
        front_table(front, every), Padding(front_summary(front), (1, 0, 0, 1), expand=False)
    )


def front_table(front: Front, every: bool = False) -> Table:
    """Return one row a point: absolute values with speed-up and cost ratios beside, dense first."""
    table = plain_table()
    table.add_column("", width=1)
    table.add_column("trial", justify="right", no_wrap=True)
    table.add_column("strategy", overflow="ellipsis", min_width=8, max_width=34)
    if every:
        table.add_column("state", no_wrap=True)
    for objective in _objectives(front):
        table.add_column(_title(front, objective), justify="right", no_wrap=True)
        table.add_column("", justify="right", no_wrap=True, style="dim")
    if _with_size(front, every):
        table.add_column("params", justify="right", no_wrap=True)
    if front.reference:
        table.add_row(*_dense_row(front, every), style="bold")
    for reference in front.references:
        table.add_row(*_reference_row(front, reference, every))
    listed = front.trials if every else front.members
    for point in listed:
        if every or point.starter != DENSE_STARTER or not front.reference:
            table.add_row(*_row(front, point, every), style=_style(point, every))
            if point.confirmation:
                table.add_row(*_confirmed_row(front, point.confirmation, every), style="italic")
    return table


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
    trial = next((p for p in front.members if p.starter == DENSE_STARTER), None)
    cells: list[RenderableType] = ["", str(trial.number) if trial and not every else "", "dense"]
    if every:
        cells.append("reference")
    for objective in _objectives(front):
        estimated = front.estimated(objective.name)
        cells += [written(objective.name, reference.get(objective.name), estimated), ""]
    if _with_size(front, every):
        cells.append(written("parameters", reference.get("parameters")))
    return cells


def _reference_row(front: Front, reference: NamedReference, every: bool) -> list[RenderableType]:
    """Return a well-known alternative, which stands beside the front."""
    cells: list[RenderableType] = ["△", "", shown(reference.name)]
    if every:
        cells.append("reference")
    for objective in _objectives(front):
        value, estimated = reference.values.get(objective.name), front.estimated(objective.name)
        cells.append("–" if value is None else written(objective.name, value, estimated))
        cells.append(_against(front, value, objective))
    if _with_size(front, every):
        cells.append("–" if reference.parameters is None else count(reference.parameters))
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
    parts = [part for part in (point.strategy, point.importance) if part]
    made = point.starter or "/".join(dict.fromkeys(parts)) or "–"
    origin = "" if point.parent is None else f", from {point.parent}"
    return f"{made}{origin}{f', {point.dtype}' if point.dtype else ''}"


def _state(point: Point) -> Text:
    infeasible = point.state is TrialState.COMPLETE and not point.feasible
    state = "infeasible" if infeasible else point.state.value
    if point.below_floor and not infeasible:
        state = "too low"
    return Text(state, style=STATE_STYLES.get(state, ""))


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
    if objective.is_speed:
        return times(ratio**-objective.sign)
    return times(ratio)


def _style(point: Point, every: bool) -> str:
    if every and not point.on_front:
        return "dim"
    return ""
