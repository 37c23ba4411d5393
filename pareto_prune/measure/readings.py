"""From what was taken down to readings: values with their unit, source, grade and interval."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pareto_prune.core.records import Grade, Measurement, Reading
from pareto_prune.measure.energy import Counter
from pareto_prune.measure.protocol import (
    P95_CALLS,
    P99_CALLS,
    VERSION,
    Energy,
    Latency,
    Protocol,
    Taken,
)
from pareto_prune.measure.statistics import Estimate, median, quantile
from pareto_prune.measure.windows import Window

Cost = Callable[[Window], float | None]


@dataclass(frozen=True)
class Source:
    """Where joules come from, or why there are none."""

    source: str
    scope: str
    grade: Grade
    flags: tuple[str, ...] = ()
    reason: str | None = None

    @classmethod
    def of(cls, counter: Counter | None, reason: str) -> Source:
        """Return the source of a counter; without one, ``reason`` says why."""
        if counter is None:
            return cls("none", "none", "measured", reason=reason)
        return cls(counter.source, counter.scope, counter.grade, counter.flags)


_CLOCK = Source("clock", "process", "measured")


def measurement(
    taken: Taken,
    *,
    samples: int,
    dense_calls: Sequence[float],
    joules: Source,
    idle: float | None,
    protocol: Protocol,
    seconds: float,
) -> Measurement:
    """Return the measurement of what was taken down.

    Args:
        taken: blocks and windows.
        samples: examples a batch of the energy windows.
        dense_calls: latencies of the dense model's last calls in this process, for its p95.
        joules: where joules come from.
        idle: watts of the idle device; ``None`` where there is no idle share to take off.
        protocol: what was asked for.
        seconds: how long it took.
    """
    energy = _EnergyView(taken.energy, samples, joules, idle, protocol)
    calls = [time for block in taken.latency.model for time in block]
    flags = _flags(taken.latency.loaded, taken.latency.ratio, protocol)
    readings = _latencies(calls, flags) | energy.readings() | _foreign(taken)
    ratios = _latency_ratios(taken.latency, calls, dense_calls, flags) | energy.ratios()
    readings["latency_cold_ms"], ratios["latency_cold_ms"] = _cold(taken.cold)
    return Measurement(readings=readings, ratios=ratios, protocol=VERSION, seconds=seconds)


def _latencies(calls: Sequence[float], flags: tuple[str, ...]) -> dict[str, Reading]:
    found = {"latency_ms": _reading(quantile(calls, 0.5), "ms", _CLOCK, flags, 1e3)}
    for name, share, least in (
        ("latency_p95_ms", 0.95, P95_CALLS),
        ("latency_p99_ms", 0.99, P99_CALLS),
    ):
        if len(calls) >= least:
            found[name] = _reading(quantile(calls, share), "ms", _CLOCK, flags, 1e3)
    if len(calls) < P95_CALLS:
        found["latency_p95_ms"] = _unknown("ms", _CLOCK, f"fewer than {P95_CALLS} calls")
    return found


def _cold(cold: Latency) -> tuple[Reading, Reading]:
    """Return latency and ratio of calls that found the caches emptied.

    They are too few for an interval that could be held against the protocol's width.
    """
    if not cold.model:
        reason = "caches are emptied on a CPU only"
        return _unknown("ms", _CLOCK, reason), _unknown("ratio", _CLOCK, reason)
    calls, flags = [time for block in cold.model for time in block], _loaded(cold.loaded)
    latency = _reading(median(calls), "ms", _CLOCK, flags, 1e3)
    return latency, _reading(cold.ratio, "ratio", _CLOCK, flags)


def _foreign(taken: Taken) -> dict[str, Reading]:
    """Return the share of the machine that others used meanwhile."""
    shares = [*taken.latency.foreign, *(window.foreign for window in taken.energy.windows)]
    known = [share for share in shares if share is not None]
    source = Source("proc_stat", "machine", "measured")
    if not known:
        return {"foreign_load": _unknown("share", source, "the machine does not tell")}
    return {"foreign_load": _reading(median(known), "share", source, ())}


def _latency_ratios(
    latency: Latency, calls: Sequence[float], dense_calls: Sequence[float], flags: tuple[str, ...]
) -> dict[str, Reading]:
    found = {"latency_ms": _reading(latency.ratio, "ratio", _CLOCK, flags)}
    few = min(len(calls), len(dense_calls)) < P95_CALLS
    found["latency_p95_ms"] = (
        _unknown("ratio", _CLOCK, f"fewer than {P95_CALLS} calls")
        if few
        else _reading(_p95_ratio(calls, dense_calls), "ratio", _CLOCK, flags)
    )
    return found


def _p95_ratio(calls: Sequence[float], dense_calls: Sequence[float]) -> Estimate:
    """Return the ratio of two p95; its interval takes the far ends of both."""
    a, b = quantile(calls, 0.95), quantile(dense_calls, 0.95)
    return Estimate(a.value / b.value, a.low / b.high, a.high / b.low, a.repeats)


@dataclass(frozen=True)
class _EnergyView:
    """Throughput and joules a sample, from windows."""

    energy: Energy
    samples: int
    joules: Source
    idle: float | None
    protocol: Protocol

    def readings(self) -> dict[str, Reading]:
        """Return the absolute values of the model."""
        speed = [w.calls * self.samples / w.seconds for w in self.energy.model]
        flags = self._flags(_seconds)
        return {
            "throughput": _reading(median(speed), "samples/s", _CLOCK, flags),
            "energy_j": self._joules_reading(_gross),
            "energy_net_j": self._net(lambda: self._joules_reading(self._net_cost), "J/sample"),
        }

    def ratios(self) -> dict[str, Reading]:
        """Return the values against the dense model."""
        return {
            "throughput": self._ratio(lambda w: w.calls / w.seconds, _CLOCK),
            "energy_j": self._ratio(_gross, self.joules),
            "energy_net_j": self._net(lambda: self._ratio(self._net_cost, self.joules), "ratio"),
        }

    def _joules_reading(self, cost: Cost) -> Reading:
        known = [value for w in self.energy.model if (value := cost(w)) is not None]
        if not known or self.energy.ratio(_gross) is None:
            return _unknown("J/sample", self.joules, self._why())
        estimate = median(known)
        return _reading(estimate, "J/sample", self.joules, self._flags(cost), 1 / self.samples)

    def _ratio(self, cost: Cost, source: Source) -> Reading:
        estimate = self.energy.ratio(cost)
        if estimate is None:
            return _unknown("ratio", source, self._why())
        return _reading(estimate, "ratio", source, self._flags(cost))

    def _net(self, known: Callable[[], Reading], unit: str) -> Reading:
        if self.idle is None and self.joules.reason is None:
            return _unknown(unit, self.joules, "CPU time has no idle share")
        return known()

    def _net_cost(self, window: Window) -> float | None:
        gross = _gross(window)
        if gross is None or self.idle is None:
            return None
        return gross - self.idle * window.seconds / window.calls

    def _flags(self, cost: Cost) -> tuple[str, ...]:
        return _flags(self.energy.loaded, self.energy.ratio(cost), self.protocol)

    def _why(self) -> str:
        if self.joules.reason is not None:
            return self.joules.reason
        reasons = [window.reason for window in self.energy.windows if window.reason]
        return reasons[-1] if reasons else "it draws no more than the idle device"


def _gross(window: Window) -> float | None:
    return None if window.joules is None else window.joules / window.calls


def _seconds(window: Window) -> float:
    return window.seconds / window.calls


def _flags(loaded: bool, ratio: Estimate | None, protocol: Protocol) -> tuple[str, ...]:
    wide = ratio is not None and ratio.width > protocol.width
    return _loaded(loaded) + (("unstable",) if wide else ())


def _loaded(loaded: bool) -> tuple[str, ...]:
    return ("foreign_load",) if loaded else ()


def _reading(
    estimate: Estimate, unit: str, source: Source, flags: tuple[str, ...], scale: float = 1.0
) -> Reading:
    return Reading(
        value=estimate.value * scale,
        unit=unit,
        grade=source.grade,
        source=source.source,
        scope=source.scope,
        repeats=estimate.repeats,
        interval=(estimate.low * scale, estimate.high * scale),
        flags=(*source.flags, *flags),
    )


def _unknown(unit: str, source: Source, reason: str) -> Reading:
    return Reading(
        value=None,
        unit=unit,
        grade=source.grade,
        source=source.source,
        scope=source.scope,
        repeats=0,
        flags=source.flags,
        reason=reason,
    )
