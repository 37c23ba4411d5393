"""The objectives of a model from what was measured, and whether they keep the bounds."""

from __future__ import annotations

from collections.abc import Sequence

from pareto_prune.core.bounds import bound
from pareto_prune.core.errors import TrialError
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.records import (
    DenseReference,
    Interval,
    Measurement,
    Quality,
)


def objective_values(
    reference: DenseReference,
    quality: Quality | None,
    measurement: Measurement | None,
    sizes: dict[str, int],
) -> tuple[dict[str, float], dict[str, Interval]]:
    """Return every objective that is known, by name, and the intervals of those that have one.

    Latency and energy are the ratio to the dense model in this process times the study's
    reference value.
    """
    values: dict[str, float] = {**(quality.metrics if quality else {}), **sizes}
    intervals = dict(quality.intervals) if quality else {}
    for name, ratio in (measurement.ratios if measurement else {}).items():
        standing = reference.measurement.readings.get(name)
        if ratio.value is None or standing is None or standing.value is None:
            continue
        values[name] = ratio.value * standing.value
        if ratio.interval is not None:
            low, high = ratio.interval
            intervals[name] = (low * standing.value, high * standing.value)
    kept = {name: value for name, value in values.items() if name in OBJECTIVES}
    return kept, {name: span for name, span in intervals.items() if name in kept}


def check_known(
    objectives: Sequence[str], values: dict[str, float], measurement: Measurement | None
) -> None:
    """Raise ``TrialError`` where an objective of the study is not known, with the reason."""
    for name in objectives:
        if name not in values:
            reading = measurement.readings.get(name) if measurement else None
            reason = reading.reason if reading and reading.reason else "not measured"
            raise TrialError("not_measured", f"{name} is not known: {reason}")


def violations(constraints: dict[str, str], values: dict[str, float]) -> dict[str, float]:
    """Return by how much each constraint is violated, as a share of its bound; ≤ 0 is met."""
    found = {}
    for name, text in constraints.items():
        if name in values:
            operator, limit = bound(text)
            excess = values[name] - limit if operator == "<=" else limit - values[name]
            found[name] = excess / max(abs(limit), 1e-12)
    return found
