"""Starters: candidates put in at the start of a study. One file each.

They give the search points that are known to be worth having, and the plot their names. At most
half of the first population is made of them; the dense model always comes first.

A starter that needs an exact shape says it through ``sublayers``, read as sparsities by the
strategy that :func:`shaped` picks; a sublayer at sparsity 1 goes as a whole.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Protocol

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import DENSE_STARTER, Candidate
from pareto_prune.core.registry import Registry
from pareto_prune.search.space import SHAPED, Gene, SearchSpace, Value, first_population


class Starter(Protocol):
    """Candidates worth trying first. A member is a frozen dataclass; its fields are its options."""

    def candidates(self, config: StudyConfig, space: SearchSpace) -> list[Candidate]:
        """Return the candidates, most useful first, each with ``starter`` naming where it is from.

        Pure and deterministic. Empty where the study cannot make them.
        """


starters: Registry[Starter] = Registry("starter", __name__)


def starting_candidates(config: StudyConfig, space: SearchSpace) -> list[Candidate]:
    """Return the candidates of all starters of the study, at most half of the first population.

    The dense model and ``balanced``, which draw a first front, come whole; the others take turns,
    so that a long one does not crowd the rest out.

    Raises:
        UnknownNameError: no such starter.
    """
    names = dict.fromkeys(config.search.starters)
    lists = {name: starters.create(name).candidates(config, space) for name in names}
    first = [one for name in FIRST for one in lists.pop(name, [])]
    turns = zip_longest(*lists.values())
    others = [one for turn in turns for one in turn if one is not None]
    room = max(1, first_population(config.limits.trials) // 2)
    return _distinct([*first, *others])[:room]


FIRST = (DENSE_STARTER, "balanced")
"""Starters that come before all others, in this order."""


def _distinct(candidates: list[Candidate]) -> list[Candidate]:
    """Drop a candidate that sets everything as an earlier one does."""
    kept: dict[str, Candidate] = {}
    for candidate in candidates:
        kept.setdefault(candidate.model_dump_json(exclude={"starter"}), candidate)
    return list(kept.values())


def plain(space: SearchSpace) -> Candidate:
    """Return the candidate to start from: defaults, as far as the study's ranges allow them."""
    return space.to_candidate({gene.name: _default(gene) for gene in space.genes})


def _default(gene: Gene) -> Value:
    if gene.choices or gene.field == "sublayers":
        return gene.only
    return min(gene.high, max(gene.low, Candidate.model_fields[gene.field].default))


def shaped(space: SearchSpace, sparsities: tuple[float, ...], starter: str) -> Candidate:
    """Return the candidate that cuts every sublayer at the given sparsity, whatever the ranges.

    Its strategy is the first of ``layer_wise``, ``l2``, ``l1`` that the study searches and that
    reads ``sublayers``, else ``layer_wise``.
    """
    strategy = next((name for name in SHAPED if _can_shape(space, name)), SHAPED[0])
    change = {"strategy": strategy, "sublayers": sparsities, "cost_target": 1.0, "threshold": 0.0}
    return plain(space).model_copy(update={**change, "starter": starter})


def _can_shape(space: SearchSpace, strategy: str) -> bool:
    gene = space.gene("strategy")
    searched = gene.choices if gene else (space.constants["strategy"],)
    return strategy in searched and "sublayers" in space.reads.get(strategy, ())
