"""`balanced`: the target is met and used, the α's choose the table, below the least is an error."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pareto_prune.core.errors import TrialError
from pareto_prune.models.families import architecture
from pareto_prune.pruning.cost import BlendedCost, smallest, total
from pareto_prune.pruning.strategies.balanced import Balanced
from tests.pruning.fakes import LinearTable, candidate, fake_context
from tests.tiny import LAYERS, tiny_model

DENSE = tiny_model()
CONTEXT = fake_context(DENSE)
LEAST = smallest(
    BlendedCost(CONTEXT.calibration.latency, CONTEXT.calibration.energy, architecture(DENSE), 1, 1),
    architecture(DENSE),
)
ALPHA = st.floats(0.0, 1.0)


def wanted(**genes):
    return candidate("balanced", DENSE, **genes)


def cost_of(shape, genes):
    calibration = CONTEXT.calibration
    table = BlendedCost(
        calibration.latency,
        calibration.energy,
        CONTEXT.architecture,
        genes["alpha_latency"],
        genes["alpha_energy"],
    )
    return total(table, shape), table


@settings(max_examples=80, deadline=None)
@given(
    st.floats(0.2, 1.0),
    ALPHA,
    ALPHA,
    st.lists(st.floats(0, 1), min_size=2 * LAYERS, max_size=2 * LAYERS),
)
def test_the_target_is_met_within_one_unit(target, latency, energy, coefficients):
    genes = {"alpha_latency": latency, "alpha_energy": energy}
    gene = wanted(cost_target=target, sublayers=tuple(coefficients), **genes)
    cost, table = cost_of(Balanced().shape(gene, CONTEXT), genes)
    assert cost <= target + 1e-9
    one_head, step = table.heads(0, 1), table.neurons(0, 8)
    assert target - cost <= max(one_head, step) + 1e-3


def test_below_the_smallest_model():
    with pytest.raises(TrialError, match=f"below the smallest model, allowed: {LEAST:.3g}"):
        Balanced().shape(wanted(cost_target=LEAST / 2), CONTEXT)


def test_the_smallest_model_is_one_without_layers():
    shape = Balanced().shape(wanted(cost_target=LEAST), CONTEXT)
    assert all(layer.dropped for layer in shape.layers)


def test_alphas_choose_what_is_dear():
    """Heads cost much energy and no time, neurons much time and no energy."""
    context = fake_context(DENSE)
    context.calibration.latency = LinearTable(per_head=0.01, per_neuron=0.1, fixed=0.1)
    context.calibration.energy = LinearTable(per_head=1.0, per_neuron=0.001, fixed=0.1)
    by_latency, by_energy = (
        Balanced().shape(
            wanted(cost_target=0.5, alpha_latency=latency, alpha_energy=1 - latency), context
        )
        for latency in (1.0, 0.0)
    )
    assert by_latency.heads > by_energy.heads
    assert by_latency.neurons < by_energy.neurons


def test_without_a_target_loss_and_cost_are_weighed():
    strategy = Balanced(target=False)
    sizes = [
        strategy.shape(wanted(alpha_accuracy=alpha), CONTEXT).neurons
        for alpha in (0.001, 0.02, 100.0)
    ]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]


def test_repair_brings_the_model_closer():
    def error(strategy):
        pruned = strategy.prune(copy.deepcopy(DENSE), wanted(cost_target=0.4), CONTEXT)
        with torch.no_grad():
            return sum(
                float((pruned.model(**b).logits - DENSE(**b).logits).square().mean())
                for b in CONTEXT.calibration.batches()
            )

    assert error(Balanced(repair=True)) < error(Balanced(repair=False))
