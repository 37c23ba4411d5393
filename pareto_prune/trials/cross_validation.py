"""The metric of a candidate over folds of the training data."""

from __future__ import annotations

from collections.abc import Sequence

from pareto_prune.core.records import (
    Quality,
)
from pareto_prune.trials.context import TrialContext, context_of
from pareto_prune.trials.stages import prune_candidate, quality_of


def cross_validated(whole: TrialContext) -> Quality:
    """Return the mean quality over the folds, each pruned and tuned by itself."""
    found = []
    for fold in whole.bench.folds:
        context = context_of(
            whole.bench, fold, whole.candidate, whole.seed, whole.check, whole.timings
        )
        pruned = prune_candidate(context)
        context.finish(pruned.model)
        found.append(quality_of(context, pruned.model))
    return _mean(found)


def _mean(found: Sequence[Quality]) -> Quality:
    """Return the mean over folds; its interval is ±1.96 standard errors of that mean."""
    import numpy as np

    metrics, intervals = {}, {}
    for name in found[0].metrics:
        values = np.array([quality.metrics[name] for quality in found])
        error = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
        metrics[name] = float(values.mean())
        intervals[name] = (float(values.mean() - error), float(values.mean() + error))
    return Quality(
        metrics=metrics,
        intervals=intervals,
        examples=sum(quality.examples for quality in found),
        loss=float(np.mean([quality.loss for quality in found])),
    )
