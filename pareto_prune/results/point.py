"""One trial, or one named reference, as the front holds it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.quantities import written
from pareto_prune.core.records import Candidate, Trial, TrialResult
from pareto_prune.results.members import below_floor, feasible, result_of
from pareto_prune.results.native import is_native
from pareto_prune.results.records import NamedReference, Point
from pareto_prune.results.repeats import widened
from pareto_prune.results.rivals import beating
from pareto_prune.results.yardstick import Yardstick


def point_of(
    trial: Trial,
    measure: Yardstick,
    on_front: bool,
    references: Sequence[NamedReference] = (),
    dense: Architecture | None = None,
) -> Point:
    """Return a trial as the front holds it, beside the named references.

    ``dense`` is the dense model's shape.
    """
    candidate, result = trial.candidate, trial.result
    if candidate is None and result is not None:
        candidate = result.candidate
    fields = _result_fields(result, measure) if result else {}
    return Point(
        number=trial.number,
        state=trial.state,
        strategy=candidate.strategy if candidate else None,
        importance=candidate.importance if candidate else None,
        starter=candidate.starter if candidate else None,
        parent=candidate.parent if candidate else None,
        dtype=_dtype(candidate),
        on_front=on_front,
        beaten_by=beating(result.values, references, measure) if result else (),
        below_floor=below_floor(trial, measure),
        native=is_native(result, dense) if result else None,
        **fields,
        reason=_reason(trial, measure) if result else None,
    )


def _dtype(candidate: Candidate | None) -> str | None:
    given = candidate.deployment.get("dtype") if candidate else None
    return None if given is None else str(given)


def _result_fields(result: TrialResult, measure: Yardstick) -> dict[str, Any]:
    finite = {name: v for name, v in result.values.items() if math.isfinite(v)}
    return {
        "steps": result.steps,
        "parameters": result.parameters,
        "bytes": result.bytes,
        "values": finite,
        "intervals": widened(
            {name: i for name, i in result.intervals.items() if name in finite},
            finite,
            measure.spreads,
        ),
        "relative": measure.relative(finite),
        "architecture": result.architecture,
        "feasible": feasible(result),
    }


def _reason(trial: Trial, measure: Yardstick) -> str | None:
    result = result_of(trial)
    if result.failure:
        return f"{result.failure.kind}: {result.failure.reason}"
    if result.stop_reason and not result.audited:
        return result.stop_reason
    broken = [name for name, violation in result.violations.items() if violation > 0]
    if broken:
        return f"breaks the constraint on {', '.join(broken)}"
    if below_floor(trial, measure):
        floor = written(measure.metric.name, measure.floor)
        return f"its {measure.metric.label} is at or below {floor}, where a front ends"
    return (
        f"an audit ran on, it would have been stopped: {r}" if (r := result.stop_reason) else None
    )


def named_reference_of(result: TrialResult, measure: Yardstick) -> NamedReference:
    """Return a named reference as the front holds it."""
    return NamedReference(
        name=result.candidate.starter or result.candidate.strategy,
        parameters=result.parameters,
        values=result.values,
        intervals=widened(result.intervals, result.values, measure.spreads),
        relative=measure.relative(result.values),
        architecture=result.architecture,
    )
