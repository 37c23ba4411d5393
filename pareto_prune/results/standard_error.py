"""How well the metric of one model is known on so many examples, and what may be lost for it."""

from __future__ import annotations

import math

from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.records import Quality, Study
from pareto_prune.results.yardstick import Yardstick

LEAST_LOST, MOST_LOST = 0.01, 0.02
"""What a recommended point may lose of the metric, at least and at most."""


def dense_error(study: Study, measure: Yardstick) -> float:
    """Return the standard error of the dense model's metric; 0 where it is not known."""
    if study.reference is None:
        return 0.0
    return standard_error(study.reference.quality, measure.metric.name)


def standard_error(quality: Quality, metric: str) -> float:
    """Return the standard error of a metric; 0 where it is not known."""
    if metric in quality.intervals:
        low, high = quality.intervals[metric]
        return (high - low) / (2 * 1.96)
    share = quality.metrics.get(metric, 0.0)
    if not OBJECTIVES[metric].share or not 0 <= share <= 1:
        return 0.0
    return math.sqrt(share * (1 - share) / max(1, quality.examples))
