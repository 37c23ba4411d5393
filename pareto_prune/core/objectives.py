"""The objectives of a study by name: unit, direction, and where a result holds each one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True)
class Objective:
    """What is optimised.

    Attributes:
        kind: ``quality`` (from the task's metrics), ``measured`` (a ratio to the dense model
            times the study's reference value) or ``size`` (arithmetic on the plan).
    """

    name: str
    unit: str
    direction: Literal["maximize", "minimize"]
    kind: Literal["quality", "measured", "size"]
    label: str

    @property
    def sign(self) -> int:
        """+1 where less is better, -1 where more is: ``sign × value`` is minimised."""
        return 1 if self.direction == "minimize" else -1

    @property
    def is_speed(self) -> bool:
        """Whether it says how fast a model is, so that its ratio to another is a speed-up."""
        return self.unit in ("ms", "samples/s")


OBJECTIVES: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective("accuracy", "fraction", "maximize", "quality", "accuracy"),
        Objective("f1", "fraction", "maximize", "quality", "F1 (macro)"),
        Objective("mcc", "fraction", "maximize", "quality", "Matthews correlation"),
        Objective("span_f1", "fraction", "maximize", "quality", "span F1"),
        Objective("latency_ms", "ms", "minimize", "measured", "latency"),
        Objective("latency_p95_ms", "ms", "minimize", "measured", "latency, 95th percentile"),
        Objective("throughput", "samples/s", "maximize", "measured", "throughput"),
        Objective("energy_j", "J/sample", "minimize", "measured", "energy"),
        Objective("parameters", "count", "minimize", "size", "parameters"),
        Objective("bytes", "B", "minimize", "size", "size on disk"),
    )
}

QUALITY_METRICS = tuple(o.name for o in OBJECTIVES.values() if o.kind == "quality")
