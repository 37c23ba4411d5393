"""Even shapes: the programme against brute force, and which layers may stand on each other."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.core.errors import TrialError
from pareto_prune.pruning.cost import total
from pareto_prune.pruning.even import EvenShapes
from pareto_prune.pruning.even_decoder import least_loss
from tests.pruning.fakes import LinearTable

LAYERS, HEADS, NEURONS = 4, 2, 3
DENSE = Architecture(
    hidden=8, head_size=4, layers=(LayerShape(heads=HEADS, neurons=NEURONS),) * LAYERS
)
TABLE = LinearTable(per_head=1.0, per_neuron=0.7, fixed=0.5)
SMALLEST = 0.5 + 2 * 1.0 + 0.7
PLACES = [(None,) * LAYERS, (0, 1, 0, 1), (0, 1, 1, 1), (0, 1, 2, 3)]

losses = st.lists(
    st.lists(st.floats(0.0, 1.0), min_size=3, max_size=3), min_size=2 * LAYERS, max_size=2 * LAYERS
)


def curves(drawn):
    """Falling curves, attention with 0 to 2 heads, FFN with 0 to 3 neurons."""
    found = []
    for index, steps in enumerate(drawn):
        units = NEURONS if index % 2 else HEADS
        falling = np.append(np.cumsum(steps[:units])[::-1], 0.0)
        found.append(dict(enumerate(falling.tolist())))
    return found


def loss_of(shape, known):
    pairs = zip(known[0::2], known[1::2], shape.layers, strict=True)
    return sum(heads[layer.heads] + neurons[layer.neurons] for heads, neurons, layer in pairs)


def allowed(shapes):
    """Every even shape of one layer or more."""
    for count in range(1, LAYERS + 1):
        for kept in itertools.combinations(range(LAYERS), count):
            if all(shapes.places[layer] == shapes.places[at] for at, layer in enumerate(kept)):
                for heads, neurons in itertools.product(shapes.heads, range(1, NEURONS + 1)):
                    yield shapes.of(heads, neurons, kept)


@settings(max_examples=60, deadline=None)
@given(
    drawn=losses,
    places=st.sampled_from(PLACES),
    share=st.floats(0.05, 1.0),
    price=st.sampled_from([0.0, 0.1, 1.0]),
    free=st.booleans(),
)
def test_no_even_shape_within_the_limit_is_better(drawn, places, share, price, free):
    hidden = {1: 8, 2: 8} if free else {1: 4, 2: 8}
    shapes, known = EvenShapes(DENSE, places, hidden), curves(drawn)
    limit = max(SMALLEST, share * total(TABLE, DENSE))
    found = least_loss(shapes, TABLE, known, limit, price)
    fitting = [one for one in allowed(shapes) if total(TABLE, one) <= limit * (1 + 1e-9)]
    worth = [loss_of(one, known) + price * total(TABLE, one) for one in fitting]
    assert found in fitting
    assert loss_of(found, known) + price * total(TABLE, found) == pytest.approx(min(worth))


@settings(max_examples=40, deadline=None)
@given(drawn=losses, share=st.floats(0.05, 1.0))
def test_what_is_gone_stays_gone(drawn, share):
    shapes = EvenShapes(DENSE, PLACES[0], {1: 4, 2: 8})
    left = shapes.of(2, 2, (0, 2, 3))
    limit = max(3.2, share * total(TABLE, DENSE))
    found = least_loss(shapes, TABLE, curves(drawn), limit, left=left)
    assert found.layers[1].dropped
    assert all(layer.dropped or layer.neurons <= 2 for layer in found.layers)


@pytest.mark.parametrize("places", PLACES)
@pytest.mark.parametrize("count", range(LAYERS + 1))
def test_best_layers_stand_where_they_find_what_they_had(places, count):
    shapes, gains = EvenShapes(DENSE, places, {2: 8}), [0.1, 0.9, 0.4, 0.8]
    kept = shapes.best_layers(gains, count)
    assert len(kept) == count
    assert [places[layer] for layer in kept] == list(places[:count])
    every = [
        sum(gains[layer] for layer in some)
        for some in itertools.combinations(range(LAYERS), count)
        if [places[layer] for layer in some] == list(places[:count])
    ]
    assert sum(gains[layer] for layer in kept) == pytest.approx(max(every))


def test_of_layers_alike_the_lower_ones_stay():
    shapes = EvenShapes(DENSE, PLACES[0], {2: 8})
    assert shapes.best_layers([1.0] * LAYERS, 2) == [0, 1]


def test_a_limit_below_one_layer():
    shapes = EvenShapes(DENSE, PLACES[0], {2: 8})
    known = curves([[1.0] * 3] * 8)
    with pytest.raises(
        TrialError, match=r"smallest model of layers that are alike, allowed: 0\.189 or"
    ):
        least_loss(shapes, TABLE, known, SMALLEST * 0.99)
    assert sum(not s.dropped for s in least_loss(shapes, TABLE, known, SMALLEST).layers) == 1


def test_only_neurons_in_multiples_and_the_greatest_width():
    shapes = EvenShapes(DENSE, PLACES[0], {2: 8})
    found = least_loss(shapes, TABLE, curves([[1.0] * 3] * 8), 14.0, multiple=2)
    assert {layer.neurons for layer in found.layers} <= {0, 2, 3}
