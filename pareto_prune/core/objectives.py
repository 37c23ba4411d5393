"""The objectives of a study by name: unit, direction, and where a result holds each one.

Costs are known here. Metrics are what tasks make known of themselves: nothing below the tasks
knows any of their names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Objective:
    """What is optimised.

    Attributes:
        name: in study files and results.
        unit: of its values; those of a metric are fractions, 1 for a model without a fault.
        direction: of what is better; more of a metric is.
        kind: ``quality`` (from the task's metrics), ``measured`` (a ratio to the dense model
            times the study's reference value) or ``size`` (arithmetic on the plan).
        label: for people.
        share: whether a value is a share of independent examples, so that its standard error
            follows from it and their number.
    """

    name: str
    unit: str
    direction: Literal["maximize", "minimize"]
    kind: Literal["quality", "measured", "size"]
    label: str
    share: bool = False

    @property
    def sign(self) -> int:
        """+1 where less is better, -1 where more is: ``sign × value`` is minimised."""
        return 1 if self.direction == "minimize" else -1

    @property
    def is_speed(self) -> bool:
        """Whether it says how fast a model is, so that its ratio to another is a speed-up."""
        return self.unit in ("ms", "samples/s")


def metric(name: str, label: str, share: bool = False) -> Objective:
    """Return a metric of a task: a fraction, of which more is better.

    The front reckons in points, hundredths of it, and from what a model that learned nothing
    reaches; an error in units of its own is stated as the share that a model explains.
    """
    return Objective(name, "fraction", "maximize", "quality", label, share)


COSTS: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective("latency_ms", "ms", "minimize", "measured", "latency"),
        Objective("latency_cold_ms", "ms", "minimize", "measured", "latency, cold"),
        Objective("latency_p95_ms", "ms", "minimize", "measured", "latency, 95th percentile"),
        Objective("throughput", "samples/s", "maximize", "measured", "throughput"),
        Objective("energy_j", "J/sample", "minimize", "measured", "energy"),
        Objective("parameters", "count", "minimize", "size", "parameters"),
        Objective("bytes", "B", "minimize", "size", "size on disk"),
    )
}


class Objectives(Mapping[str, Objective]):
    """All objectives by name, the metrics of tasks first."""

    def __init__(self) -> None:
        self._metrics: dict[str, Objective] = {}
        self._ask: Callable[[], Mapping[str, Objective]] = dict

    def told_by(self, metrics: Callable[[], Mapping[str, Objective]]) -> None:
        """Ask ``metrics`` for the metrics of all tasks, each time that one is not known yet."""
        self._ask = metrics

    def __getitem__(self, name: str) -> Objective:
        if name in COSTS:
            return COSTS[name]
        if name not in self._metrics:
            self._metrics = dict(self._ask())
        return self._metrics[name]

    def __iter__(self) -> Iterator[str]:
        return iter({**self._ask(), **COSTS})

    def __len__(self) -> int:
        return len({**self._ask(), **COSTS})


OBJECTIVES = Objectives()
