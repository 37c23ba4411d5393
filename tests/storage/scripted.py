"""Stand-in trials: a formula instead of a model, so that a whole study takes a moment."""

from __future__ import annotations

import sys
from typing import Any

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.progress import Progress
from pareto_prune.core.records import (
    Candidate,
    DenseReference,
    Environment,
    Measurement,
    Quality,
    Reading,
    Rung,
    TrialResult,
)
from pareto_prune.running.assignment import Assignment, RunTrial
from pareto_prune.search.space import SearchSpace

ARCHITECTURE = Architecture(hidden=32, head_size=8, layers=(LayerShape(heads=4, neurons=64),) * 3)
READS = {
    "balanced": frozenset({"cost_target", "sublayers", "alpha_latency", "alpha_energy"}),
    "layer_wise": frozenset({"importance", "sublayers"}),
    "l1": frozenset({"sublayers", "threshold"}),
    "l2": frozenset({"sublayers", "threshold"}),
}


def study_config(name: str = "scripted", trials: int = 12, **changes: Any) -> StudyConfig:
    """Return a study file; ``changes`` are top-level tables or keys."""
    content = {"name": name, "model": {"path": "none"}, "data": {"path": "none"}}
    return StudyConfig.model_validate(content | {"limits": {"trials": trials}} | changes)


def space_of(config: StudyConfig) -> SearchSpace:
    """Return the space of a study of the tiny architecture."""
    return SearchSpace.of(config, ARCHITECTURE, READS)


def values_of(candidate: Candidate) -> dict[str, float]:
    """Return what a candidate scores: more removed is cheaper and worse, each sublayer its way."""
    removed = candidate.sublayers or (candidate.cost_target,) * 6
    kept = 1 - sum(removed) / len(removed)
    lost = sum((0.1 + 0.05 * place) * share**2 for place, share in enumerate(removed))
    return {
        "accuracy": 0.9 - 0.3 * lost / len(removed),
        "latency_ms": 2.0 + 10.0 * kept,
        "energy_j": 0.02 + 0.1 * kept**1.2,
    }


def result_of(candidate: Candidate, **changes: Any) -> TrialResult:
    """Return the result of a candidate."""
    result = TrialResult(candidate=candidate, values=values_of(candidate))
    return result.model_copy(update=changes)


def rung_of(step: int, accuracy: float = 0.7) -> Rung:
    """Return a rung."""
    quality = Quality(metrics={"accuracy": accuracy}, examples=10, loss=0.5)
    return Rung(step=step, quality=quality, seconds=0.1)


def reference() -> DenseReference:
    """Return a dense reference."""
    reading = Reading(value=12.0, unit="ms", grade="measured", source="clock")
    return DenseReference(
        architecture=ARCHITECTURE,
        parameters=1000,
        bytes=4000,
        quality=rung_of(0, 0.9).quality,
        chance=0.5,
        measurement=Measurement(
            readings={"latency_ms": reading}, ratios={}, protocol=1, seconds=0.1
        ),
        digest="d",
        environment=environment(),
    )


def environment() -> Environment:
    """Return an environment."""
    return Environment(
        device="none", cores=1, threads=1, memory_gib=1.0, system="s", python="3", versions={}
    )


def run_scripted(assignment: Assignment) -> TrialResult:
    """Run a trial at once."""
    assignment.report_rung(rung_of(0))
    assignment.check()
    return result_of(assignment.candidate)


def run_saying(assignment: Assignment) -> TrialResult:
    """Say which trial runs, and run it."""
    print(f"running {assignment.number}", flush=True)
    return run_scripted(assignment)


def run_blocking(assignment: Assignment) -> TrialResult:
    """Say which trial runs, wait for a line on standard input, then end."""
    assignment.report_rung(rung_of(0))
    print(f"running {assignment.number}", flush=True)
    sys.stdin.readline()
    assignment.check()
    return result_of(assignment.candidate)


def prepare_scripted(progress: Progress) -> RunTrial:
    """Return what runs a trial at once; for processes."""
    return run_scripted
