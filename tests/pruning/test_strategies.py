"""The contract of every strategy, parametrised over the registry, and what is each one's own."""

import copy
import subprocess
import sys
from dataclasses import fields

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pareto_prune.core.errors import StudyFileError, TrialError
from pareto_prune.core.records import Candidate
from pareto_prune.models.families import architecture
from pareto_prune.pruning.cost import total
from pareto_prune.pruning.database import stitch
from pareto_prune.pruning.norms import norm_penalty, unit_norms
from pareto_prune.pruning.programme import cost_of, shape_within
from pareto_prune.pruning.strategies import strategies
from pareto_prune.pruning.strategies.channel import channels_kept
from pareto_prune.pruning.surgery import cut_copy, plan_of
from tests.pruning.fakes import candidate, fake_context
from tests.tiny import BUILDS, HEADS, HIDDEN, LAYERS, NEURONS, tiny_batch, tiny_model

NAMES = strategies.names()


def prune(name, model_type="bert", options=None, genes=None, dense=None, **context_options):
    dense = tiny_model(model_type) if dense is None else dense
    context = fake_context(dense, **context_options)
    strategy = strategies.create(name, options)
    wanted = candidate(name, dense, **(genes or {}))
    return strategy.prune(copy.deepcopy(dense), wanted, context), dense, context


@pytest.mark.parametrize("model_type", BUILDS)
@pytest.mark.parametrize("name", NAMES)
def test_contract(name, model_type):
    # such models of noise disagree with themselves after any cut: whatever was lost is tolerated
    tolerant = name == "adaptive" and model_type in ("deberta", "modernbert")
    assert_contract(name, model_type, {"tolerance": 9.0} if tolerant else None)


def assert_contract(name, model_type, options=None):
    pruned, dense, context = prune(name, model_type, options)
    shape = pruned.plan.architecture(architecture(dense))
    assert plan_of(pruned.model) == pruned.plan
    assert architecture(pruned.model) == shape
    counted = [sum(p.numel() for p in m.parameters()) for m in (pruned.model, dense)]
    assert counted[0] < counted[1]
    assert counted[0] == sum(p.numel() for p in cut_copy(dense, pruned.plan).parameters())
    assert pruned.model(**tiny_batch()).loss.isfinite()
    assert pruned.steps_used == sum(context.trained) <= context.steps
    assert strategies.create(name).trains_before_cut or not pruned.steps_used


@pytest.mark.parametrize("name", NAMES)
def test_dense_model_stays_as_it_is(name):
    dense = tiny_model()
    state = copy.deepcopy(dense.state_dict())
    prune(name, dense=dense)
    torch.testing.assert_close(dense.state_dict(), state, atol=0, rtol=0)
    assert not any(module._forward_pre_hooks for module in dense.modules())


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_plan_same_weights(name):
    first, second = (prune(name)[0] for _ in range(2))
    assert first.plan == second.plan
    torch.testing.assert_close(first.model.state_dict(), second.model.state_dict(), atol=0, rtol=0)


@pytest.mark.parametrize("name", NAMES)
def test_reads_genes_of_a_candidate(name):
    strategy = strategies.create(name)
    assert strategy.reads <= set(Candidate.model_fields) - {"strategy", "starter"}
    assert isinstance(strategy.trains_before_cut, bool)


@pytest.mark.parametrize("name", NAMES)
def test_every_option_has_a_default_and_a_line(name):
    member = strategies.member(name)
    strategies.create(name, {})
    assert all(
        field.name in member.__doc__ or field.name in _inherited(member) for field in fields(member)
    )
    with pytest.raises(StudyFileError, match="unknown key"):
        strategies.create(name, {"no_such_option": 1})


def _inherited(member):
    return " ".join(base.__doc__ or "" for base in member.__mro__[1:-1])


@pytest.mark.parametrize("name", NAMES)
def test_weights_that_are_not_numbers_are_refused(name):
    dense = tiny_model()
    with torch.no_grad():
        dense.bert.encoder.layer[1].output.dense.weight[0, 0] = float("nan")
    with pytest.raises(TrialError):
        prune(name, dense=dense)


@pytest.mark.parametrize("name", [n for n in NAMES if "cost_target" in strategies.create(n).reads])
def test_cost_target_below_the_smallest_model(name):
    with pytest.raises(
        TrialError, match=r"cost target .*below the smallest model, allowed: \S+ or"
    ):
        prune(name, genes={"cost_target": 1e-4})


