"""Costs of plans, and the units that fit within a cost target."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.core.errors import TrialError
from pareto_prune.pruning.cost import BlendedCost, keep_within, smallest, total
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.scores import UnitScores
from tests.pruning.fakes import LinearTable

DENSE = Architecture(
    hidden=32, head_size=8, layers=tuple(LayerShape(heads=4, neurons=64) for _ in range(3))
)
TABLE = LinearTable()


def scores(seed: int) -> UnitScores:
    generator = torch.Generator().manual_seed(seed)
    return UnitScores(
        heads=tuple(torch.rand(4, generator=generator) for _ in range(3)),
        neurons=tuple(torch.rand(64, generator=generator) for _ in range(3)),
    )


def plan(kept: list) -> PruningPlan:
    return PruningPlan.of((k.heads.tolist(), k.neurons.tolist()) for k in kept)


@given(seed=st.integers(0, 1000), target=st.floats(0.05, 1.0), per_cost=st.booleans())
def test_the_target_is_met_within_one_unit(seed: int, target: float, per_cost: bool) -> None:
    kept = plan(keep_within(scores(seed), TABLE, DENSE, target, per_cost=per_cost))
    cost = total(TABLE, kept.architecture(DENSE))
    limit = target * total(TABLE, DENSE)
    assert cost <= limit * (1 + 1e-6)
    assert cost > limit - TABLE.per_head - 1e-6 or kept == PruningPlan.dense(DENSE)


@given(seed=st.integers(0, 1000), target=st.floats(0.2, 0.9))
def test_what_stays_scores_higher_than_what_goes(seed: int, target: float) -> None:
    given_scores = scores(seed)
    kept = plan(keep_within(given_scores, TABLE, DENSE, target, per_cost=False))
    stay, go = [], []
    for layer, units in enumerate(kept.layers):
        for kind, indices in (("heads", units.heads), ("neurons", units.neurons)):
            for unit, value in enumerate(getattr(given_scores, kind)[layer].tolist()):
                (stay if unit in indices else go).append(value)
    assert min(stay, default=1.0) >= max(go, default=0.0)


@given(seed=st.integers(0, 1000), target=st.floats(0.05, 1.0))
def test_widths_are_rounded_down(seed: int, target: float) -> None:
    kept = keep_within(scores(seed), TABLE, DENSE, target, multiple=8)
    assert all(len(units.neurons) % 8 == 0 for units in kept)
    assert total(TABLE, plan(kept).architecture(DENSE)) <= target * total(TABLE, DENSE) * 1.000001


def test_a_target_below_the_smallest_model_says_what_is_allowed() -> None:
    least = smallest(TABLE, DENSE)
    with pytest.raises(TrialError, match=f"allowed: {least:.3g} or more"):
        keep_within(scores(0), TABLE, DENSE, least * 0.9)


@pytest.mark.parametrize(
    ("alphas", "heads"),
    [((1.0, 0.0), 4 * 1.0 / total(TABLE, DENSE)), ((0.0, 0.0), None)],
)
def test_a_blend_costs_one_for_the_dense_model(
    alphas: tuple[float, float], heads: float | None
) -> None:
    energy = LinearTable(per_head=2.0, per_neuron=0.02, fixed=1.0)
    blend = BlendedCost(TABLE, energy, DENSE, *alphas)
    assert total(blend, DENSE) == pytest.approx(1.0)
    if heads is not None:
        assert blend.heads(0, 4) == pytest.approx(heads)
