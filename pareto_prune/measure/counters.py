"""What a worker finds out about its counter, once: how it moves, and what the idle device draws."""

from __future__ import annotations

from dataclasses import dataclass, field

from pareto_prune.measure.clock import Clock
from pareto_prune.measure.energy import Counter, CounterError

STEPS = 20
PATIENCE_S = 2.5
IDLE_S = 2.0
_DISAGREE = 0.5


@dataclass(frozen=True)
class Facts:
    """What calibration found.

    Attributes:
        tick: seconds between two steps of the counter; 0 where it flows.
        idle: watts of the idle device, this process resident; ``None`` where the counter knows
            this process only, or that is not known.
        reason: why the counter cannot be used.
        flags: what is odd.
    """

    tick: float = 0.0
    idle: float | None = None
    reason: str | None = None
    flags: tuple[str, ...] = ()
    details: dict[str, str] = field(default_factory=dict)


def calibrate(counter: Counter, clock: Clock) -> Facts:
    """Find out how a counter moves and what it says of the idle device; about 5 s at most.

    A counter that flows, as CPU time does, is known at once.
    """
    if counter.scope == "process":
        return Facts(details=counter.details())
    try:
        tick = _tick(counter, clock)
        watts, reported = _idle(counter, clock)
    except CounterError as error:
        return Facts(reason=str(error), details=counter.details())
    odd = reported is not None and abs(reported - watts) > _DISAGREE * max(reported, watts)
    found = {"counter_tick_ms": f"{tick * 1e3:.3g}", "idle_w": f"{watts:.3g}"}
    return Facts(
        tick=tick,
        idle=watts,
        flags=("counter_and_power_disagree",) if odd else (),
        details=counter.details() | found,
    )


def _tick(counter: Counter, clock: Clock) -> float:
    """Return the mean seconds between two steps, from the first step seen to the last."""
    began, steps, last = clock.now(), 0, counter.read()
    first = latest = began
    while steps <= STEPS and clock.now() - began < PATIENCE_S:
        raw = counter.read()
        if raw != last:
            last, latest, steps = raw, clock.now(), steps + 1
            first = latest if steps == 1 else first
    if steps < 2:
        raise CounterError("the counter does not move")
    return (latest - first) / (steps - 1)


def _idle(counter: Counter, clock: Clock) -> tuple[float, float | None]:
    """Return the watts of the idle device by the counter, and those that it reports."""
    start, began = counter.read(), clock.now()
    clock.sleep(IDLE_S)
    reported = counter.power()
    joules = counter.joules(start, counter.read())
    return joules / (clock.now() - began), reported
