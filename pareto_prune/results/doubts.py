"""Why no point is to be recommended: the numbers of a study are too few to tell."""

from __future__ import annotations

from pareto_prune.core.quantities import points, written
from pareto_prune.core.records import DenseReference, Study
from pareto_prune.results.standard_error import MOST_LOST, standard_error
from pareto_prune.results.yardstick import Yardstick


def doubts_of(study: Study, measure: Yardstick) -> tuple[str, ...]:
    """Return why no point of a study is to be recommended; empty where nothing is amiss."""
    if study.reference is None or not measure.complete:
        return ()
    found = (
        _at_chance(study.reference, measure),
        _few_examples(study.reference, measure),
        _only_starters(study),
    )
    return tuple(one for one in found if one)


def _at_chance(reference: DenseReference, measure: Yardstick) -> str | None:
    name, label = measure.metric.name, measure.metric.label
    value = measure.reference[name]
    low, _ = reference.quality.intervals.get(name, (value, value))
    if low > measure.chance:
        return None
    return (
        f"the dense model's {label}, {written(name, value)}, cannot be told from that of a model "
        f"that learned nothing ({written(name, measure.chance)})"
    )


def _few_examples(reference: DenseReference, measure: Yardstick) -> str | None:
    error = standard_error(reference.quality, measure.metric.name)
    if error <= MOST_LOST:
        return None
    return (
        f"{reference.quality.examples} validation examples tell the {measure.metric.label} to "
        f"± {points(error)} (standard error), no better than what a recommended point may lose "
        f"({points(MOST_LOST)})"
    )


def _only_starters(study: Study) -> str | None:
    finished = [trial for trial in study.trials if trial.state.finished]
    if not finished or any(t.candidate is None or t.candidate.starter is None for t in finished):
        return None
    if len(finished) == 1:
        return "the only trial was a starter: nothing has been searched yet"
    return f"all {len(finished)} trials were starters: nothing has been searched yet"
