"""Dominance and hypervolume against brute force, closed forms, Monte Carlo and Optuna's own."""

from __future__ import annotations

import itertools
import time

import hypothesis.extra.numpy as arrays
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pareto_prune.results.dominance import nondominated
from pareto_prune.results.hypervolume import gain, hypervolume


def grids(columns: st.SearchStrategy[int], rows: int = 24) -> st.SearchStrategy[np.ndarray]:
    """Points on a coarse grid in [0, 1], so that ties and duplicates are common."""
    shape = st.tuples(st.integers(0, rows), columns)
    cells = shape.flatmap(lambda s: arrays.arrays(np.int64, s, elements=st.integers(0, 5)))
    return cells.map(lambda a: a / 5)


def dominated(point: np.ndarray, by: np.ndarray) -> bool:
    return bool((by <= point).all() and (by < point).any())


@given(grids(st.integers(1, 5)))
def test_nondominated_is_the_definition(points):
    expected = [not any(dominated(p, q) for q in points) for p in points]
    assert nondominated(points).tolist() == expected


@given(grids(st.integers(4, 5), rows=12), st.integers(0, 2**32 - 1))
def test_order_of_rows_does_not_matter(points, seed):
    order = np.random.default_rng(seed).permutation(len(points))
    assert (nondominated(points)[order] == nondominated(points[order])).all()


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_blocks_and_sweep_at_size(columns):
    points = np.random.default_rng(columns).random((1500, columns))
    kept = nondominated(points)
    front = points[kept]
    for point in points[~kept]:
        assert ((front <= point).all(axis=1) & (front < point).any(axis=1)).any()
    below = (front[None] <= front[:, None]).all(axis=2)
    assert below.sum() == len(front)


def test_infinite_rows_take_part():
    points = np.array([[np.inf, 0.0], [0.0, np.inf], [np.inf, np.inf], [-np.inf, 5.0]])
    assert nondominated(points).tolist() == [True, False, False, True]


@pytest.mark.parametrize("points", [np.array([[np.nan, 1.0]]), np.zeros(3)])
def test_nan_and_flat_arrays_are_refused(points):
    with pytest.raises(ValueError, match="two-dimensional"):
        nondominated(points)


def test_hypervolume_refuses_flat_arrays():
    with pytest.raises(ValueError, match="two-dimensional"):
        hypervolume(np.zeros(3))


def by_inclusion(points: np.ndarray) -> float:
    """Volume of a union of boxes at the origin, by inclusion and exclusion."""
    total = 0.0
    for size in range(1, len(points) + 1):
        for subset in itertools.combinations(points, size):
            total += (-1) ** (size + 1) * float(np.prod(np.min(subset, axis=0)))
    return total


@given(grids(st.integers(1, 4), rows=7))
def test_hypervolume_is_that_of_the_union_of_boxes(points):
    assert hypervolume(points) == pytest.approx(by_inclusion(points), abs=1e-9)


@given(grids(st.integers(2, 4), rows=20))
@settings(deadline=None)
def test_hypervolume_is_optunas(points):
    from optuna._hypervolume import compute_hypervolume

    expected = compute_hypervolume(-points, np.zeros(points.shape[1])) if len(points) else 0.0
    assert hypervolume(points) == pytest.approx(expected, abs=1e-9)


@pytest.mark.parametrize("steps", [1, 2, 10, 100])
def test_staircase_in_closed_form(steps):
    """Steps (i/n, (n-i+1)/n): the area under a staircase is (n + 1) / 2n."""
    i = np.arange(1, steps + 1)
    stairs = np.stack([i / steps, (steps - i + 1) / steps], axis=1)
    area = (steps + 1) / (2 * steps)
    assert hypervolume(stairs) == pytest.approx(area)
    prism = np.column_stack([stairs, np.full(steps, 0.5)])
    assert hypervolume(prism) == pytest.approx(area / 2)
    assert hypervolume(prism[:, [2, 0, 1]]) == pytest.approx(area / 2)


def test_corner_steps_in_closed_form():
    """All (i, j, k)/n with i + j + k = n + 2: unit cells below the plane, C(n+2, 3) of n³."""
    n = 7
    cells = [c for c in itertools.product(range(1, n + 1), repeat=3) if sum(c) == n + 2]
    expected = (n + 2) * (n + 1) * n / 6 / n**3
    assert hypervolume(np.array(cells) / n) == pytest.approx(expected)


@pytest.mark.parametrize("columns", [2, 3, 4])
def test_hypervolume_by_monte_carlo(columns):
    rng = np.random.default_rng(columns)
    points = rng.random((25, columns))
    draws = rng.random((40_000, columns))
    share = (draws[:, None] <= points[None]).all(axis=2).any(axis=1).mean()
    assert hypervolume(points) == pytest.approx(share, abs=5 * 0.5 / 200)


def test_negative_coordinates_count_as_zero():
    assert hypervolume(np.array([[1.0, -0.5], [0.5, 0.5]])) == pytest.approx(0.25)


@given(grids(st.just(3), rows=12).filter(len))
def test_gain_is_the_difference(points):
    rest, added = points[:-1], points[-1]
    difference = hypervolume(points) - hypervolume(rest)
    assert gain(rest, added) == pytest.approx(difference, abs=1e-9)


def fastest(call, repeats: int = 5) -> float:
    times = []
    for _ in range(repeats):
        start = time.process_time()
        call()
        times.append(time.process_time() - start)
    return min(times)


def sphere(rows: int, columns: int = 3) -> np.ndarray:
    """Rows that do not dominate each other."""
    points = np.abs(np.random.default_rng(0).normal(size=(rows, columns)))
    return points / np.linalg.norm(points, axis=1, keepdims=True)


def test_ten_thousand_trials_take_at_most_50_ms():
    assert nondominated(-sphere(10_000)).all()
    assert fastest(lambda: nondominated(-sphere(10_000))) < 0.05 + fastest(lambda: sphere(10_000))


def test_hypervolume_of_a_thousand_points_is_quick():
    points = sphere(1000)
    assert hypervolume(points) == pytest.approx(np.pi / 6, abs=0.03)
    assert fastest(lambda: hypervolume(points)) < 0.05
