"""Which trials are native: a stock class of transformers holds their model."""

from __future__ import annotations

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.records import Study, Trial, TrialResult


def is_native(result: TrialResult, dense: Architecture | None) -> bool | None:
    """Return whether a trial's model is native; ``None`` where it is not known.

    Where the trial did not note it, it is known only of models that kept the first layers whole.
    """
    if result.native is not None or result.architecture is None or dense is None:
        return result.native
    return True if _kept_the_first(result.architecture, dense) else None


def native_trials(study: Study) -> tuple[Trial, ...]:
    """Return the trials of a study whose model is known to be native."""
    dense = study.reference.architecture if study.reference else None
    return tuple(t for t in study.trials if t.result and is_native(t.result, dense))


def _kept_the_first(now: Architecture, dense: Architecture) -> bool:
    kept = sum(not layer.dropped for layer in now.layers)
    dropped = all(layer.dropped for layer in now.layers[kept:])
    return dropped and now.layers[:kept] == dense.layers[:kept] and now.hidden == dense.hidden
