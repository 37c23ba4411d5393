"""How rows of genes are made, crossed and mutated: always within the space."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.search.samplers._variation import (
    ALIKE,
    Layout,
    crossed,
    farthest,
    filled,
    latin,
    mutated,
    polynomial_step,
    reread,
    shifted,
    spread,
    uniform,
)
from tests.samplers.histories import SPACE

LAYOUT = Layout.of(SPACE)
seeds = st.integers(0, 2**32 - 1)


def check_inside(row: np.ndarray) -> None:
    assert row.shape == (len(LAYOUT),)
    assert (row >= 0).all()
    assert (row[LAYOUT.numbers] <= 1).all()
    categories = ~LAYOUT.numbers
    assert (row[categories] < LAYOUT.choices[categories]).all()
    assert (row[categories] == np.floor(row[categories])).all()


@given(seeds)
def test_everything_stays_inside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one, other = uniform(LAYOUT, rng), spread(LAYOUT, rng.random(len(LAYOUT)), 0.9, 0.5)
    for row in (
        one,
        other,
        crossed(LAYOUT, one, other, rng),
        mutated(LAYOUT, one, rng, 1.0, 1.0),
        shifted(LAYOUT, other, rng, 1.0),
        filled(LAYOUT, np.full(len(LAYOUT), np.nan), rng),
    ):
        check_inside(row)


@given(seeds)
def test_a_child_of_equals_is_their_equal(seed: int) -> None:
    rng = np.random.default_rng(seed)
    row = uniform(LAYOUT, rng)
    assert crossed(LAYOUT, row, row, rng) == pytest.approx(row)


@given(seeds)
def test_numbers_of_a_child_lie_on_one_line(seed: int) -> None:
    rng = np.random.default_rng(seed)
    one = np.where(LAYOUT.numbers, 0.4, 0.0)
    other = np.where(LAYOUT.numbers, 0.6, 0.0)
    child = crossed(LAYOUT, one, other, rng)[LAYOUT.numbers]
    assert np.ptp(child) < 1e-12
    assert 0.35 <= child[0] <= 0.65


@given(seeds)
def test_a_mutated_category_is_another(seed: int) -> None:
    rng = np.random.default_rng(seed)
    row = uniform(LAYOUT, rng)
    categories = ~LAYOUT.numbers
    assert (mutated(LAYOUT, row, rng, 1.0, 5.0)[categories] != row[categories]).all()


def test_nothing_mutates_at_probability_0() -> None:
    row = uniform(LAYOUT, np.random.default_rng(0))
    assert (mutated(LAYOUT, row, np.random.default_rng(1), 0.0, 5.0) == row).all()


@given(st.floats(0, 1), st.floats(0, 1, exclude_max=True), st.floats(0.5, 50))
def test_a_polynomial_step_never_leaves_the_range(value: float, chance: float, eta: float) -> None:
    step = polynomial_step(np.array([value]), np.array([chance]), eta)[0]
    assert -1e-9 <= value + step <= 1 + 1e-9
    assert (step <= 0) if chance < 0.5 else (step >= 0)


def test_polynomial_steps_by_hand() -> None:
    """Chance 0 goes to the lower bound, 0.5 stays; η = 1 halves at (1 - x²) / 2 from the top."""
    values = np.array([0.3, 0.3, 1.0])
    steps = polynomial_step(values, np.array([0.0, 0.5, 0.125]), 1.0)
    assert steps == pytest.approx([-0.3, 0.0, -0.5])


def test_a_shift_moves_all_sublayers_alike_and_the_cost_target_against_them() -> None:
    assert LAYOUT.target.sum() == 1
    row = np.where(LAYOUT.kin | LAYOUT.target, 0.5, 0.0)
    moved = shifted(LAYOUT, row, np.random.default_rng(3), 5.0)
    steps = (moved - row)[LAYOUT.kin]
    assert np.ptp(steps) < 1e-12
    assert steps[0] != 0
    assert (moved - row)[LAYOUT.target] == pytest.approx(-steps[0])
    assert (moved == row)[~(LAYOUT.kin | LAYOUT.target)].all()


def row_of(strategy: str, target: float, kin: float) -> np.ndarray:
    gene = SPACE.gene("strategy")
    assert gene is not None
    row = np.where(LAYOUT.kin, kin, np.where(LAYOUT.target, target, 0.0))
    row[LAYOUT.strategy] = gene.choices.index(strategy)
    return row


def test_a_level_is_the_cost_target_only_where_the_strategy_meets_it() -> None:
    rows = np.stack([row_of("balanced", 0.2, 0.9), row_of("layer_wise", 0.2, 0.9)])
    assert LAYOUT.aims(rows).tolist() == [True, False]
    assert LAYOUT.levels(rows) == pytest.approx([0.2, 0.9])


def test_the_farthest_row_is_where_its_kind_was_tried_least() -> None:
    tried = np.stack(
        [
            row_of("balanced", 0.1, 0.5),
            row_of("balanced", 0.9, 0.5),
            row_of("layer_wise", 0.5, 0.5),
            np.full(len(LAYOUT), np.nan),
        ]
    )
    ways = np.stack([row_of("balanced", target, 0.5) for target in (0.2, 0.55, 0.8)])
    assert farthest(LAYOUT, ways, tried)[LAYOUT.target] == 0.55
    assert farthest(LAYOUT, ways, tried[2:])[LAYOUT.target] == 0.2
    shapes = np.stack([row_of("layer_wise", 0.5, level) for level in (0.45, 0.1)])
    assert farthest(LAYOUT, shapes, tried)[LAYOUT.kin][0] == 0.1


def test_a_level_next_to_the_end_of_its_range_is_not_far_from_all_others() -> None:
    tried = np.stack([row_of("balanced", target, 0.5) for target in (0.3, 0.6)])
    ways = np.stack([row_of("balanced", target, 0.5) for target in (0.98, 0.8, 0.02)])
    assert farthest(LAYOUT, ways, tried)[LAYOUT.target] == 0.8


def realised(target: float, kin: float) -> np.ndarray:
    row = np.where(LAYOUT.kin, kin, np.where(LAYOUT.target, target, np.nan))
    return np.where(LAYOUT.numbers, row, np.nan)


def index_of(strategy: str) -> int:
    return int(row_of(strategy, 0.0, 0.0)[LAYOUT.strategy][0])


@pytest.mark.parametrize(
    ("own", "child", "target", "kin"),
    [
        ("balanced", "balanced", 0.9, 0.8),  # its own genes, which it has read
        ("balanced", "layer_wise", 0.9, 0.4),  # the sparsities that came out, not the weights
        ("layer_wise", "balanced", 0.1, ALIKE),  # the cost that came out; no layer weighs more
        ("layer_wise", "l1", 0.1, 0.8),  # sparsities to both
    ],
)
def test_a_child_reads_of_a_parent_what_its_model_came_out_as(
    own: str, child: str, target: float, kin: float
) -> None:
    found = reread(LAYOUT, row_of(own, 0.9, 0.8), realised(0.1, 0.4), index_of(child))
    assert found[LAYOUT.target] == target
    assert (found[LAYOUT.kin] == kin).all()


@pytest.mark.parametrize("own", ["balanced", "layer_wise", "l1"])
@pytest.mark.parametrize("child", ["balanced", "layer_wise", "l1"])
def test_what_is_not_known_of_a_model_stays_as_it_was_drawn(own: str, child: str) -> None:
    row = row_of(own, 0.9, 0.8)
    found = reread(LAYOUT, row, np.full(len(LAYOUT), np.nan), index_of(child))
    weighs = child == "balanced" != own
    assert (found[~LAYOUT.kin] == row[~LAYOUT.kin]).all()
    assert (found[LAYOUT.kin] == (ALIKE if weighs else 0.8)).all()


@given(st.integers(1, 30), st.integers(0, 1000))
def test_a_latin_hypercube_takes_every_stratum_once(size: int, seed: int) -> None:
    rows = np.array([latin(LAYOUT, index, size, seed) for index in range(size)])
    strata = np.sort(np.floor(rows * size).astype(int), axis=0)
    assert (strata == np.arange(size)[:, None]).all()


def test_levels_spread_a_population_where_single_draws_cancel_out() -> None:
    """Twelve sublayers drawn one by one all average about a half."""
    rows = np.random.default_rng(0).random((200, len(LAYOUT)))
    alone = rows[:, LAYOUT.kin].mean(1)
    together = [
        spread(LAYOUT, row, level, 0.2)[LAYOUT.kin].mean()
        for row, level in zip(rows, np.linspace(0, 1, 200), strict=True)
    ]
    assert np.std(together) > 2 * np.std(alone)
