"""The dynamic programme against brute force, and the options it chooses from."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.pruning.decoder import Options, curve, decode, options, weigh
from tests.pruning.fakes import LinearTable

DENSE = Architecture(hidden=8, head_size=2, layers=(LayerShape(heads=3, neurons=8),) * 3)


@st.composite
def stages(draw):
    """Up to four layers of up to six options, costs ascending and losses descending."""
    found = []
    for _ in range(draw(st.integers(1, 4))):
        count = draw(st.integers(1, 6))
        number = st.floats(0.01, 1.0, allow_nan=False)
        steps = [draw(st.lists(number, min_size=count, max_size=count)) for _ in range(2)]
        heads = np.arange(count)
        found.append(Options(heads, heads, np.cumsum(steps[0]), np.cumsum(steps[1])[::-1].copy()))
    return found


def value(stages_, chosen):
    picked = [int(shape.heads) for shape in chosen]
    return (
        sum(stage.cost[i] for stage, i in zip(stages_, picked, strict=True)),
        sum(stage.loss[i] for stage, i in zip(stages_, picked, strict=True)),
    )


@settings(max_examples=150, deadline=None)
@given(stages(), st.floats(0.0, 1.2))
def test_least_loss_within_the_limit(layers, share):
    low = sum(stage.cost[0] for stage in layers)
    high = sum(stage.cost[-1] for stage in layers)
    limit = low + share * (high - low)
    cost, loss = value(layers, decode(layers, limit, buckets=20_000))
    assert cost <= limit * (1 + 1e-6)
    every = list(itertools.product(*(range(len(stage.cost)) for stage in layers)))
    totals = [
        [sum(getattr(s, kind)[i] for s, i in zip(layers, picked, strict=True)) for picked in every]
        for kind in ("cost", "loss")
    ]
    # rounding up costs each layer at most one bucket
    reachable = limit * (1 - len(layers) / 20_000)
    best = min((e for c, e in zip(*totals, strict=True) if c <= reachable), default=np.inf)
    assert loss <= best + 1e-9 or cost == pytest.approx(low)


def test_below_the_cheapest_is_an_error():
    one = Options(np.arange(2), np.arange(2), np.array([1.0, 2.0]), np.array([1.0, 0.0]))
    with pytest.raises(ValueError, match="cheapest options cost 1"):
        decode([one], 0.9)


def test_weighed_by_a_price():
    one = Options(np.arange(3), np.arange(3), np.array([0.0, 1.0, 3.0]), np.array([5.0, 2.0, 0.0]))
    assert [weigh([one], price)[0].heads for price in (0.1, 2.0, 10.0)] == [2, 1, 0]


def test_options_hold_no_dominated_shape():
    flat = [{0: 1.0, 3: 0.0}, {0: 1.0, 8: 0.0}] * 3
    for layer in options(DENSE, LinearTable(), flat, multiple=2):
        assert (np.diff(layer.cost) > 0).all()
        assert (np.diff(layer.loss) < 0).all()
        assert layer.shape(0) == LayerShape(heads=0, neurons=0)
        assert layer.shape(len(layer.cost) - 1) == DENSE.layers[0]
        assert set(layer.neurons.tolist()) <= {0, 2, 4, 6, 8}


def test_a_coefficient_moves_cost_to_its_sublayer():
    steep = [{kept: (3 - kept) ** 2 for kept in range(4)}, {0: 4.0, 8: 0.0}] * 3
    table = LinearTable(per_head=1.0, per_neuron=1.0)
    equal = decode(options(DENSE, table, steep), 12.0)
    first = decode(options(DENSE, table, steep, [0.5, 1.0, *[0.5] * 4]), 12.0)
    assert first[0].neurons > equal[0].neurons
    assert equal == decode(options(DENSE, table, steep, [1.0] * 6), 12.0)


def test_curve_never_rises_with_width():
    losses = curve({0: 1.0, 2: 0.3, 4: 0.5, 8: 0.0}, np.arange(9))
    assert (np.diff(losses) <= 0).all()
    assert losses[[0, 2, 4, 8]].tolist() == [1.0, 0.5, 0.5, 0.0]
