"""A clock, counters and an engine that follow a script. No time passes."""

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import numpy as np

from pareto_prune.core.records import Grade
from pareto_prune.measure.energy import CounterError
from pareto_prune.models.families import architecture


@dataclass
class ScriptedClock:
    """Time passes when the script says so.

    ``neighbour`` is the share of one core that somebody else uses meanwhile.
    """

    cores: int = 2
    neighbour: Callable[[float], float] = lambda now: 0.0
    wall: float = 100.0
    own: float = 0.0
    others: float = 0.0
    slept: float = 0.0

    def now(self) -> float:
        return self.wall

    def cpu(self) -> float:
        return self.own

    def busy(self) -> float | None:
        return self.own + self.others

    def sleep(self, seconds: float) -> None:
        self.slept += seconds
        self.wait(seconds)

    def wait(self, seconds: float) -> None:
        self.others += self.neighbour(self.wall) * seconds
        self.wall += seconds

    def work(self, seconds: float, cpu: float | None = None) -> None:
        self.wait(seconds)
        self.own += seconds if cpu is None else cpu


@dataclass
class ScriptedCounter:
    """A counter of constant power that moves every ``tick`` seconds; reading takes 0.1 ms."""

    clock: ScriptedClock
    watts: float = 50.0
    tick: float = 0.1
    source: str = "nvml"
    scope: str = "gpu"
    grade: Grade = "measured"
    limit: float | None = None
    flags: tuple[str, ...] = ()
    reported: float | None = None
    busy: bool | None = None
    failure: str | None = None
    sign: int = 1
    closed: bool = False

    def read(self) -> float:
        if self.failure is not None:
            raise CounterError(self.failure)
        self.clock.wait(1e-4)
        return self.sign * self.watts * self.tick * np.floor(self.clock.now() / self.tick + 1e-9)

    def joules(self, start: float, end: float) -> float:
        if end < start:
            raise CounterError("the counter fell")
        return end - start

    def power(self) -> float | None:
        return self.reported

    def foreign(self) -> bool | None:
        return self.busy

    def details(self) -> dict[str, str]:
        return {"driver": "scripted"}

    def close(self) -> None:
        self.closed = True


def call(clock: ScriptedClock, seconds: float | Sequence[float]) -> Callable[[], None]:
    """A call that takes these seconds, one after the other, and all of them on a core."""
    times = iter(()) if isinstance(seconds, float) else iter(seconds)
    fixed = seconds if isinstance(seconds, float) else 0.0
    return lambda: clock.work(next(times, fixed))


@dataclass(frozen=True)
class ScriptedSession:
    """A model that takes 1 ms and 10 µs a head or neuron; a batch of n takes n times that."""

    clock: ScriptedClock
    cost: float
    settings: Any
    started: list[Any] = field(default_factory=list)

    def bind(self, inputs: Any) -> Callable[[], None]:
        size = inputs["input_ids"].size / 10
        return lambda: self.clock.work(self.cost * size)

    def logits(self, inputs: Any) -> Any:
        return np.zeros((len(inputs["input_ids"]), 2), np.float32)

    def twin(self) -> "ScriptedSession":
        return replace(self)


@dataclass(frozen=True)
class ScriptedEngine:
    """Runs nothing; its sessions move the clock. int8 is four times as fast, threads divide."""

    clock: ScriptedClock
    quiet_threads: ClassVar[int] = 1
    calibrates: ClassVar[bool] = False

    @staticmethod
    def why_not() -> str | None:
        return None

    @staticmethod
    def why_not_on(device: str) -> str | None:
        return None

    @staticmethod
    def dtypes(device: str) -> tuple[str, ...]:
        return ("float32", "int8")

    def version(self) -> str:
        return "scripted 1"

    def prepare(self, model: Any, settings: Any) -> ScriptedSession:
        shape = architecture(model)
        cost = 1e-3 + 1e-5 * (shape.heads + shape.neurons)
        cost /= settings.threads * (4 if settings.dtype == "int8" else 1)
        return ScriptedSession(self.clock, cost, settings)

    def exclusive(self) -> Any:
        return nullcontext()
