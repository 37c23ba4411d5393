"""Counted and measured cost tables."""

import pytest

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.pruning.cost import total
from pareto_prune.pruning.cost_tables import MacsCost, MeasuredCost


def test_macs_add_up_to_the_architecture():
    layers = (LayerShape(heads=3, neurons=40), LayerShape(heads=0, neurons=7))
    dense = Architecture(hidden=16, head_size=4, layers=layers)
    assert total(MacsCost(dense, 12), dense) == dense.macs(12)


def test_noise_never_makes_more_units_cheaper():
    table = MeasuredCost({1: 2.0, 4: 1.5, 8: 6.0}, {1: -1.0, 64: 5.0}, 1.0)
    assert [table.heads(0, kept) for kept in (0, 1, 4, 6, 8)] == [0.0, 2.0, 2.0, 4.0, 6.0]
    assert table.neurons(0, 1) == 0.0


def test_json_and_back():
    table = MeasuredCost({1: 2.0, 8: 6.0}, {1: 1.0, 64: 5.0}, 1.0)
    assert MeasuredCost.from_json(table.to_json()) == table
    with pytest.raises(KeyError):
        MeasuredCost.from_json({"attention": {}})
