"""Nested solutions against direct least squares, and the greedy order against its definition."""

import itertools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pareto_prune.pruning import nested
from pareto_prune.pruning.nested import NestedSolutions, removal_order

SIZES = st.sampled_from([1, 3])


def problem(units, size, out, seed):
    """Correlated inputs with a mean, a projection, and its outputs."""
    generator = torch.Generator().manual_seed(seed)
    width = units * size

    def draw(*shape):
        return torch.randn(*shape, dtype=torch.float64, generator=generator)

    x = draw(8 * width, width) @ (draw(width, width) / width**0.5) + draw(width)
    weight, bias = draw(out, width), draw(out)
    centred = x - x.mean(0)
    return x, weight, bias, centred.T @ centred / len(x), x.mean(0)


def columns(units, size):
    return [unit * size + i for unit in units for i in range(size)]


def fitted(x, y):
    """Return weight, bias and mean squared error of the least squares fit with a bias."""
    ones = torch.cat([x, x.new_ones(len(x), 1)], 1)
    solution = torch.linalg.lstsq(ones, y, driver="gelsd").solution
    error = (y - ones @ solution).square().sum(1).mean()
    return solution[:-1].T, solution[-1], error


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 8), SIZES, st.integers(1, 5), st.integers(0, 10_000))
def test_every_width_is_the_least_squares_fit_to_the_dense_output(units, size, out, seed):
    x, weight, bias, covariance, mean = problem(units, size, out, seed)
    solutions = NestedSolutions.of(weight, bias, covariance, mean, size)
    y = x @ weight.T + bias
    for count in range(units + 1):
        kept = solutions.kept(count)
        assert len(kept) == count
        expected, offset, error = fitted(x[:, columns(kept, size)], y)
        solved, solved_bias = solutions.solve(count)
        torch.testing.assert_close(solved.double(), expected, atol=2e-3, rtol=2e-3)
        torch.testing.assert_close(solved_bias.double(), offset, atol=2e-3, rtol=2e-3)
        torch.testing.assert_close(solutions.losses[count], error, atol=1e-6, rtol=1e-6)


@settings(max_examples=25, deadline=None)
@given(st.integers(2, 7), SIZES, st.integers(0, 10_000))
def test_each_step_removes_the_unit_whose_loss_is_least(units, size, seed):
    x, weight, bias, covariance, _ = problem(units, size, 3, seed)
    y, alive = x @ weight.T + bias, list(range(units))
    for unit in removal_order(weight, covariance, size).tolist():
        errors = [
            fitted(x[:, columns([u for u in alive if u != gone], size)], y)[2] for gone in alive
        ]
        assert errors[alive.index(unit)] <= min(errors) * (1 + 1e-6) + 1e-12
        alive.remove(unit)


def test_blocks_of_steps_change_nothing(monkeypatch):
    _, weight, _, covariance, _ = problem(40, 1, 6, seed=3)
    orders = []
    for block in (1, 7, 64):
        monkeypatch.setattr(nested, "BLOCK", block)
        orders.append(removal_order(weight, covariance).tolist())
    assert orders[0] == orders[1] == orders[2]
    assert sorted(orders[0]) == list(range(40))


def test_a_metric_decides_which_units_go():
    covariance = torch.eye(4, dtype=torch.float64)
    weight = torch.diag(torch.tensor([1.0, 2.0, 3.0, 4.0], dtype=torch.float64))
    metric = torch.diag(torch.tensor([9.0, 1.0, 1.0, 1.0], dtype=torch.float64))
    zeros = torch.zeros(4)
    plain = NestedSolutions.of(weight, zeros, covariance, zeros)
    felt = NestedSolutions.of(weight, zeros, covariance, zeros, metric=metric)
    assert plain.kept(3) == (1, 2, 3)
    assert felt.kept(3) == (0, 2, 3)
    assert felt.losses.tolist() == pytest.approx([110, 29, 13, 4, 0])


def test_solutions_are_nested_and_columns_ascend():
    _, weight, bias, covariance, mean = problem(12, 2, 4, seed=1)
    solutions = NestedSolutions.of(weight, bias, covariance, mean, 2)
    kept = [set(solutions.kept(count)) for count in range(13)]
    assert all(less < more for less, more in itertools.pairwise(kept))
    solved, _ = solutions.solve(12)
    torch.testing.assert_close(solved.double(), weight, atol=1e-4, rtol=1e-4)
