"""How far a cost may be off in a second run of the same model, which pairs in one run do not show.

The spread between two runs is that of the logarithms of their ratios: taken from what is known of
this study's machine, its dense model against itself and every point that was measured afresh by
``confirm``, held together with as many imagined pairs of a usual machine as are worth four.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from pareto_prune.core.objectives import COSTS
from pareto_prune.core.records import Interval, Study

USUAL_SPREAD = 0.05
"""Standard deviation of the logarithm of the ratio of two runs, where nothing is known."""
WORTH = 4
FARTHEST = 4 * USUAL_SPREAD
"""What a pair that is farther apart counts as: it must not blur all others (Huber's bound)."""
_Z = 1.96
_EXACT = ("parameters", "bytes")


def spreads_of(study: Study) -> dict[str, float]:
    """Return the spread between two runs by cost."""
    return {name: _spread(list(_logs(study, name))) for name in COSTS if name not in _EXACT}


def _spread(logs: list[float]) -> float:
    squares = WORTH * USUAL_SPREAD**2 + sum(min(abs(log), FARTHEST) ** 2 for log in logs)
    return math.sqrt(squares / (WORTH + len(logs)))


def _logs(study: Study, name: str) -> Iterable[float]:
    """Yield the logarithms of the ratios of two runs of one model."""
    itself = study.reference.measurement.ratios.get(name) if study.reference else None
    if itself is not None and itself.value:
        yield math.log(itself.value)
    searched = {trial.number: trial.result for trial in study.trials}
    for one in study.confirmations:
        result = searched.get(one.number)
        before = result.values.get(name) if result else None
        after = one.values.get(name)
        if before and after:
            yield math.log(after / before)


def widened(
    intervals: Mapping[str, Interval], values: Mapping[str, float], spreads: Mapping[str, float]
) -> dict[str, Interval]:
    """Return intervals in which a second run is to be expected; those of the metric as they are."""
    return {
        name: _wide(values[name], found, spreads[name])
        if name in spreads and name in values
        else found
        for name, found in intervals.items()
    }


def _wide(value: float, interval: Interval, spread: float) -> Interval:
    if not 0 < interval[0] <= value <= interval[1]:
        return interval
    below, above = (math.hypot(math.log(end / value), _Z * spread) for end in interval)
    return value * math.exp(-below), value * math.exp(above)
