"""Warm start: the front of another study as the first candidates of a new one.

Another device, another data set, the same model: what was good there is likely good here, and is
pruned, trained and measured anew like any candidate.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import MismatchError, Problem, UserError
from pareto_prune.core.records import DENSE_STARTER, Candidate, Study
from pareto_prune.results.front import front_of
from pareto_prune.search.space import DEPLOYMENT, Gene, SearchSpace, Value, first_population
from pareto_prune.search.starters import starting_candidates

OPTION = "--from"


def warm_candidates(source: Study, config: StudyConfig, dense: Architecture) -> list[Candidate]:
    """Return the first candidates of a study: dense, the front of ``source``, the other starters.

    The front gives at most a first population, evenly over its metric. A candidate of a strategy
    or importance that the new study does not know is left out.

    Args:
        source: the study to start from.
        config: of the new study.
        dense: shape of the new study's dense model.

    Raises:
        MismatchError: the source is of a model of another shape.
        UserError: it has no front to start from.
    """
    _check_same_shape(source, dense)
    space = SearchSpace.of(config, dense)
    first = starting_candidates(config, space)
    known = [c.model_copy(update={"starter": named(source)}) for c in _front(source, space)]
    if not known:
        wrong = "has no point on its front that this study could try"
        raise UserError(Problem(f"{OPTION} {source.name}", wrong, "allowed: a study with a front"))
    room = first_population(config.limits.trials)
    own = [one for one in first if one.starter != DENSE_STARTER]
    return [*(one for one in first if one.starter == DENSE_STARTER), *_spread(known, room), *own]


def named(source: Study) -> str:
    """Return the starter's name of what comes from a study."""
    return f"from {source.name}"


def _check_same_shape(source: Study, dense: Architecture) -> None:
    where = f"{OPTION} {source.name}"
    if source.reference is None:
        raise UserError(Problem(where, "has no dense model yet", "allowed: a study that was run"))
    other = source.reference.architecture
    if other != dense:
        wrong = f"is of a model of another shape: {_said(other)} there, {_said(dense)} here"
        raise MismatchError(Problem(where, wrong, "allowed: a study of the same model"))


def _said(shape: Architecture) -> str:
    heads, neurons = shape.heads, shape.neurons
    return f"{len(shape.layers)} layers, hidden {shape.hidden}, {heads} heads, {neurons} neurons"


def _front(source: Study, space: SearchSpace) -> Iterable[Candidate]:
    """Yield the candidates of the front that the space can hold, best metric first."""
    candidates = {trial.number: trial.candidate for trial in source.trials}
    for point in front_of(source).members:
        candidate = candidates[point.number]
        if (
            candidate is None
            or point.starter == DENSE_STARTER
            or candidate.strategy not in space.reads
        ):
            continue
        if all(_holds(gene, value) for gene, value in _genes(candidate, space)):
            yield _deployed(candidate, space)


def _genes(candidate: Candidate, space: SearchSpace) -> Iterable[tuple[Gene, Value]]:
    params = space.to_params(candidate)
    return [(gene, params[gene.name]) for gene in space.genes if gene.field != "strategy"]


def _holds(gene: Gene, value: Value) -> bool:
    return not gene.choices or value in gene.choices


def _deployed(candidate: Candidate, space: SearchSpace) -> Candidate:
    """Return the candidate without what of its deployment the study does not search.

    Nor is it a promotion here: its model is in the other study.
    """
    searched = {gene.name for gene in space.genes if gene.field == "deployment"}
    kept = {k: v for k, v in candidate.deployment.items() if DEPLOYMENT + k in searched}
    vocabulary = _vocabulary(candidate, space)
    own = {"deployment": kept, "vocabulary": vocabulary, "parent": None, "rung": 0}
    return candidate.model_copy(update=own)


def _vocabulary(candidate: Candidate, space: SearchSpace) -> Value:
    """Return what stays of the vocabulary here: its own share where the study searches shares."""
    gene = space.gene("vocabulary")
    if gene is None:
        return space.constants["vocabulary"]
    return gene.high if isinstance(candidate.vocabulary, str) else candidate.vocabulary


def _spread(candidates: list[Candidate], room: int) -> list[Candidate]:
    if len(candidates) <= room:
        return candidates
    return [candidates[round(i)] for i in np.linspace(0, len(candidates) - 1, room)]
