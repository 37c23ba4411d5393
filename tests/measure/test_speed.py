"""How fast a session is, on a scripted clock: what it must find is known."""

import numpy as np
import pytest

from pareto_prune.measure.speed import Speed, in_turn, speed
from tests.measure.scripted import ScriptedClock


class Session:
    """Takes 10 ms a text back to back, 30 ms after the caches were emptied, half of it in batches.

    ``calls`` are the texts of every call.
    """

    def __init__(self, clock: ScriptedClock) -> None:
        self.clock, self.calls, self.emptied = clock, [], False

    def empty(self) -> None:
        self.emptied = True

    def bind(self, inputs):
        texts = len(inputs["input_ids"])

        def call() -> None:
            share = 1.0 if texts == 1 else 0.5
            self.clock.work(0.01 * texts * share * (3 if self.emptied else 1))
            self.calls.append(texts)
            self.emptied = False

        return call


def found(seconds: float, texts: int = 32, cold: bool = True) -> tuple[Speed, Session, float]:
    clock = ScriptedClock()
    session = Session(clock)
    began = clock.now()
    batch = {"input_ids": np.zeros((texts, 8), np.int64)}
    single = {"input_ids": np.zeros((1, 8), np.int64)}
    took = speed(session, single, batch, clock, seconds, session.empty if cold else None)
    return took, session, clock.now() - began


def test_hot_cold_and_batches_are_told_apart() -> None:
    took, _, seconds = found(seconds=4.0)
    assert took == Speed(pytest.approx(0.01), pytest.approx(0.03), pytest.approx(200.0), batch=32)
    assert seconds <= 4.0


def test_without_emptied_caches_nothing_is_cold() -> None:
    assert found(seconds=4.0, cold=False)[0].cold is None


def test_a_batch_that_takes_too_long_is_halved() -> None:
    took, session, _ = found(seconds=0.2)
    assert took.batch == 8
    assert took.rate == pytest.approx(200.0)
    assert max(session.calls) == 8


def test_without_any_time_ten_calls_of_one_text_are_taken() -> None:
    took, session, _ = found(seconds=0.0)
    assert (took.latency, took.cold, took.batch) == pytest.approx((0.01, 0.03, 1))
    assert session.calls == [1] * 10


def test_two_models_in_turn_meet_the_same_drift() -> None:
    clock = ScriptedClock()
    log: list[str] = []

    def call(name: str, seconds: float):
        def run() -> None:
            log.append(name)
            clock.work(seconds * np.exp(0.05 * (clock.now() - 100)))

        return run

    taken = in_turn(call("model", 0.002), call("dense", 0.008), clock, 4.0)
    assert taken.ratio.value == pytest.approx(0.25, rel=0.01)
    assert clock.now() - 100 == pytest.approx(4.0, rel=0.3)
    assert sum(map(len, taken.model)) > 3 * sum(map(len, taken.dense))
    warm = ["model", "dense"]
    blocks = [name for name, before in zip(log, ["", *log], strict=False) if name != before]
    assert blocks[: len(warm)] == warm
    assert len(blocks) == len(warm) + len(taken.model) + 1, "two blocks of one meet between rounds"


def test_alone_a_model_is_called_a_thousand_times_at_most() -> None:
    clock = ScriptedClock()
    taken = in_turn(lambda: clock.work(0.001), None, clock, 60.0)
    assert sum(map(len, taken.model)) == 1000
    assert taken.dense == []
    slow = in_turn(lambda: clock.work(5.0), None, clock, 1.0)
    assert [len(block) for block in slow.model] == [1, 1, 1]
