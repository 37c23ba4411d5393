"""Fronts as a Plotly figure: one study, or several laid over each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.quantities import titled
from pareto_prune.core.records import Study
from pareto_prune.results.history import history

if TYPE_CHECKING:
    from pandas import DataFrame
    from plotly.graph_objects import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9")
"""Okabe and Ito's, told apart by the colour-blind, too."""
SYMBOLS = ("circle", "diamond", "square", "cross", "triangle-up", "star")
SYMBOLS_3D = ("circle", "diamond", "square", "cross", "x", "circle-open")


def figure(frames: Sequence[DataFrame], cost: str | None = None, three: bool = False) -> Figure:
    """Return a figure of fronts: a cost across, the metric up, 95 % intervals, the dense models.

    Args:
        frames: made by :func:`~pareto_prune.results.frames.frame`, of studies with the same
            objectives.
        cost: the objective across; the first cost by default.
        three: whether to draw the metric over two costs, in 3-D.

    Raises:
        UserError: there is nothing to draw, or the studies have other objectives.
    """
    from plotly.graph_objects import Figure

    costs, metric = _axes(frames)
    across = [cost or costs[0], *(name for name in costs if name != (cost or costs[0]))]
    _check_cost(across[0], costs)
    if three and len(costs) < 2:
        raise UserError(Problem("plot", "a study with one cost has no third axis"))
    drawn = Figure()
    for index, table in enumerate(frames):
        place = [*across[: 1 + three], metric]
        drawn.add_trace(_trials(table, place, index))
        if table.attrs["reference"]:
            drawn.add_trace(_dense(table, place, index))
    _label(drawn, frames[0], [*across[: 1 + three], metric])
    return drawn


def growth(studies: Sequence[Study]) -> Figure:
    """Return the hypervolume of studies over the time that their trials took, in minutes."""
    from plotly.graph_objects import Figure, Scatter

    drawn = Figure()
    for index, study in enumerate(studies):
        rows = history(study)
        drawn.add_trace(
            Scatter(
                x=[row.seconds / 60 for row in rows],
                y=[row.hypervolume for row in rows],
                name=study.name,
                mode="lines",
                line={"color": COLOURS[index % len(COLOURS)], "shape": "hv"},
            )
        )
    titles = {"xaxis_title": "time (minutes)", "yaxis_title": "hypervolume"}
    return drawn.update_layout(template="plotly_white", **titles)


def _axes(frames: Sequence[DataFrame]) -> tuple[list[str], str]:
    if not frames:
        raise UserError(Problem("plot", "no front to draw"))
    found = [[each["name"] for each in table.attrs["objectives"]] for table in frames]
    if any(names != found[0] for names in found):
        listed = "; ".join(", ".join(names) for names in found)
        raise UserError(Problem("plot", f"the studies have other objectives: {listed}"))
    metric = frames[0].attrs["metric"]
    return [name for name in found[0] if name != metric], metric


def _check_cost(cost: str, costs: Sequence[str]) -> None:
    if cost not in costs:
        wrong = f"{cost!r} is not a cost of this study"
        raise UserError(Problem("plot", wrong, f"allowed: {', '.join(costs)}"))


def _trials(table: DataFrame, place: list[str], index: int) -> Any:
    from plotly.graph_objects import Scatter, Scatter3d

    rows = table.sort_values(place[0])
    texts = [
        f"trial {number}: {row.starter or row.strategy}"
        for number, row in zip(rows.index, rows.itertuples(), strict=True)
    ]
    look = {"color": COLOURS[index % len(COLOURS)], "size": 5 if len(place) == 3 else 10}
    common = {"name": table.attrs["study"], "mode": "markers", "text": texts}
    if len(place) == 3:
        marker = {**look, "symbol": SYMBOLS_3D[index % len(SYMBOLS_3D)]}
        x, y, z = (rows[name] for name in place)
        return Scatter3d(x=x, y=y, z=z, marker=marker, **common)
    marker = {**look, "symbol": SYMBOLS[index % len(SYMBOLS)]}
    x, y = (rows[name] for name in place)
    bars = {f"error_{axis}": _bars(rows, name) for axis, name in zip("xy", place, strict=True)}
    return Scatter(x=x, y=y, marker=marker, **common, **bars)


def _bars(rows: DataFrame, name: str) -> dict[str, Any]:
    return {
        "type": "data",
        "array": rows[f"{name}_high"] - rows[name],
        "arrayminus": rows[name] - rows[f"{name}_low"],
        "thickness": 1,
        "width": 0,
    }


def _dense(table: DataFrame, place: list[str], index: int) -> Any:
    from plotly.graph_objects import Scatter, Scatter3d

    values = [[table.attrs["reference"][name]] for name in place]
    look = {"color": COLOURS[index % len(COLOURS)], "symbol": "x", "size": 6 * (4 - len(place))}
    common = {"name": f"{table.attrs['study']}, dense", "mode": "markers", "marker": look}
    kind = Scatter3d if len(place) == 3 else Scatter
    return kind(**dict(zip("xyz", values, strict=False)), **common)


def _label(drawn: Figure, table: DataFrame, place: list[str]) -> None:
    known = {each["name"]: each for each in table.attrs["objectives"]}
    titles = [_title(known[name]) for name in place]
    if len(place) == 3:
        axes = dict(zip(("xaxis_title", "yaxis_title", "zaxis_title"), titles, strict=True))
        drawn.update_layout(scene=axes)
    else:
        drawn.update_layout(xaxis_title=titles[0], yaxis_title=titles[1])
    drawn.update_layout(template="plotly_white")


def _title(objective: dict[str, Any]) -> str:
    return titled(objective["label"], objective["unit"], objective["estimated"])
