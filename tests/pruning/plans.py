"""Hypothesis strategies for pruning plans of the tiny models."""

from __future__ import annotations

from hypothesis import strategies as st

from pareto_prune.pruning.plan import PruningPlan
from tests.tiny import HEADS, HIDDEN, LAYERS, NEURONS


def subsets(total: int, least: int = 0) -> st.SearchStrategy[list[int]]:
    """Subsets of the first ``total`` integers, sorted; whole and empty ones are likely."""
    some = st.sets(st.integers(0, total - 1), min_size=least).map(sorted)
    whole = st.just(list(range(total)))
    return st.one_of(some, whole, *([st.just([])] if least == 0 else []))


def plans(channels: bool = False) -> st.SearchStrategy[PruningPlan]:
    """Plans of any shape: empty sublayers, dropped layers, all layers dropped."""
    layer = st.one_of(st.tuples(subsets(HEADS), subsets(NEURONS)), st.just(([], [])))
    hidden = subsets(HIDDEN, least=8) if channels else st.none()
    return st.builds(PruningPlan.of, st.lists(layer, min_size=LAYERS, max_size=LAYERS), hidden)


def subplan(plan: PruningPlan, other: PruningPlan) -> PruningPlan:
    """The plan that keeps what both keep."""
    channels = plan.channels
    if channels is not None and other.channels is not None:
        channels = tuple(sorted(set(channels) & set(other.channels))) or channels
    return PruningPlan.of(
        (
            (set(a.heads) & set(b.heads), set(a.neurons) & set(b.neurons))
            for a, b in zip(plan.layers, other.layers, strict=True)
        ),
        channels,
    )
