"""Scorecards and refreshes as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.quantities import ESTIMATED, change, times, written
from pareto_prune.core.records import Difference, Quality, Reading
from pareto_prune.export.deployed.refreshing import Refresh
from pareto_prune.export.deployed.scoring import Scorecard
from pareto_prune.results.tables import shown

_WHOLE = ("95 %", "against dense", "new against old", "this model")
"""Columns whose numbers no narrow table breaks."""
MOST_CLASSES = 12
"""Classes up to which confusions are shown."""


def scorecard_view(card: Scorecard) -> RenderableType:
    """Return all of a scorecard: metrics, costs, classes, confusions, notes."""
    head = (
        f"{card.folder} ({card.format}, {card.dtype}) on {card.data}, {card.model.examples} texts"
    )
    parts: list[RenderableType] = [Text(head), _metrics(card), *_costs(card), *_classes(card)]
    return Group(*parts, *(Text(line) for line in _sentences(card)))


def _metrics(card: Scorecard) -> Table:
    table = _table(
        "metric", "dense", "cut, untrained", "this model", "95 %", "against dense", "95 %"
    )
    for name, value in card.model.metrics.items():
        table.add_row(
            OBJECTIVES[name].label,
            _metric(name, card.dense),
            _metric(name, card.cut),
            written(name, value),
            _interval(name, card.model.intervals.get(name)),
            *difference_cells(name, card.differences.get(name)),
        )
    return table


def difference_cells(name: str, difference: Difference | None) -> tuple[str, str]:
    """Return a difference with its sign, and its interval in the same unit."""
    if difference is None:
        return "", ""
    low, high = difference.interval
    return _signed(name, difference.value), " … ".join(
        _signed(name, end).partition(" ")[0] for end in (low, high)
    )


def _signed(name: str, value: float) -> str:
    return f"{'−' if value < 0 else '+'}{change(name, abs(value))}"


def _metric(name: str, quality: Quality | None) -> str:
    return "" if quality is None else written(name, quality.metrics[name])


def _interval(name: str, interval: tuple[float, float] | None) -> str:
    return "" if interval is None else _span(*(written(name, end) for end in interval))


def _span(low: str, high: str) -> str:
    """Return an interval; a unit that both ends have stands once."""
    number, _, unit = low.partition(" ")
    return f"{number if unit and high.endswith(f' {unit}') else low} … {high}"


def _costs(card: Scorecard) -> Iterator[RenderableType]:
    """Yield the measured costs, those without a value with their reason."""
    if card.measurement is None:
        return
    table = _table("cost", "this model", "of the dense model", "95 %", "how")
    for name, ratio in card.measurement.ratios.items():
        reading = card.measurement.readings.get(name)
        if name in OBJECTIVES and reading is not None:
            table.add_row(OBJECTIVES[name].label, *_cost_cells(name, reading, ratio))
    yield table


def _cost_cells(name: str, reading: Reading, ratio: Reading) -> tuple[str, str, str, str]:
    estimated = reading.grade == "estimated"
    if reading.value is None or ratio.value is None:
        return "", "", "", reading.reason or ratio.reason or "not measured"
    span = " … ".join(f"{end:.3f}" for end in ratio.interval) if ratio.interval else ""
    share = f"{ESTIMATED if estimated else ''}{times(ratio.value)}"
    return (
        written(name, reading.value, estimated),
        share,
        span,
        f"{reading.grade}, {reading.source}",
    )


def _classes(card: Scorecard) -> Iterator[RenderableType]:
    reports = card.report if "classes" not in card.report else {"": card.report}
    for title, report in reports.items():
        if "classes" in report:
            yield _report(title or "class", report)
            yield from _confusion(report)
        elif "numbers" in report:
            yield _numbers(title, report["numbers"])


def _numbers(title: str, rows: Mapping[str, Mapping[str, float]]) -> Table:
    table = _table(title, *next(iter(rows.values()), {}))
    for name, numbers in rows.items():
        table.add_row(shown(name), *(f"{number:.4g}" for number in numbers.values()))
    return table


def _report(title: str, report: Mapping[str, Any]) -> Table:
    table = _table(title, "precision", "recall", "F1", "support")
    for name, line in report["classes"].items():
        table.add_row(shown(name), *_scores(line))
    for name, line in report["averages"].items():
        table.add_row(Text(f"{name} average", style="dim"), *_scores(line))
    return table


def _scores(line: Mapping[str, float]) -> list[str]:
    return [*(f"{line[key]:.3f}" for key in ("precision", "recall", "f1")), f"{line['support']:,}"]


def _confusion(report: Mapping[str, Any]) -> Iterator[Table]:
    labels = report.get("labels", ())
    if not 0 < len(labels) <= MOST_CLASSES:
        return
    table = _table("is \\ predicted", *map(shown, labels))
    for name, row in zip(labels, report["confusion"], strict=True):
        table.add_row(shown(name), *(f"{count:,}" for count in row))
    yield table


def _sentences(card: Scorecard) -> Iterator[str]:
    found = card.differences.get(card.metric)
    if found is not None:
        label = OBJECTIVES[card.metric].label
        apart = change(card.metric, abs(found.value))
        side = "below" if found.value < 0 else "above"
        noise = "within noise of" if found.within_noise else f"{apart} {side}"
        yield f"Its {label} is {noise} the dense model's."
    if card.untrained is not None and card.validation is not None:
        before, after = (written(card.metric, v) for v in (card.untrained, card.validation))
        yield f"On validation, where it was picked: {before} before its fine-tune, {after} after."
    if card.machine is not None:
        yield f"Measured on {card.machine}."
    if card.earlier:
        times_seen = "once" if card.earlier == 1 else f"{card.earlier} times"
        yield (
            f"This folder was scored on this data {times_seen} before: what is chosen by these "
            "numbers is chosen on them."
        )
    yield from card.notes


def _table(first: str, *others: str | Text) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column(first)
    for name in others:
        table.add_column(name, justify="right", no_wrap=name in _WHOLE)
    return table


def refresh_view(found: Refresh) -> RenderableType:
    """Return the old and the new model on old and new test data."""
    table = _table("metric on", "dense", "old", "new", "new against old", "95 %")
    name = found.metric
    for each in found.compared:
        scores = (written(name, q.metrics[name]) for q in (each.dense, each.before, each.after))
        table.add_row(shown(each.data), *scores, *difference_cells(name, each.difference))
    said = f"Trained on {found.trained_on} texts, {found.new} of them new, for {found.steps} steps."
    return Group(table, Text(said), *map(Text, found.notes))
