"""The protocol on a scripted clock: what it must find is known."""

import itertools
import math
import random
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pareto_prune.measure.protocol import Arm, Protocol, Taken, measure, timed, warm_up
from pareto_prune.measure.windows import Call, Gauge, Window
from tests.measure.scripted import ScriptedClock, ScriptedCounter, call

SPEED = Callable[[float], float]


def arm(clock: ScriptedClock, single: float, batch: float, speed: SPEED = lambda _: 1.0) -> Arm:
    """A model whose calls take these seconds, times what the machine does to it."""
    return Arm(
        latency=(lambda: clock.work(single * speed(clock.now())),),
        batch=lambda: clock.work(batch * speed(clock.now())),
        calls=max(1, round(0.25 / batch)),
    )


def run(
    clock: ScriptedClock, model: Arm, dense: Arm, plan: Protocol, counter: ScriptedCounter | None
) -> Taken:
    tick = counter.tick if counter else 0.0
    gauge = Gauge(clock, counter, tick)
    return measure(model, dense, gauge, plan, clock.now() + plan.limit)


def per_call(window: Window) -> float | None:
    return None if window.joules is None else window.joules / window.calls


@settings(max_examples=25, deadline=None)
@given(st.floats(0.05, 2.0), st.floats(0.05, 2.0))
def test_on_a_steady_machine_ratios_are_exact(fast: float, cheap: float) -> None:
    clock = ScriptedClock()
    counter = ScriptedCounter(clock, tick=1e-6, watts=20.0)
    dense, model = arm(clock, 0.006, 0.3), arm(clock, 0.006 * fast, 0.3 * cheap)
    taken = run(clock, model, dense, Protocol(), counter)
    assert taken.latency.ratio.value == pytest.approx(fast, rel=1e-6)
    energy = taken.energy.ratio(per_call)
    assert energy is not None
    assert energy.value == pytest.approx(cheap, rel=0.01)
    assert not taken.latency.loaded


@pytest.mark.parametrize("drift", [0.02, -0.02])
def test_a_steady_drift_cancels(drift: float) -> None:
    """A chip that warms up by 2 % a second: the sequential ratio would be off by 10 %."""
    clock = ScriptedClock()
    began = clock.now()

    def speed(now: float) -> float:
        return math.exp(drift * (now - began))

    dense, model = arm(clock, 0.006, 0.3, speed), arm(clock, 0.006, 0.3, speed)
    taken = run(clock, model, dense, Protocol(), ScriptedCounter(clock, tick=1e-6))
    assert taken.latency.ratio.value == pytest.approx(1, abs=0.003)
    energy = taken.energy.ratio(per_call)
    assert energy is not None
    assert energy.value == pytest.approx(1, abs=0.003)


def test_a_neighbour_that_comes_and_goes_moves_both() -> None:
    clock = ScriptedClock()
    noise = random.Random(3)

    def speed(now: float) -> float:
        return (2.0 if int(now / 1.3) % 2 else 1.0) * noise.lognormvariate(0, 0.05)

    dense, model = arm(clock, 0.006, 0.3, speed), arm(clock, 0.002, 0.1, speed)
    counter = ScriptedCounter(clock, tick=1e-6)
    taken = run(clock, model, dense, replace(Protocol(), limit=20), counter)
    assert taken.latency.ratio.value == pytest.approx(1 / 3, rel=0.05)
    energy = taken.energy.ratio(per_call)
    assert energy is not None
    assert energy.value == pytest.approx(1 / 3, rel=0.1)
    assert energy.low < 1 / 3 < energy.high


def test_a_quiet_machine_gets_the_least_pairs_and_a_noisy_one_more() -> None:
    def pairs(spread: float, limit: float) -> tuple[int, int]:
        clock, noise = ScriptedClock(), random.Random(1)

        def speed(_: float) -> float:
            return noise.lognormvariate(0, spread)

        both = arm(clock, 0.006, 0.3, speed)
        counter = ScriptedCounter(clock, tick=1e-6)
        taken = run(clock, both, both, Protocol(limit=limit), counter)
        return len(taken.latency.model), taken.energy.pairs

    assert pairs(0.0, limit=100) == (10, 5)
    assert pairs(0.5, limit=0) == (10, 5)
    latency, energy = pairs(0.5, limit=100)
    assert latency == Protocol().more_pairs
    assert energy == Protocol().more_energy_pairs


def test_nothing_is_added_behind_the_deadline() -> None:
    clock, noise = ScriptedClock(), random.Random(1)
    both = arm(clock, 0.006, 0.3, lambda _: noise.lognormvariate(0, 0.3))
    began = clock.now()
    run(clock, both, both, Protocol(limit=6), ScriptedCounter(clock, tick=1e-6))
    assert clock.now() - began < 6.5


def test_pairs_under_foreign_load_are_taken_again() -> None:
    clock = ScriptedClock()
    until = clock.now() + 0.1
    clock.neighbour = lambda now: 2.0 if now < until else 0.0
    both = arm(clock, 0.006, 0.3)
    taken = run(clock, both, both, Protocol(), None)
    assert not taken.latency.loaded
    assert not taken.energy.loaded
    assert len(taken.latency.model) == 10


