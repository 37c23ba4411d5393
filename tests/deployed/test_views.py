"""The tables of `test` at 80 columns: no number is broken."""

from __future__ import annotations

import io

from rich.console import Console

from pareto_prune.core.records import Difference, Quality
from pareto_prune.export.deployed.scoring import Scorecard
from pareto_prune.export.deployed.views import scorecard_view

NAMES = ("accuracy", "f1", "mcc")


def quality() -> Quality:
    return Quality(
        metrics=dict.fromkeys(NAMES, 0.8123),
        intervals=dict.fromkeys(NAMES, (0.7812, 0.8412)),
        examples=853,
        loss=0.4,
    )


def test_no_number_is_broken_at_80_columns() -> None:
    card = Scorecard(
        folder="smaller", format="onnx", dtype="int8", data="test.csv", when="now",
        metric="accuracy", model=quality(), dense=quality(), cut=quality(), report={},
        differences=dict.fromkeys(NAMES, Difference(value=-0.0123, interval=(-0.0213, 0.0101))),
    )  # fmt: skip
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(scorecard_view(card))
    text = console.export_text()
    rows = [line for line in text.splitlines() if "81.2 %" in line]
    assert len(rows) == 3
    for row in rows:
        assert row.count("81.2 %") == 3
        for part in ("78.1 … 84.1 %", "−1.2 points", "−2.1 … +1.0"):
            assert part in row
