"""The tables of `test` at 80 columns: no number is broken."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from pareto_prune.core.errors import UserError
from pareto_prune.core.records import Difference, Measurement, Quality, Reading
from pareto_prune.export.deployed.bounds import broken, check_names
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


def scorecard() -> Scorecard:
    latency = Reading(value=4.5, unit="ms", grade="measured", source="clock", interval=(4.4, 4.6))
    return Scorecard(
        folder="smaller", format="onnx", dtype="int8", data="test.csv", when="now",
        metric="accuracy", model=quality(), dense=quality(), cut=quality(), report={},
        differences=dict.fromkeys(NAMES, Difference(value=-0.0123, interval=(-0.0213, 0.0101))),
        measurement=Measurement(
            readings={"latency_ms": latency}, ratios={}, protocol=0, seconds=0.0
        ),
    )  # fmt: skip


@pytest.mark.parametrize(
    ("most", "least", "said"),
    [
        ({"latency_ms": 4.5}, {"accuracy": 0.8123}, []),
        ({"latency_ms": 4.4}, {"accuracy": 0.8}, ["latency_ms = 4.5, asked: at most 4.4"]),
        ({}, {"f1": 0.9, "mcc": 0.8}, ["f1 = 0.8123, asked: at least 0.9"]),
    ],
)
def test_a_bound_that_is_broken_is_named(most, least, said) -> None:
    assert broken(scorecard(), most, least) == said


def test_a_bound_on_what_was_not_taken_is_refused() -> None:
    with pytest.raises(UserError) as raised:
        broken(scorecard(), {"energy_j": 1.0}, {})
    assert str(raised.value) == (
        "energy_j: was not taken, allowed: bounds on accuracy, f1, mcc, latency_ms"
    )


def test_no_number_is_broken_at_80_columns() -> None:
    card = scorecard()
    console = Console(width=80, record=True, file=io.StringIO())
    console.print(scorecard_view(card))
    text = console.export_text()
    rows = [line for line in text.splitlines() if "81.2 %" in line]
    assert len(rows) == 3
    for row in rows:
        assert row.count("81.2 %") == 3
        for part in ("78.1 … 84.1 %", "−1.2 points", "−2.1 … +1.0"):
            assert part in row


def test_a_bound_on_nothing_is_refused_beforehand() -> None:
    check_names(["latency_ms", "accuracy"])
    with pytest.raises(UserError) as raised:
        check_names(["latency_ms", "acuracy"])
    assert "unknown objective 'acuracy' (did you mean 'accuracy'?)" in str(raised.value)
