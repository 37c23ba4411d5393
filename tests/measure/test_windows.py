import random

import pytest

from pareto_prune.measure.windows import JITTER, Gauge, take
from tests.measure.scripted import ScriptedClock, ScriptedCounter, call


@pytest.mark.parametrize("tick", [0.1, 0.02])
@pytest.mark.parametrize("seconds", [0.001, 0.0073, 0.033])
def test_windows_of_a_stepped_counter_begin_and_end_at_steps(tick: float, seconds: float) -> None:
    clock = ScriptedClock()
    counter = ScriptedCounter(clock, watts=80.0, tick=tick)
    window = take(call(clock, seconds), Gauge(clock, counter, tick), calls=1)
    assert window.reason is None
    assert window.joules is not None
    assert window.seconds >= 10 * tick
    assert window.joules / window.seconds == pytest.approx(80, rel=(seconds + 2e-4) / (10 * tick))


def test_calls_within_the_window_are_counted() -> None:
    clock = ScriptedClock()
    counter = ScriptedCounter(clock, tick=0.1)
    window = take(call(clock, 0.01), Gauge(clock, counter, 0.1), calls=1)
    used = window.calls * 0.01
    assert used <= window.seconds <= used * (1 + JITTER) + 0.02


def test_calls_do_not_fall_in_step_with_a_coarse_counter() -> None:
    clock = ScriptedClock()
    counter = ScriptedCounter(clock, tick=0.1)
    take(call(clock, 0.05), Gauge(clock, counter, 0.1), 1, random.Random(0))
    assert 0 < clock.slept < JITTER * 1.5


def test_a_counter_that_flows_needs_no_alignment() -> None:
    clock = ScriptedClock()
    counter = ScriptedCounter(clock, tick=1e-5, watts=10.0)
    window = take(call(clock, 0.1), Gauge(clock, counter, 1e-5), calls=3)
    assert window.calls == 3
    assert window.joules == pytest.approx(3.0, rel=0.01)
    assert clock.slept == 0


def test_a_window_shorter_than_ten_steps_is_rejected() -> None:
    clock = ScriptedClock()
    counter = ScriptedCounter(clock, tick=0.004)
    window = take(call(clock, 0.01), Gauge(clock, counter, 0.004), calls=1)
    assert window.joules is None
    assert window.reason is not None
    assert "shorter than 10 steps" in window.reason


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"failure": "the GPU is lost"}, "the GPU is lost"),
        ({"watts": 0.0}, "stood still"),
        ({"sign": -1}, "fell"),
        ({"watts": 500.0, "limit": 300.0}, "above the limit of 300 W"),
    ],
)
@pytest.mark.parametrize("tick", [0.1, 0.001])
def test_what_cannot_be_is_unknown_never_zero(
    changes: dict[str, object], reason: str, tick: float
) -> None:
    clock = ScriptedClock()
    counter = ScriptedCounter(clock, tick=tick)
    for name, value in changes.items():
        setattr(counter, name, value)
    window = take(call(clock, 0.05), Gauge(clock, counter, tick), calls=6)
    assert window.joules is None
    assert window.reason is not None
    assert reason in window.reason


def test_without_a_counter_time_is_still_known() -> None:
    clock = ScriptedClock()
    window = take(call(clock, 0.05), Gauge(clock, None), calls=4)
    assert window.joules is None
    assert window.seconds == pytest.approx(0.2)
    assert window.cpu == pytest.approx(0.2)


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_foreign_load_is_the_share_of_the_machine_that_others_use(share: float) -> None:
    clock = ScriptedClock(cores=2, neighbour=lambda _: share)
    window = take(call(clock, 0.05), Gauge(clock, None), calls=4)
    assert window.foreign == pytest.approx(share / 2)


def test_another_process_on_the_gpu_is_foreign_load() -> None:
    clock = ScriptedClock()
    counter = ScriptedCounter(clock, tick=0.001, busy=True)
    assert take(call(clock, 0.05), Gauge(clock, counter, 0.001), calls=6).foreign == 1.0


def test_where_the_machine_does_not_tell_foreign_load_is_unknown() -> None:
    clock = ScriptedClock()
    clock.busy = lambda: None  # type: ignore[method-assign]
    assert take(call(clock, 0.05), Gauge(clock, None), calls=4).foreign is None
