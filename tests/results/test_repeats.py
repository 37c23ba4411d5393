"""Intervals of costs hold for a second run."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pareto_prune.core.records import Confirmation, Reading
from pareto_prune.results.front import front_of
from pareto_prune.results.repeats import USUAL_SPREAD, WORTH, spreads_of, widened
from tests import synthetic
from tests.results.test_front import values
from tests.synthetic import study_of, trial

NARROW = {"latency_ms": (7.35, 7.65), "energy_j": (0.0392, 0.0408), "accuracy": (0.80, 0.84)}


def again(number: int, latency: float) -> Confirmation:
    known = values(0.82, latency / 15, 0.5)
    return Confirmation(number=number, steps=9, metrics=(0.82,) * 3, values=known)


def test_a_second_run_lies_within_as_often_as_is_said() -> None:
    """Runs that are 5 % apart, each with an interval of its own of ± 2 %: 95 in 100 are within."""
    rng = np.random.default_rng(0)
    first, second = np.exp(rng.normal(0, USUAL_SPREAD / math.sqrt(2), (2, 2000)))
    own = {"latency_ms": (0.98, 1.02)}
    (low, high) = widened(own, {"latency_ms": 1.0}, {"latency_ms": USUAL_SPREAD})["latency_ms"]
    ratio = second / first
    assert ((low < ratio) & (ratio < high)).mean() == pytest.approx(0.96, abs=0.02)
    assert ((ratio > 0.98) & (ratio < 1.02)).mean() < 0.5


def test_where_nothing_is_known_two_runs_are_five_per_cent_apart() -> None:
    front = front_of(study_of(trial(1, values(0.82, 0.5, 0.5), intervals=NARROW)))
    intervals = front.members[0].intervals
    half = math.hypot(math.log(7.65 / 7.5), 1.96 * USUAL_SPREAD)
    assert intervals["latency_ms"][1] == pytest.approx(7.5 * math.exp(half))
    assert intervals["latency_ms"][0] < NARROW["latency_ms"][0]
    assert intervals["accuracy"] == NARROW["accuracy"]


def test_what_was_measured_twice_tells_the_spread() -> None:
    """Three confirmed points 10 % slower than the search found them, and one machine A/A."""
    trials = [trial(n, values(0.82, 0.5, 0.5), intervals=NARROW) for n in range(3)]
    plain = study_of(*trials)
    confirmed = study_of(*trials, confirmations=tuple(again(n, 8.25) for n in range(3)))
    logs = math.log(1.1)
    expected = math.sqrt((WORTH * USUAL_SPREAD**2 + 3 * logs**2) / (WORTH + 3))
    assert spreads_of(confirmed)["latency_ms"] == pytest.approx(expected)
    assert spreads_of(plain)["latency_ms"] == USUAL_SPREAD
    quiet = Reading(value=1.001, unit="ratio", grade="measured", source="clock")
    dense = synthetic.reference()
    measured = dense.measurement.model_copy(update={"ratios": {"latency_ms": quiet}})
    calm = study_of(*trials, reference=dense.model_copy(update={"measurement": measured}))
    assert spreads_of(calm)["latency_ms"] < USUAL_SPREAD
    assert "parameters" not in spreads_of(plain)
