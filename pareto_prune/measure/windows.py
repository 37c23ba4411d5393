"""Windows: what some calls took, from clocks and counters read at the two edges.

::

    call call call call call call call call call call
        │◄────────────── window ──────────────►│
       edge: clock, CPU time, counter         edge

A counter that moves in steps is read after every call near an edge, and the window begins and
ends where it has just moved, so that no thread has to watch it.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pareto_prune.measure.clock import Clock
from pareto_prune.measure.energy import Counter, CounterError

MIN_TICKS = 10
MIN_SECONDS = 0.25
COARSE_S = 0.005
"""A counter that moves less often than this has its windows aligned to its steps."""
JITTER = 0.04
_JITTER_FROM_S = 0.015
_STANDS_STILL_TICKS = 30
_OVER_LIMIT = 1.2

Call = Callable[[], Any]


@dataclass(frozen=True)
class Window:
    """What some calls took.

    Attributes:
        calls: how many.
        seconds: on the wall.
        cpu: CPU seconds of this process.
        joules: ``None`` where they are not known.
        foreign: share of the machine that others used; ``None`` if not known.
        reason: why ``joules`` is not known.
    """

    calls: int
    seconds: float
    cpu: float
    joules: float | None
    foreign: float | None
    reason: str | None = None


@dataclass(frozen=True)
class Edge:
    """All that is read at one moment; ``raw`` is the counter, or why it cannot be read."""

    now: float
    cpu: float
    busy: float | None
    raw: Any


@dataclass(frozen=True)
class Gauge:
    """A counter with the clocks beside it, and what calibration found out about it.

    Attributes:
        counter: ``None`` where nothing counts joules.
        tick: seconds between two steps of the counter; 0 where it flows.
    """

    clock: Clock
    counter: Counter | None
    tick: float = 0.0

    @property
    def stepped(self) -> bool:
        """Whether windows are aligned to the counter's steps."""
        return self.counter is not None and self.tick > COARSE_S

    @property
    def least(self) -> float:
        """Seconds that a window of a counter must last."""
        return max(MIN_SECONDS, MIN_TICKS * self.tick)

    def edge(self) -> Edge:
        """Read everything now."""
        return Edge(self.clock.now(), self.clock.cpu(), self.clock.busy(), self._raw())

    def between(self, start: Edge, end: Edge, calls: int) -> Window:
        """Return the window between two edges."""
        joules, reason = self._joules(start, end)
        seconds, cpu = end.now - start.now, end.cpu - start.cpu
        return Window(calls, seconds, cpu, joules, self._foreign(start, end), reason)

    def _raw(self) -> Any:
        if self.counter is None:
            return None
        try:
            return self.counter.read()
        except CounterError as error:
            return error

    def _joules(self, start: Edge, end: Edge) -> tuple[float | None, str | None]:
        if self.counter is None:
            return None, "no meter"
        try:
            for edge in (start, end):
                if isinstance(edge.raw, CounterError):
                    raise edge.raw
            joules = self.counter.joules(start.raw, end.raw)
            self._check(joules, end.now - start.now)
        except CounterError as error:
            return None, str(error)
        return joules, None

    def _check(self, joules: float, seconds: float) -> None:
        if seconds < MIN_TICKS * self.tick:
            raise CounterError(f"the window is shorter than {MIN_TICKS} steps of the counter")
        if joules <= 0:
            raise CounterError("the counter stood still")
        limit = self.counter.limit if self.counter is not None else None
        if limit is not None and joules > _OVER_LIMIT * limit * seconds:
            raise CounterError(f"{joules / seconds:.0f} W is above the limit of {limit:.0f} W")

    def _shared(self) -> bool:
        """Whether the counter knows that others use the device."""
        try:
            return bool(self.counter is not None and self.counter.foreign())
        except CounterError:
            return False

    def _foreign(self, start: Edge, end: Edge) -> float | None:
        if self._shared():
            return 1.0
        if start.busy is None or end.busy is None:
            return None
        capacity = (end.now - start.now) * self.clock.cores
        others = (end.busy - start.busy) - (end.cpu - start.cpu)
        return min(max(others, 0.0) / capacity, 1.0) if capacity > 0 else None


def take(call: Call, gauge: Gauge, calls: int, jitter: random.Random | None = None) -> Window:
    """Take one window.

    Args:
        call: runs one batch and returns when it is done.
        gauge: what is read at the edges.
        calls: how many make the window; a stepped counter decides for itself.
        jitter: of the pauses between calls under a stepped counter, which samples at a fixed
            rate that calls of a fixed length could fall in step with.
    """
    if gauge.stepped:
        return _aligned(call, gauge, jitter or random.Random(0))
    start = gauge.edge()
    for _ in range(calls):
        call()
    return gauge.between(start, gauge.edge(), calls)


def _aligned(call: Call, gauge: Gauge, jitter: random.Random) -> Window:
    start, _ = _to_step(call, gauge, gauge.edge())
    calls, length = 0, gauge.least
    edge = start
    while edge.now - start.now < length:
        before = gauge.clock.now()
        call()
        calls += 1
        took = gauge.clock.now() - before
        if gauge.tick > _JITTER_FROM_S:
            gauge.clock.sleep(jitter.uniform(0, JITTER) * took)
        edge = Edge(gauge.clock.now(), 0.0, None, None)
    end, more = _to_step(call, gauge, gauge.edge())
    return gauge.between(start, end, calls + more)


def _to_step(call: Call, gauge: Gauge, edge: Edge) -> tuple[Edge, int]:
    """Go on calling until the counter moves; return the edge there and the calls made."""
    began, calls = edge.now, 0
    while True:
        call()
        calls += 1
        after = gauge.edge()
        still = after.now - began < _STANDS_STILL_TICKS * gauge.tick
        if after.raw != edge.raw or isinstance(after.raw, CounterError) or not still:
            return after, calls
