import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.core.errors import TrialError
from pareto_prune.pruning.scores import UnitScores
from pareto_prune.pruning.selection import (
    check_finite_channels,
    kept_count,
    neuron_multiple,
    normalised,
    plan_by_sparsity,
    plan_by_threshold,
    rounded,
    strongest,
)

shares = st.floats(0, 1)
numbers = st.lists(st.floats(-5, 5, width=32), min_size=1, max_size=40)


def scores(heads, neurons):
    return UnitScores(
        heads=tuple(torch.tensor(layer) for layer in heads),
        neurons=tuple(torch.tensor(layer) for layer in neurons),
    )


@given(count=st.integers(0, 2000), total=st.integers(1, 2000), multiple=st.integers(1, 64))
def test_rounded_is_the_nearest_allowed_width(count, total, multiple):
    count = min(count, total)
    width = rounded(count, total, multiple)
    allowed = [0] if count == 0 else [*range(multiple, total, multiple), total]
    assert width in allowed
    # one more or less multiple would be no nearer; the whole width stands for the multiple above
    if count not in (0, total) and total % multiple == 0:
        assert abs(width - count) == min(abs(other - count) for other in allowed)


@given(total=st.integers(1, 100), sparsity=shares)
def test_kept_count_is_within_half_a_unit(total, sparsity):
    assert abs(kept_count(total, sparsity) - (1 - sparsity) * total) <= 0.5 + 1e-9


@pytest.mark.parametrize(
    ("total", "sparsity", "kept"), [(12, 0.0, 12), (12, 1.0, 0), (12, 0.5, 6), (12, 0.95, 1)]
)
def test_kept_count_of_heads(total, sparsity, kept):
    assert kept_count(total, sparsity) == kept


def test_sparsity_short_of_one_keeps_a_multiple():
    assert kept_count(1536, 0.999, 32) == 32
    assert kept_count(1536, 1.0, 32) == 0


def test_neuron_multiple_follows_the_width():
    wide, narrow = (
        Architecture(hidden=8, head_size=8, layers=(LayerShape(heads=1, neurons=n),))
        for n in (1536, 64)
    )
    assert (neuron_multiple(wide), neuron_multiple(narrow)) == (32, 8)


@given(values=numbers, count=st.integers(0, 40))
def test_strongest_are_sorted_and_strongest(values, count):
    count = min(count, len(values))
    chosen = strongest(torch.tensor(values), count)
    assert chosen == sorted(set(chosen))
    assert len(chosen) == count
    rest = [value for index, value in enumerate(values) if index not in chosen]
    assert not chosen or not rest or min(values[i] for i in chosen) >= max(rest)


def test_ties_go_to_the_lower_index():
    assert strongest(torch.tensor([1.0, 2.0, 1.0, 2.0, 1.0]), 3) == [0, 1, 3]


@given(layers=st.lists(numbers, min_size=1, max_size=4))
def test_normalised_is_in_the_unit_interval_and_keeps_the_order(layers):
    tensors = [torch.tensor(layer).abs() + 0.01 for layer in layers]
    found = normalised(tensors)
    flat = torch.cat(found)
    assert flat.min() >= 0
    assert flat.max() <= 1 + 1e-6
    for before, after in zip(tensors, found, strict=True):
        order = before.argsort(stable=True)
        assert (after[order].diff() >= 0).all()


@given(scale=st.floats(0.01, 100))
def test_normalised_forgets_the_scale_of_a_layer(scale):
    layers = [torch.tensor([1.0, 2.0, 3.0]), torch.tensor([2.0, 2.5])]
    scaled = [layers[0] * scale, layers[1]]
    for plain, other in zip(normalised(layers), normalised(scaled), strict=True):
        torch.testing.assert_close(plain, other, atol=1e-4, rtol=1e-4)


def test_equal_scores_are_all_strongest():
    (found,) = normalised([torch.full((5,), 0.3)])
    assert found.tolist() == [1.0] * 5


def test_threshold_compares_heads_with_heads_alone():
    plan = plan_by_threshold(
        scores([[0.1, 1.0], [1.0, 1.0]], [[5.0, 50.0, 50.0], [50.0] * 3]), 0.5, round_widths=False
    )
    assert [(layer.heads, layer.neurons) for layer in plan.layers] == [
        ((1,), (1, 2)),
        ((0, 1), (0, 1, 2)),
    ]


def test_threshold_can_drop_a_whole_layer():
    flat, peaked = [1.0, 1.0, 1.0], [0.1, 0.1, 4.0]
    plan = plan_by_threshold(scores([flat, peaked], [flat, peaked]), 0.9, round_widths=False)
    assert plan.layers[0].dropped
    assert plan.layers[1].heads == (2,)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_scores_that_are_not_finite(bad):
    for heads, neurons, where in (
        ([[1.0, bad]], [[1.0]], "layer 0: a head"),
        ([[1.0]], [[bad, 1.0]], "layer 0: a neuron"),
    ):
        with pytest.raises(TrialError, match=where):
            plan_by_sparsity(scores(heads, neurons), (0.5, 0.5), round_widths=False)
        with pytest.raises(TrialError, match=where):
            plan_by_threshold(scores(heads, neurons), 0.5, round_widths=False)
    with pytest.raises(TrialError, match="channel"):
        check_finite_channels(torch.tensor([1.0, bad]))