def test_listing_strategies_loads_no_torch():
    code = (
        "import sys; from pareto_prune.pruning.strategies import strategies; strategies.entries();"
        "from pareto_prune.pruning.importance import importances; importances.entries();"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("name", ["l1", "l2", "layer_wise"])
def test_sparsity_is_the_share_removed(name):
    genes = {"sublayers": (0.0, 0.25, 0.5, 0.75, 1.0, 1.0)}
    pruned, *_ = prune(name, genes=genes)
    shapes = [(len(layer.heads), len(layer.neurons)) for layer in pruned.plan.layers]
    assert shapes == [(4, 48), (2, 16), (0, 0)]
    assert pruned.model.config.num_hidden_layers == 2


@pytest.mark.parametrize(("order", "name"), [(1, "l1"), (2, "l2")])
def test_weakest_units_go(order, name):
    pruned, dense, _ = prune(name, round_widths=False)
    norms = unit_norms(dense, order)
    for layer, kept in enumerate(pruned.plan.layers):
        for scores, units in ((norms.heads, kept.heads), (norms.neurons, kept.neurons)):
            gone = [i for i in range(len(scores[layer])) if i not in units]
            assert scores[layer][list(units)].min() >= scores[layer][gone].max()


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_higher_threshold_removes_more(name):
    counts = []
    for threshold in (0.0, 0.3, 0.6, 0.9, 1.0):
        pruned, *_ = prune(name, options={"by": "threshold"}, genes={"threshold": threshold})
        shape = architecture(pruned.model)
        counts.append((shape.heads, shape.neurons))
    assert counts[0] == (HEADS * LAYERS, NEURONS * LAYERS)
    assert counts == sorted(counts, reverse=True)
    assert counts[-1] == (1, 8)  # the strongest head, the strongest neuron rounded to 8


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_threshold_that_removes_everything(name):
    with pytest.raises(TrialError, match="removes every head and every neuron"):
        prune(name, options={"by": "threshold"}, genes={"threshold": 1.01})


@pytest.mark.parametrize("name", ["l1", "l2", "layer_wise"])
@pytest.mark.parametrize("sublayers", [(), (0.5,) * 4, (0.5,) * 5 + (1.5,)])
def test_candidates_that_do_not_fit(name, sublayers):
    with pytest.raises(TrialError, match="bad_candidate"):
        prune(name, genes={"sublayers": sublayers})


@pytest.mark.parametrize("name", ["l1", "l2", "layer_wise"])
def test_sparsity_one_everywhere_leaves_nothing(name):
    with pytest.raises(TrialError, match="nothing_left"):
        prune(name, genes={"sublayers": (1.0,) * 6})


def test_layer_wise_drops_all_but_the_fullest_layer():
    """Every sublayer is above ``drop_above``: the layer that was to lose least keeps some."""
    pruned, *_ = prune("layer_wise", genes={"sublayers": (0.95, 0.95, 0.91, 0.93, 0.94, 0.95)})
    shapes = [(len(layer.heads), len(layer.neurons)) for layer in pruned.plan.layers]
    assert shapes == [(0, 0), (0, 8), (0, 0)]


@pytest.mark.parametrize("name", ["l1", "l2"])
def test_penalty_shrinks_the_norms_before_the_cut(name):
    strategy = strategies.create(name, {"penalty_steps": 5, "penalty": 0.1})
    assert strategy.trains_before_cut
    dense = tiny_model()
    context = fake_context(dense, steps=5)
    model = copy.deepcopy(dense)
    pruned = strategy.prune(model, candidate(name, dense), context)
    plain = cut_copy(dense, pruned.plan)
    assert pruned.steps_used == 5
    assert _norm(pruned.model, strategy.order) < _norm(plain, strategy.order)
    limited = fake_context(dense, steps=2)
    assert strategy.prune(copy.deepcopy(dense), candidate(name, dense), limited).steps_used == 2


def _norm(model, order):
    return norm_penalty(model, order, 1.0)().item()


def test_l1_penalty_is_the_lasso():
    model = tiny_model()
    family_weights = [
        parameter
        for name, parameter in model.bert.encoder.named_parameters()
        if name.endswith("weight") and "LayerNorm" not in name
    ]
    expected = 0.5 * sum(weight.abs().sum() for weight in family_weights)
    torch.testing.assert_close(norm_penalty(model, 1, 0.5)(), expected)


def test_reads_follow_the_options():
    assert strategies.create("l1").reads == {"sublayers", "depth"}
    assert strategies.create("l1", {"by": "threshold"}).reads == {"threshold"}
    assert not strategies.create("l2").trains_before_cut


def test_layer_wise_repair_brings_the_model_closer():
    repaired, dense, context = prune("layer_wise")
    bare, *_ = prune("layer_wise", options={"repair": False}, dense=dense)
    assert repaired.plan == bare.plan
    batch = tiny_batch(examples=32, seed=77)
    distance = [context._distance(p.model, batch).item() for p in (repaired, bare)]
    assert distance[0] < 0.5 * distance[1]


def test_approximate_takes_widths_from_the_gates_and_weights_from_the_database():
    pruned, dense, context = prune("approximate", options={"repair": False})
    shape = pruned.plan.architecture(architecture(dense))
    stitched = stitch(copy.deepcopy(dense), context.calibration.database, shape)
    assert pruned.plan == stitched.plan
    batch = tiny_batch()
    torch.testing.assert_close(pruned.model(**batch).logits, stitched.model(**batch).logits)


@pytest.mark.parametrize("name", ["approximate", "adaptive"])
def test_repair_brings_the_model_closer(name):
    # a round of `adaptive` that costs nothing is always kept: both end at the target
    options = {"tolerance": 9.0, "importances": ("l2",)} if name == "adaptive" else {}
    repaired, dense, context = prune(name, options=options, steps=0)
    bare, *_ = prune(name, options=options | {"repair": False}, dense=dense, steps=0)
    assert repaired.plan == bare.plan
    assert context.divergence(repaired.model) < 0.7 * context.divergence(bare.model)


@pytest.mark.parametrize(("tolerance", "cut"), [(0.0, False), (9.0, True)])
def test_adaptive_undoes_a_round_that_adds_more_divergence_than_it_may(tolerance, cut):
    pruned, dense, _ = prune("adaptive", options={"tolerance": tolerance})
    assert (pruned.plan != type(pruned.plan).dense(architecture(dense))) == cut


def test_layer_wise_drops_above_its_limit():
    genes = {"sublayers": (0.91, 0.5, 0.5, 0.95, 0.92, 0.93)}
    shapes = [
        (len(layer.heads), len(layer.neurons))
        for layer in prune("layer_wise", genes=genes)[0].plan.layers
    ]
    assert shapes == [(0, 32), (2, 0), (0, 0)]


finite = st.floats(-10, 10, width=32)


@settings(max_examples=25, deadline=None)
@given(data=st.data(), round_widths=st.booleans())
def test_channel_meets_any_target(data, round_widths):
    """Any genes, any feasible target: a quarter of the channels at most, and never dearer."""
    dense = tiny_model()
    shares = st.floats(0, 1)
    genes = {
        "sublayers": tuple(data.draw(st.lists(shares, min_size=6, max_size=6))),
        "cost_target": data.draw(st.floats(0.1, 1.0)),
        "alpha_latency": data.draw(shares),
        "alpha_energy": data.draw(shares),
    }
    context = fake_context(dense, round_widths=round_widths)
    wanted = candidate("channel", dense, **genes)
    kept = channels_kept(wanted, context)
    assert round(0.75 * HIDDEN) - 4 <= kept <= HIDDEN
    assert not round_widths or kept % 8 == 0
    shape = shape_within(min(1.0, wanted.cost_target * HIDDEN / kept), wanted, context)
    cost = total(cost_of(wanted, context), shape) * kept / HIDDEN
    assert cost <= wanted.cost_target * (1 + 1e-6) + 4 / HIDDEN * (round_widths and kept < HIDDEN)


def test_channel_keeps_the_best_channels_and_leaves_the_rest_to_the_programme():
    dense = tiny_model()
    scores = torch.randperm(HIDDEN, generator=torch.Generator().manual_seed(1)).float()
    genes = {"sublayers": (1.0, 0.5) * LAYERS, "cost_target": 0.4}
    pruned, _, context = prune(
        "channel",
        dense=dense,
        genes=genes,
        options={"repair": False},
        channel_scores={"l2": scores},
    )
    kept = list(pruned.plan.channels)
    gone = [i for i in range(HIDDEN) if i not in kept]
    assert pruned.model.config.hidden_size == len(kept) == 0.75 * HIDDEN
    assert scores[kept].min() > scores[gone].max()
    wanted = candidate("balanced", dense, cost_target=0.4 / 0.75, sublayers=(0.5,) * 2 * LAYERS)
    alone = strategies.create("balanced", {"repair": False}).shape(wanted, context)
    assert pruned.plan.architecture(architecture(dense)).layers == alone.layers


def test_channel_at_full_cost_removes_nothing():
    dense = tiny_model()
    pruned, *_ = prune(
        "channel", dense=dense, genes={"cost_target": 1.0}, options={"repair": False}
    )
    assert pruned.plan == type(pruned.plan).dense(architecture(dense))
