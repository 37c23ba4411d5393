"""Draw the front of a study for the README, light and dark (``make pictures``)."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot
from matplotlib.ticker import LogLocator, NullLocator

from pareto_prune import api
from pareto_prune.core.defaults import DEFAULT_STORAGE
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.quantities import times
from pareto_prune.results.records import Front, Point

FOLDER = Path(__file__).parent / "pictures"


@dataclass(frozen=True)
class Look:
    """Colours of a picture, on the ground of the page that shows it."""

    ink: str
    dim: str
    grid: str
    point: str
    other: str
    star: str


LOOKS = {
    "light": Look("#17202b", "#566272", "#e5eaf0", "#0b62a8", "#aab4c0", "#c25a00"),
    "dark": Look("#e5eaf0", "#a0acb9", "#2b3641", "#7cb8ef", "#56636f", "#f0a04b"),
}


def main() -> None:
    """Draw both pictures of a study of the storage."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("study", nargs="?", default="quickstart")
    parser.add_argument("--storage", default=DEFAULT_STORAGE)
    given = parser.parse_args()
    front = api.front(given.study, given.storage, every=True)
    FOLDER.mkdir(exist_ok=True)
    for name, look in LOOKS.items():
        draw(front, look, FOLDER / f"front-{name}.svg")


def draw(front: Front, look: Look, path: Path) -> None:
    """Draw the metric over each measured cost, and write it as SVG."""
    costs = [name for name in front.costs if OBJECTIVES[name].kind == "measured"]
    style = {
        "svg.fonttype": "none",
        "svg.hashsalt": "pareto_prune",
        "font.family": "sans-serif",
        "text.color": look.ink,
        "axes.labelcolor": look.ink,
        "axes.edgecolor": look.dim,
        "xtick.color": look.dim,
        "ytick.color": look.dim,
    }
    with mpl.rc_context(style):
        size = (5.2 * len(costs), 4.0)
        drawn, axes = pyplot.subplots(1, len(costs), figsize=size, sharey=True, squeeze=False)
        for at, (cost, area) in enumerate(zip(costs, axes[0], strict=True)):
            _panel(area, front, cost, look)
            if at == 0:
                area.set_ylabel(f"{OBJECTIVES[front.metric].label} (validation, %)")
        drawn.tight_layout()
        drawn.savefig(path, transparent=True, metadata={"Date": None})
        pyplot.close(drawn)


def _panel(area: Any, front: Front, cost: str, look: Look) -> None:
    area.set_xscale("log")
    area.grid(color=look.grid, linewidth=0.8)
    area.set_axisbelow(True)
    area.spines[["top", "right"]].set_visible(False)
    area.set_xlabel(_title(front, cost))
    area.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    area.xaxis.set_major_formatter(lambda value, _: f"{value * _scale(cost):g}")
    area.xaxis.set_minor_locator(NullLocator())
    _scatter(area, front, cost, _others(front), color=look.other, s=16)
    _scatter(area, front, cost, front.members, color=look.point, s=42)
    _mark(area, front, cost, look)


def _title(front: Front, cost: str) -> str:
    unit = {"ms": "ms", "J/sample": "mJ a text", "samples/s": "texts a second"}
    said = ", estimated" if front.estimated(cost) else ""
    known = OBJECTIVES[cost]
    return f"{known.label} ({unit.get(known.unit, known.unit)}{said})"


def _scale(cost: str) -> float:
    return 1000.0 if OBJECTIVES[cost].unit == "J/sample" else 1.0


def _others(front: Front) -> list[Point]:
    """Return the trials that are dominated, and not below where a front ends."""
    known = (point for point in front.trials if front.metric in point.values)
    return [point for point in known if not point.on_front and not point.below_floor]


def _scatter(area: Any, front: Front, cost: str, points: Sequence[Point], **look: Any) -> None:
    places = [point for point in points if cost in point.values]
    x = [point.values[cost] for point in places]
    y = [100 * point.values[front.metric] for point in places]
    area.scatter(x, y, linewidths=0, zorder=3, **look)


def _mark(area: Any, front: Front, cost: str, look: Look) -> None:
    """Write beside the dense model, the named references and the recommended point."""
    for mark in _marks(front, cost, look):
        x, y = mark.at
        area.scatter([x], [y], color=mark.color, marker=mark.marker, s=mark.size, lw=0, zorder=5)
        area.annotate(
            mark.said,
            mark.at,
            (0, mark.above),
            textcoords="offset points",
            ha="center",
            va="center",
            color=look.ink,
        )


@dataclass(frozen=True)
class Mark:
    """A place with a name: what is written, so many points above it."""

    at: tuple[float, float]
    said: str
    color: str
    marker: str
    size: float = 70.0
    above: float = 13.0


def _marks(front: Front, cost: str, look: Look) -> Iterator[Mark]:
    def place(values: Mapping[str, float]) -> tuple[float, float]:
        return values[cost], 100 * values[front.metric]

    dense = front.reference or {}
    yield Mark(place(dense), "dense", look.ink, "s")
    for found in front.references:
        if cost in found.values:
            yield Mark(place(found.values), found.name, look.dim, "^", above=-13.0)
    chosen = front.recommended.trial if front.recommended else None
    for point in front.members:
        if point.number == chosen:
            factor = (dense[cost] / point.values[cost]) ** OBJECTIVES[cost].sign
            said = f"{times(factor)} {'faster' if OBJECTIVES[cost].is_speed else 'less'}"
            yield Mark(place(point.values), said, look.star, "*", 260.0, 17.0)


if __name__ == "__main__":
    main()
