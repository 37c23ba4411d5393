from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.quantities import (
    change,
    count,
    digits,
    duration,
    exchanged,
    times,
    titled,
    written,
)


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("accuracy", 0.8249, "82.5 %"),
        ("latency_ms", 15, "15.0 ms"),
        ("latency_ms", 5.4321, "5.43 ms"),
        ("energy_j", 0.0801, "80.1 mJ"),
        ("energy_j", 2.5, "2.50 J"),
        ("energy_j", 3.2e-5, "32.0 µJ"),
        ("energy_j", 0.0, "0 J"),
        ("parameters", 22_713_986, "22.7 M"),
        ("parameters", 812, "812"),
        ("bytes", 90_147_328, "90.1 MB"),
        ("throughput", 210.4, "210 /s"),
        ("latency_ms", None, "unknown"),
        ("latency_ms", math.nan, "unknown"),
    ],
)
def test_values_as_people_write_them(name, value, text):
    assert written(name, value) == text


def test_a_rate_is_per_step_that_a_person_would_turn():
    assert exchanged("accuracy", "energy_j", -3.1) == "0.31 points per mJ"
    assert exchanged("accuracy", "parameters", 2e-9) == "0.20 points per million parameters"
    assert exchanged("latency_ms", "bytes", 4e-6) == "4.0 per MB"


def test_a_title_has_the_unit_where_there_is_one():
    assert titled("latency", "ms") == "latency (ms)"
    assert titled("energy", "J/sample", estimated=True) == "≈ energy (J/sample)"
    assert titled("parameters", "count") == "parameters"


def test_an_estimate_is_marked():
    assert written("energy_j", 0.02, estimated=True) == "≈20.0 mJ"


def test_differences_of_fractions_are_points():
    assert change("accuracy", -0.009) == "0.9 points"
    assert change("accuracy", 0.01) == "1.0 point"
    assert change("latency_ms", -1.2) == "1.20 ms"


def test_factors_and_durations():
    assert times(2.8) == "2.8×"
    assert times(0.2512) == "0.25×"
    assert times(None) == "–"
    assert [duration(s) for s in (0, 42.4, 480, 7500)] == ["0 s", "42 s", "8 min", "2 h 05 min"]
    assert duration(None) == "unknown"
    assert count(14_100_000) == "14.1 M"


@given(st.floats(1e-9, 1e9))
def test_three_digits_are_within_half_a_percent(value):
    assert float(digits(value)) == pytest.approx(value, rel=0.00501)


@given(st.sampled_from(sorted(OBJECTIVES)), st.floats(0, 1e9))
def test_every_objective_can_be_written(name, value):
    assert written(name, value)
