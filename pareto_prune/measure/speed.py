"""How fast a session is, in a second or two: some calls hot, some cold, some of a whole batch.

Not paired with another model: good for choosing what to run on, not for telling models apart that
are a few per cent from each other.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pareto_prune.measure.clock import Clock
from pareto_prune.measure.engines import Session
from pareto_prune.measure.protocol import P99_CALLS, Latency, cold, timed
from pareto_prune.measure.windows import Call
from pareto_prune.measure.workload import Inputs

LEAST, MOST = 3, 200
"""Calls, whatever time there is."""
ROUNDS, MOST_IN_TURN = 10, P99_CALLS
_HOT, _COLD = 0.3, 0.2
"""Shares of the time; batches have the rest."""
_COLD_CALLS = 12


@dataclass(frozen=True)
class Speed:
    """How fast one session is.

    Attributes:
        latency: seconds of a call at batch 1, asked back to back: the median.
        cold: likewise, with the caches emptied before each; ``None`` on a GPU.
        rate: texts a second in batches.
        batch: texts of those: as many as were given, halved until one fits into the time.
    """

    latency: float
    cold: float | None
    rate: float
    batch: int


def speed(
    session: Session,
    single: Inputs,
    batch: Inputs,
    clock: Clock,
    seconds: float,
    empty: Call | None = None,
) -> Speed:
    """Time a session for about so many seconds, at least three calls at batch 1 of each kind.

    Args:
        session: of a model.
        single: one text.
        batch: several.
        clock: of this machine.
        seconds: that there are.
        empty: fills the caches with other data.
    """
    call = session.bind(single)
    latency = float(np.median(within(call, clock, _HOT * seconds)))
    room = (1 - _HOT - _COLD) * seconds
    texts = _fitting(len(batch["input_ids"]), latency, room)
    several = session.bind({name: rows[:texts] for name, rows in batch.items()})
    return Speed(
        latency=latency,
        cold=None if empty is None else _cold(call, empty, clock, _COLD * seconds),
        rate=_rate(several, texts, clock, room),
        batch=texts,
    )


def within(call: Call, clock: Clock, seconds: float) -> list[float]:
    """Return the seconds of as many calls as fit into a time, after one that is not timed."""
    (first,) = timed(call, 1, clock)
    count = int(np.clip(seconds / max(first, 1e-9), LEAST, MOST))
    return timed(call, count, clock)


def _cold(call: Call, empty: Call, clock: Clock, seconds: float) -> float:
    timing, until = cold(empty), clock.now() + seconds
    times: list[float] = []
    while len(times) < LEAST or (clock.now() < until and len(times) < _COLD_CALLS):
        times += timing(call, 1, clock)
    return float(np.median(times))


def _fitting(texts: int, latency: float, seconds: float) -> int:
    """Return how many texts run together within a time, at the pace of one alone."""
    while texts > 1 and texts * latency > seconds:
        texts //= 2
    return texts


def _rate(call: Call, texts: int, clock: Clock, seconds: float) -> float:
    """Return texts a second, of the first call where there is no time for more."""
    times = [_seconds(call, clock)]
    count = min(int(seconds / max(times[0], 1e-9)) - 1, MOST)
    if count > 0:
        times = [_seconds(call, clock) for _ in range(count)]
    return texts / float(np.median(times))


def _seconds(call: Call, clock: Clock) -> float:
    began = clock.now()
    call()
    return clock.now() - began


def in_turn(model: Call, dense: Call | None, clock: Clock, seconds: float) -> Latency:
    """Time two models in blocks that alternate, within about so many seconds, 1000 calls at most.

    Args:
        model: runs the one.
        dense: runs the other; without it the blocks of the one follow each other.
        clock: of this machine.
        seconds: of all blocks; three rounds of one call each are taken anyway.
    """
    calls = [call for call in (model, dense) if call is not None]
    took = [max(min(timed(call, LEAST, clock)), 1e-9) for call in calls]
    rounds = int(np.clip(seconds / (2 * sum(took)), LEAST, ROUNDS))
    share = seconds / rounds / len(calls)
    counts = [int(np.clip(share / one - 1, 1, MOST_IN_TURN // rounds)) for one in took]
    taken = Latency()
    for index in range(rounds):
        blocks = list(zip(calls, counts, strict=True))
        order = blocks if index % 2 == 0 else blocks[::-1]
        times = [timed(call, count, clock) for call, count in order]
        times = times if index % 2 == 0 else times[::-1]
        taken.model.append(times[0])
        taken.dense += times[1:]
    return taken
