"""The measuring protocol: pairs of a model and the dense model, taken in turn.

::

    latency   M×20 D×6 │ D×6 M×20 │ M×20 D×6 │ …      one call at batch 1 each, ratio of medians
    energy    M ─ D ─ M ─ D ─ M ─ D …                  windows; each two neighbours are a pair
    cold      ~M ~D │ ~D ~M │ ~M ~D │ …                ~: the caches are emptied before the call

Neighbours meet the same machine: a busy one, a warm one. The order within pairs alternates, so
that a steady drift cancels too. The ratio is the median over pairs. Pairs are added while its
interval is wide and there is time; those under foreign load are taken again, three times in all.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np

from pareto_prune.measure.clock import Clock
from pareto_prune.measure.statistics import Estimate, median_ratio
from pareto_prune.measure.windows import Call, Gauge, Window, take

T = TypeVar("T")
Timing = Callable[[Call, int, Clock], list[float]]
"""Seconds of each of some calls."""

VERSION = 1
P95_CALLS = 200
P99_CALLS = 1000
"""Calls from which a quantile of the latency is said; with fewer it is not known."""


@dataclass(frozen=True)
class Protocol:
    """How long and how often is measured.

    Attributes:
        limit: seconds that a measurement may take; what it needs at least it takes anyway.
        warm_seconds, warm_calls: before the first timed call, both.
        pairs, more_pairs: latency pairs, at least and at most.
        block, dense_block: timed calls of a block; one more before them is not timed.
        energy_pairs, more_energy_pairs: at least and at most.
        window: CPU seconds of a window.
        width: log-width of an interval above which pairs are added.
        retakes: pairs and windows that may be taken again.
        loaded: share of the machine used by others, above which one is.
        cold_pairs, more_cold_pairs: at least and at most, of one call of each model.
        cold_seconds: above which no cold pair is added, the emptying of the caches included.
        placements: sessions of each model; where weights come to lie in memory moves a latency
            by a percent or two, so the pairs go through several.
    """

    limit: float = 5.8
    warm_seconds: float = 1.0
    warm_calls: int = 20
    pairs: int = 10
    more_pairs: int = 30
    block: int = 20
    dense_block: int = 6
    energy_pairs: int = 5
    more_energy_pairs: int = 9
    window: float = 0.25
    width: float = 0.03
    retakes: int = 3
    loaded: float = 0.1
    cold_pairs: int = 4
    more_cold_pairs: int = 12
    cold_seconds: float = 0.5
    placements: int = 2


@dataclass(frozen=True)
class Arm:
    """One model, ready to be timed.

    Attributes:
        latency: a call at the latency batch, for every placement.
        batch: a call at the throughput batch.
        calls: calls of ``batch`` that make a window.
    """

    latency: tuple[Call, ...]
    batch: Call
    calls: int = 1


@dataclass
class Latency:
    """Latency pairs as they come in: seconds of every call, by block."""

    model: list[list[float]] = field(default_factory=list)
    dense: list[list[float]] = field(default_factory=list)
    foreign: list[float | None] = field(default_factory=list)
    loaded: bool = False

    @property
    def ratio(self) -> Estimate:
        """Median over pairs of the ratio of the blocks' medians."""
        return median_ratio(
            [float(np.median(block)) for block in self.model],
            [float(np.median(block)) for block in self.dense],
        )


@dataclass
class Energy:
    """Windows as they come in, model and dense in turn, the model first."""

    windows: list[Window] = field(default_factory=list)
    loaded: bool = False

    @property
    def model(self) -> list[Window]:
        """Windows of the model."""
        return self.windows[0::2]

    @property
    def dense(self) -> list[Window]:
        """Windows of the dense model."""
        return self.windows[1::2]

    @property
    def pairs(self) -> int:
        """How many neighbours there are."""
        return max(len(self.windows) - 1, 0)

    def ratio(self, cost: Callable[[Window], float | None]) -> Estimate | None:
        """Return the median over pairs of a cost; ``None`` where fewer than three pairs know it."""
        costs = [cost(window) for window in self.windows]
        known = [
            (a, b) if i % 2 == 0 else (b, a)
            for i, (a, b) in enumerate(itertools.pairwise(costs))
            if a is not None and b is not None and a > 0 and b > 0
        ]
        if len(known) < min(3, self.pairs):
            return None
        return median_ratio(*zip(*known, strict=True)) if known else None


@dataclass(frozen=True)
class Taken:
    """All that one measurement took down; ``cold`` is empty where no cache was emptied."""

    latency: Latency
    energy: Energy
    cold: Latency = field(default_factory=Latency)


def warm_up(arms: Sequence[Arm], protocol: Protocol, clock: Clock) -> list[Arm]:
    """Run models until they are warm; return them with the calls that make one window."""
    start = clock.now()
    sized = [replace(arm, calls=_calls(arm, protocol.window, clock)) for arm in arms]
    calls = 0
    while calls < protocol.warm_calls or clock.now() - start < protocol.warm_seconds:
        for arm in arms:
            arm.latency[calls % len(arm.latency)]()
        calls += 1
    return sized


def _calls(arm: Arm, window: float, clock: Clock) -> int:
    """Return how many calls make about ``window`` CPU seconds, from the first one."""
    before = clock.cpu()
    arm.batch()
    return max(1, round(window / max(clock.cpu() - before, 1e-6)))