def test_foreign_load_that_stays_is_kept_and_known() -> None:
    clock = ScriptedClock(neighbour=lambda _: 1.0)
    both = arm(clock, 0.006, 0.3)
    calls = itertools.count()
    counted = replace(both, batch=lambda: (next(calls), both.batch()))
    taken = run(clock, counted, both, Protocol(retakes=3), None)
    assert taken.latency.loaded
    assert taken.energy.loaded
    assert next(calls) == 3
    assert taken.energy.pairs == 5


def test_rejected_windows_are_taken_again_three_times_in_all() -> None:
    clock = ScriptedClock()
    counter = ScriptedCounter(clock, tick=1e-6, limit=1.0, watts=100.0)
    both = arm(clock, 0.006, 0.3)
    taken = run(clock, both, both, Protocol(), counter)
    assert taken.energy.ratio(per_call) is None
    assert taken.energy.pairs == 5
    assert clock.now() - 100 < 10


def test_one_bad_window_does_not_spoil_the_rest() -> None:
    clock = ScriptedClock()
    counter = ScriptedCounter(clock, tick=1e-6)
    both = arm(clock, 0.006, 0.3)
    gauge = Gauge(clock, counter, 1e-6)
    taken = measure(both, both, gauge, Protocol(), clock.now() + 6)
    taken.energy.windows[2] = replace(taken.energy.windows[2], joules=None)
    ratio = taken.energy.ratio(per_call)
    assert ratio is not None
    assert ratio.repeats == 3


def test_all_placements_take_part() -> None:
    clock = ScriptedClock()
    used = {"a": 0, "b": 0}

    def placed(name: str) -> Callable[[], None]:
        def go() -> None:
            used[name] += 1
            clock.work(0.006)

        return go

    dense = arm(clock, 0.006, 0.3)
    run(clock, replace(dense, latency=(placed("a"), placed("b"))), dense, Protocol(), None)
    assert used["a"] == used["b"] == 5 * 21


def test_a_call_is_timed_by_itself_and_the_first_is_not() -> None:
    clock = ScriptedClock()
    assert timed(call(clock, [9.0, 1.0, 2.0]), 2, clock) == [1.0, 2.0]


def test_warm_up_lasts_a_second_and_twenty_calls_of_each() -> None:
    clock = ScriptedClock()
    began = clock.now()
    fast, slow = arm(clock, 0.002, 0.1), arm(clock, 0.006, 0.3)
    ready = warm_up([fast, slow], Protocol(), clock)
    assert clock.now() - began == pytest.approx(1, abs=0.01)
    assert [one.calls for one in ready] == [2, 1]
    calls = itertools.count()
    counted = replace(slow, latency=(lambda: (next(calls), clock.work(0.5)),))
    warm_up([counted], Protocol(), clock)
    assert next(calls) == 20


def colder(clock: ScriptedClock, times: float, drift: float = 0.0) -> tuple[Arm, Call, list[str]]:
    """A model that takes ``times`` as long in the call after the caches were emptied."""
    log: list[str] = []

    def empty() -> None:
        log.append("empty")
        clock.work(0.02)

    def single() -> None:
        cold = bool(log) and log[-1] == "empty"
        log.append("call")
        clock.work(0.006 * (times if cold else 1.0) * math.exp(drift * (clock.now() - 100)))

    return Arm((single,), lambda: clock.work(0.3), 1), empty, log


def test_cold_calls_find_the_caches_emptied_each_time() -> None:
    clock = ScriptedClock()
    model, empty, log = colder(clock, times=3.0)
    gauge = Gauge(clock, None, 0.0)
    taken = measure(model, arm(clock, 0.006, 0.3), gauge, Protocol(), clock.now() + 6, empty)
    assert taken.latency.ratio.value == pytest.approx(1)
    assert taken.cold.ratio.value == pytest.approx(3)
    assert {len(block) for block in taken.cold.model + taken.cold.dense} == {1}
    assert log.count("empty") == 2 * len(taken.cold.model)
    assert not measure(model, model, gauge, Protocol(), clock.now() + 6).cold.model


def test_a_drift_cancels_in_cold_pairs_too() -> None:
    clock = ScriptedClock()
    model, empty, _ = colder(clock, times=2.0, drift=0.05)
    taken = measure(model, model, Gauge(clock, None, 0.0), Protocol(), clock.now() + 6, empty)
    assert taken.cold.ratio.value == pytest.approx(1, abs=0.003)


def test_cold_pairs_take_half_a_second_beyond_the_least_of_them() -> None:
    def pairs(seconds: float) -> tuple[int, float]:
        clock = ScriptedClock()
        model, empty, _ = colder(clock, times=2.0)
        plan = Protocol(cold_seconds=seconds)
        gauge = Gauge(clock, None, 0.0)
        without = measure(model, model, gauge, plan, clock.now() + 6)
        began = clock.now()
        taken = measure(model, model, gauge, plan, clock.now() + 6, empty)
        assert len(without.latency.model) == len(taken.latency.model)
        hot = sum(map(sum, taken.latency.model + taken.latency.dense)) + 20 * 0.006 + 6 * 0.3
        return len(taken.cold.model), clock.now() - began - hot

    assert pairs(0.0) == (4, pytest.approx(4 * 2 * 0.032, abs=0.01))
    assert pairs(9.0)[0] == Protocol().more_cold_pairs
    count, added = pairs(0.5)
    assert 4 < count < Protocol().more_cold_pairs
    assert added <= 0.51
