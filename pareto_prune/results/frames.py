"""A front as a pandas DataFrame: one row a trial, one column an objective."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.results.records import Front, Point

if TYPE_CHECKING:
    from pandas import DataFrame

_ABOUT = ("strategy", "importance", "starter", "state", "on_front", "feasible", "confirmed")


def frame(front: Front) -> DataFrame:
    """Return the listed trials of a front, by trial number.

    Columns: what made the trial, each objective with the ends of its 95 % interval (``_low``,
    ``_high``), each cost as a share of the dense model's (``_relative``), and ``parameters``.
    ``attrs`` holds what is of the front as a whole: ``study``, ``hypervolume`` (with
    ``hypervolume_version`` and ``hypervolume_v1``), ``metric``, ``objectives``, and the dense
    model's values under ``reference``.
    """
    from pandas import DataFrame, Index

    names = [objective.name for objective in front.objectives]
    rows = [_row(point, names, front.costs) for point in front.trials]
    index = Index([point.number for point in front.trials], name="trial", dtype=int)
    columns = list(_row(Point(number=0, state="complete"), names, front.costs))  # type: ignore[arg-type]
    made = DataFrame(rows, index=index, columns=columns)
    made.attrs = {
        "study": front.study,
        "hypervolume": front.hypervolume,
        "hypervolume_version": front.hypervolume_version,
        "hypervolume_v1": front.hypervolume_v1,
        "metric": front.metric,
        "objectives": [_objective(front, name) for name in names],
        "reference": front.reference,
        "recommended": front.recommended.trial if front.recommended else None,
        "named_references": {found.name: found.values for found in front.references},
    }
    return made


def against_dense(table: DataFrame) -> DataFrame:
    """Return a frame whose costs are shares of the dense model's, and whose metric is points lost.

    Points below 0 are lost, above it gained. The dense model is at 1 and 0.
    """
    made, metric = table.copy(), table.attrs["metric"]
    dense = table.attrs["reference"]
    objectives = [_relative(each, metric) for each in table.attrs["objectives"]]
    for each in objectives:
        for column in (each["name"], f"{each['name']}_low", f"{each['name']}_high"):
            share = table[column].astype(float)
            at = dense[each["name"]]
            made[column] = 100 * (share - at) if each["name"] == metric else share / at
    values = {each["name"]: 0.0 if each["name"] == metric else 1.0 for each in objectives}
    made.attrs = {**table.attrs, "objectives": objectives, "reference": values}
    return made


def _relative(objective: dict[str, Any], metric: str) -> dict[str, Any]:
    name = objective["name"]
    unit = "points against dense" if name == metric else "share of dense"
    return {**objective, "unit": unit}


def _row(point: Point, names: list[str], costs: tuple[str, ...]) -> dict[str, Any]:
    row: dict[str, Any] = {name: getattr(point, name) for name in _ABOUT}
    row["state"] = point.state.value
    for name in names:
        low, high = point.intervals.get(name, (None, None))
        row |= {name: point.values.get(name), f"{name}_low": low, f"{name}_high": high}
    row |= {f"{name}_relative": point.relative.get(name) for name in costs}
    return row | {"parameters": point.parameters}


def _objective(front: Front, name: str) -> dict[str, Any]:
    known = OBJECTIVES[name]
    return {
        "name": name,
        "label": known.label,
        "unit": known.unit,
        "estimated": front.estimated(name),
    }