def measure(
    model: Arm,
    dense: Arm,
    gauge: Gauge,
    protocol: Protocol,
    deadline: float,
    empty: Call | None = None,
) -> Taken:
    """Take latency and energy pairs of two warm models.

    Args:
        model: the model.
        dense: the dense model.
        gauge: what is read.
        protocol: how long and how often.
        deadline: on the gauge's clock; nothing is added behind it.
        empty: fills the caches with other data; without it nothing is measured cold.
    """
    run = _Run(model, dense, gauge, protocol, deadline)
    run.least()
    if empty is not None:
        run.cold_ones(empty)
    run.more()
    return Taken(run.latency, run.energy, run.cold)


class _Run:
    """One measurement under way."""

    def __init__(
        self, model: Arm, dense: Arm, gauge: Gauge, protocol: Protocol, deadline: float
    ) -> None:
        self.model, self.dense, self.gauge = model, dense, gauge
        self.protocol, self.deadline = protocol, deadline
        self.latency, self.energy, self.cold = Latency(), Energy(), Latency()
        self._retakes = protocol.retakes
        self._jitter = random.Random(0)

    def least(self) -> None:
        """Take what is always taken."""
        for _ in range(self.protocol.pairs):
            self._add_latency()
        for _ in range(self.protocol.energy_pairs + 1):
            self._add_window()

    def cold_ones(self, empty: Call) -> None:
        """Take pairs of calls that find the caches full of other data."""
        clock, plan = self.gauge.clock, self.protocol
        began, cost = clock.now(), 0.0
        while len(self.cold.model) < plan.more_cold_pairs:
            start = clock.now()
            if len(self.cold.model) >= plan.cold_pairs and start + cost > began + plan.cold_seconds:
                return
            self._add_pair(self.cold, (1, 1), cold(empty))
            cost = clock.now() - start

    def more(self) -> None:
        """Add pairs where the interval is wide, while there is time for one more of each."""
        clock, cost = self.gauge.clock, 0.0
        while clock.now() + cost < self.deadline:
            began = clock.now()
            grown = [grow() for grow in (self._grow_latency, self._grow_energy)]
            if not any(grown):
                return
            cost = clock.now() - began

    def _grow_latency(self) -> bool:
        full = len(self.latency.model) >= self.protocol.more_pairs
        if full or self.latency.ratio.width <= self.protocol.width:
            return False
        self._add_latency()
        return True

    def _grow_energy(self) -> bool:
        if self.energy.pairs >= self.protocol.more_energy_pairs:
            return False
        ratio = self.energy.ratio(lambda window: window.joules and window.joules / window.calls)
        if ratio is None or ratio.width <= self.protocol.width:
            return False
        self._add_window()
        return True

    def _add_latency(self) -> None:
        self._add_pair(self.latency, (self.protocol.block, self.protocol.dense_block), timed)

    def _add_pair(self, pairs: Latency, counts: tuple[int, int], timing: Timing) -> None:
        """Add a block of so many calls of the model, and one of the dense model."""
        index = len(pairs.model)
        model, dense = (
            self.model.latency[index % len(self.model.latency)],
            self.dense.latency[index // 2 % len(self.dense.latency)],
        )
        blocks = list(zip((model, dense), counts, strict=True))
        order = blocks if index % 2 == 0 else blocks[::-1]
        (times, foreign), loaded = self._again_if_loaded(lambda: self._pair(order, timing))
        pairs.foreign.append(foreign)
        pairs.model.append(times[index % 2])
        pairs.dense.append(times[1 - index % 2])
        pairs.loaded |= loaded

    def _pair(
        self, blocks: Sequence[tuple[Call, int]], timing: Timing
    ) -> tuple[tuple[list[list[float]], float | None], Window]:
        start = self.gauge.edge()
        times = [timing(call, count, self.gauge.clock) for call, count in blocks]
        window = self.gauge.between(start, self.gauge.edge(), 0)
        return (times, window.foreign), window

    def _add_window(self) -> None:
        arm = self.dense if len(self.energy.windows) % 2 else self.model

        def taken() -> tuple[Window, Window]:
            window = take(arm.batch, self.gauge, arm.calls, self._jitter)
            return window, window

        window, loaded = self._again_if_loaded(taken, lambda w: w.joules is None)
        self.energy.windows.append(window)
        self.energy.loaded |= loaded

    def _again_if_loaded(
        self,
        taken: Callable[[], tuple[T, Window]],
        rejected: Callable[[Window], bool] = lambda _: False,
    ) -> tuple[T, bool]:
        """Take something, again while others disturb it and that may still be done."""
        while True:
            result, window = taken()
            loaded = window.foreign is not None and window.foreign > self.protocol.loaded
            counted = self.gauge.counter is not None and rejected(window)
            late = self._retakes == 0 or self.gauge.clock.now() > self.deadline
            if late or not (loaded or counted):
                return result, loaded
            self._retakes -= 1


def timed(call: Call, count: int, clock: Clock) -> list[float]:
    """Return the seconds of each of ``count`` calls, after one that is not timed."""
    call()
    times = []
    for _ in range(count):
        began = clock.now()
        call()
        times.append(clock.now() - began)
    return times


def cold(empty: Call) -> Timing:
    """Return what times calls each of which finds the caches as ``empty`` leaves them."""

    def timed_cold(call: Call, count: int, clock: Clock) -> list[float]:
        times = []
        for _ in range(count):
            empty()
            began = clock.now()
            call()
            times.append(clock.now() - began)
        return times

    return timed_cold
