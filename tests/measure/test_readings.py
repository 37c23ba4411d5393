from dataclasses import replace
from typing import Any

import pytest

from pareto_prune.core.records import Measurement
from pareto_prune.measure.protocol import Arm, Protocol, measure
from pareto_prune.measure.readings import Source, measurement
from pareto_prune.measure.windows import Gauge
from tests.measure.scripted import ScriptedClock, ScriptedCounter

DENSE = [0.006] * 200


def arm(clock: ScriptedClock, scale: float) -> Arm:
    return Arm((lambda: clock.work(0.006 * scale),), lambda: clock.work(0.3 * scale), 1)


def taken(
    counter_of: Any = ScriptedCounter,
    idle: float | None = None,
    plan: Protocol | None = None,
    cold: bool = True,
    **changes: Any,
) -> Measurement:
    clock = ScriptedClock(neighbour=changes.pop("neighbour", lambda _: 0.0))
    counter = None if counter_of is None else counter_of(clock, tick=1e-6, watts=20.0, **changes)
    plan = plan or Protocol()
    gauge = Gauge(clock, counter, 1e-6)
    found = measure(
        arm(clock, 0.5),
        arm(clock, 1.0),
        gauge,
        plan,
        clock.now() + plan.limit,
        (lambda: None) if cold else None,
    )
    return measurement(
        found,
        samples=32,
        dense_calls=DENSE,
        joules=Source.of(counter, "no meter works here"),
        idle=idle,
        protocol=plan,
        seconds=5.0,
    )


def test_values_are_in_their_units() -> None:
    found = taken(idle=4.0).readings
    assert found["latency_ms"].value == pytest.approx(3.0)
    assert found["latency_cold_ms"].value == pytest.approx(3.0)
    assert found["latency_p95_ms"].value == pytest.approx(3.0)
    assert found["throughput"].value == pytest.approx(32 / 0.15, rel=0.01)
    assert found["energy_j"].value == pytest.approx(20 * 0.15 / 32, rel=0.01)
    assert found["energy_net_j"].value == pytest.approx(16 * 0.15 / 32, rel=0.01)


def test_ratios_are_against_the_dense_model() -> None:
    found = taken(idle=4.0).ratios
    assert found["latency_ms"].value == pytest.approx(0.5)
    assert found["latency_cold_ms"].value == pytest.approx(0.5)
    assert found["latency_p95_ms"].value == pytest.approx(0.5)
    assert found["throughput"].value == pytest.approx(2.0, rel=0.01)
    assert found["energy_j"].value == pytest.approx(0.5, rel=0.01)
    assert found["energy_net_j"].value == pytest.approx(0.5, rel=0.01)
    assert all(reading.unit == "ratio" for reading in found.values())


def test_every_reading_says_what_it_is() -> None:
    found = taken(grade="attributed", scope="board")
    assert found.protocol == 1
    energy = found.readings["energy_j"]
    assert (energy.source, energy.scope, energy.grade) == ("nvml", "board", "attributed")
    latency = found.readings["latency_ms"]
    assert (latency.source, latency.grade, latency.repeats) == ("clock", "measured", 200)
    assert latency.interval is not None
    assert latency.interval[0] <= latency.value <= latency.interval[1]  # type: ignore[operator]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"counter_of": None}, "no meter works here"),
        ({"failure": "the GPU is lost"}, "the GPU is lost"),
        ({"limit": 1.0}, "above the limit"),
        ({"sign": -1}, "fell"),
    ],
)
def test_every_failure_is_none_with_a_reason(changes: dict[str, Any], reason: str) -> None:
    found = taken(**changes)
    for values in (found.readings, found.ratios):
        energy = values["energy_j"]
        assert energy.value is None
        assert energy.interval is None
        assert energy.reason is not None
        assert reason in energy.reason
        assert values["latency_ms"].value is not None
        assert values["throughput"].value is not None


def test_without_an_idle_share_net_joules_are_unknown() -> None:
    found = taken(idle=None)
    assert found.readings["energy_net_j"].value is None
    assert "no idle share" in str(found.readings["energy_net_j"].reason)


def test_where_no_cache_is_emptied_cold_latency_is_unknown() -> None:
    found = taken(cold=False)
    for values in (found.readings, found.ratios):
        assert values["latency_cold_ms"].value is None
        assert "on a CPU only" in str(values["latency_cold_ms"].reason)


def test_foreign_load_is_flagged() -> None:
    found = taken(neighbour=lambda _: 1.0)
    assert found.readings["latency_cold_ms"].flags == ("foreign_load",)
    assert "foreign_load" in found.readings["latency_ms"].flags
    assert "foreign_load" in found.ratios["energy_j"].flags
    assert found.readings["foreign_load"].value == pytest.approx(0.5)
    assert taken().readings["foreign_load"].value == 0


def test_a_p95_needs_two_hundred_calls_and_a_p99_a_thousand() -> None:
    few = taken(plan=replace(Protocol(), pairs=5, more_pairs=5))
    assert few.readings["latency_p95_ms"].value is None
    assert "fewer than 200" in str(few.ratios["latency_p95_ms"].reason)
    assert "latency_p99_ms" not in taken().readings
    many = taken(plan=replace(Protocol(), pairs=50))
    assert many.readings["latency_p99_ms"].value == pytest.approx(3.0)


def test_a_measurement_survives_json() -> None:
    found = taken()
    assert Measurement.from_json(found.to_json()) == found
