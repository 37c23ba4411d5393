"""Native shapes: what stock classes of transformers hold, for every family and strategy."""

import copy
import json
from contextlib import suppress

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import AutoModelForSequenceClassification, AutoModelForTokenClassification

from pareto_prune.core.errors import TrialError
from pareto_prune.models.families import architecture, dense_architecture
from pareto_prune.models.onnx_graph import build, check
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.stock import even_shapes, is_plain, pooled_scores
from pareto_prune.pruning.strategies import strategies
from pareto_prune.pruning.surgery import cut, cut_copy, plan_from_ranges, plan_of, plan_to_ranges
from tests.pruning.fakes import candidate, fake_context
from tests.pruning.test_surgery import assert_equal_to_masked, logits
from tests.tiny import HEADS, HIDDEN, LAYERS, MODEL_TYPES, NEURONS, tiny_batch, tiny_model

SIZE = HIDDEN // HEADS
OPTIONS = [
    ("adaptive", {"tolerance": 1.0}),
    ("approximate", {}),
    ("balanced", {}),
    ("balanced", {"target": False}),
    ("channel", {}),
    ("l1", {}),
    ("l1", {"by": "threshold"}),
    ("l2", {}),
    ("layer_wise", {}),
]
AUTO = {
    "classification": AutoModelForSequenceClassification,
    "ner": AutoModelForTokenClassification,
}


def prune(name, options, dense, **genes):
    context = fake_context(dense, even=even_shapes(dense))
    strategy = strategies.create(name, options)
    return strategy.prune(copy.deepcopy(dense), candidate(name, dense, **genes), context)


def assert_native(plan, model, dense):
    """The plan is even, the class is a stock one, and so is what it would be loaded into."""
    shape = plan.architecture(architecture(dense))
    there = [layer for layer in shape.layers if not layer.dropped]
    assert len(set(there)) <= 1
    assert all(layer.heads * SIZE == shape.hidden and layer.neurons for layer in there)
    assert is_plain(model)
    assert type(model) is type(dense)
    with torch.device("meta"):
        stock = type(dense)(copy.deepcopy(model.config))
    expected = {name: tensor.shape for name, tensor in stock.state_dict().items()}
    assert {name: tensor.shape for name, tensor in model.state_dict().items()} == expected


def assert_reloads(model, task, folder):
    """A plain checkpoint, which the auto class loads whole, to the same logits."""
    model.save_pretrained(folder)
    config = json.loads((folder / "config.json").read_text())
    assert "auto_map" not in config
    assert config["architectures"] == [type(model).__name__]
    assert not list(folder.glob("*.py"))
    loaded, info = AUTO[task].from_pretrained(folder, output_loading_info=True)
    assert not any(info.values())
    assert type(loaded) is type(model)
    batch = tiny_batch(task=task)
    # DeBERTa multiplies with parts of a matrix: another alignment in memory, another last bit
    off = 1e-6 if model.config.model_type == "deberta" else 0.0
    torch.testing.assert_close(logits(loaded, batch), logits(model, batch), atol=off, rtol=0)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=[f"{n}-{o}" for n, o in OPTIONS])
def test_every_strategy_makes_what_a_stock_class_holds(name, options, model_type, tmp_path):
    dense = tiny_model(model_type)
    genes = {"sublayers": (0.5, 0.7) * LAYERS, "depth": 0.34, "threshold": 0.6}
    pruned = prune(name, options, dense, cost_target=0.5, alpha_accuracy=0.01, **genes)
    assert_native(pruned.plan, pruned.model, dense)
    assert plan_of(pruned.model) == pruned.plan
    counted = [sum(p.numel() for p in m.parameters()) for m in (pruned.model, dense)]
    assert counted[0] < counted[1]
    assert_reloads(pruned.model, "classification", tmp_path)


@pytest.mark.parametrize("task", AUTO)
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_hidden_channels_go_with_heads(model_type, task, tmp_path):
    dense = tiny_model(model_type, task)
    pruned = prune("channel", {"repair": False}, dense, cost_target=0.3)
    hidden = len(pruned.plan.channels)
    assert hidden < HIDDEN
    assert all(len(layer.heads) == hidden // SIZE for layer in pruned.plan.layers)
    assert (pruned.plan.pooled is None) == (pooled_scores(dense) is None)
    assert_native(pruned.plan, pruned.model, dense)
    assert_equal_to_masked(dense, pruned.plan, tiny_batch(task=task))
    assert_reloads(pruned.model, task, tmp_path)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@settings(max_examples=6, deadline=None)
@given(data=st.data())
def test_random_even_plans(model_type, data):
    task = data.draw(st.sampled_from(["classification", "ner"]))
    dense = tiny_model(model_type, task)
    plan = data.draw(even_plans(pooled_scores(dense) is not None, model_type == "mpnet"))
    smaller, batch = cut_copy(dense, plan), tiny_batch(task=task)
    assert_equal_to_masked(dense, plan, batch)
    assert plan_from_ranges(plan_to_ranges(plan)) == plan
    places = even_shapes(dense).places
    kept = [index for index, layer in enumerate(plan.layers) if not layer.dropped]
    moved = [places[index] for index in kept] != list(places[: len(kept)])
    lost = model_type == "electra" and len(plan.channels or ()) == dense.config.embedding_size
    assert is_plain(smaller) == (not moved and not lost)
    if is_plain(smaller):
        assert_native(plan, smaller, dense)


@st.composite
def even_plans(draw, pooled, same_heads):
    """Plans with the same number of units in every layer that stays."""
    heads, neurons = draw(st.integers(1, HEADS)), draw(st.integers(1, NEURONS))
    some = st.sets(st.integers(0, HEADS - 1), min_size=heads, max_size=heads)
    ffn = st.sets(st.integers(0, NEURONS - 1), min_size=neurons, max_size=neurons)
    shared = draw(some)
    kept = draw(st.sets(st.integers(0, LAYERS - 1), min_size=1))
    layers = [
        (shared if same_heads else draw(some), draw(ffn)) if index in kept else ((), ())
        for index in range(LAYERS)
    ]
    if heads == HEADS:
        return PruningPlan.of(layers)
    hidden = st.sets(st.integers(0, HIDDEN - 1), min_size=heads * SIZE, max_size=heads * SIZE)
    return PruningPlan.of(layers, draw(hidden)).with_pooled(draw(hidden) if pooled else None)


shares = st.floats(0.0, 1.0)


@pytest.mark.parametrize(("name", "options"), OPTIONS, ids=[f"{n}-{o}" for n, o in OPTIONS])
@settings(max_examples=8, deadline=None)
@given(
    model_type=st.sampled_from(["bert", "modernbert", "mpnet"]),
    sublayers=st.lists(shares, min_size=2 * LAYERS, max_size=2 * LAYERS),
    depth=st.floats(0.0, 2 / 3),
    target=st.floats(0.2, 1.0),
    threshold=shares,
)
def test_whatever_is_sampled(name, options, model_type, sublayers, depth, target, threshold):
    dense = tiny_model(model_type)
    genes = {"sublayers": tuple(sublayers), "depth": depth, "threshold": threshold}
    with suppress(TrialError):
        pruned = prune(name, options, dense, cost_target=target, importance="l1", **genes)
        assert_native(pruned.plan, pruned.model, dense)
        assert not all(layer.dropped for layer in pruned.plan.layers)


@pytest.mark.parametrize("name", ["layer_wise", "l1", "l2"])
def test_depth_and_ffn_say_how_much_goes(name):
    dense = tiny_model()
    pruned = prune(name, {}, dense, sublayers=(0.5, 0.5) * LAYERS, depth=1 / LAYERS)
    widths = [(len(layer.heads), len(layer.neurons)) for layer in pruned.plan.layers]
    assert sorted(widths) == [(0, 0), (HEADS, NEURONS // 2), (HEADS, NEURONS // 2)]


def test_layers_that_a_starter_drops_are_those_that_go():
    sublayers = (0.0, 0.0, 1.0, 1.0, 0.0, 0.0)
    for name in ("layer_wise", "l1"):
        plan = prune(name, {}, tiny_model(), sublayers=sublayers).plan
        assert [layer.dropped for layer in plan.layers] == [False, True, False]
        assert len(plan.layers[0].neurons) == NEURONS


def test_modernbert_keeps_the_first_layer_and_every_kind_in_its_place():
    sublayers = (1.0, 1.0, 0.0, 0.0, 0.0, 0.0)
    plan = prune("layer_wise", {}, tiny_model("modernbert"), sublayers=sublayers).plan
    assert [layer.dropped for layer in plan.layers] == [False, False, True]


@pytest.mark.parametrize("model_type", ["modernbert", "deberta-v2"])
def test_a_model_without_its_first_layer_is_not_plain(model_type):
    whole = (range(HEADS), range(NEURONS))
    model = cut_copy(tiny_model(model_type), PruningPlan.of([([], []), whole, whole]))
    assert not is_plain(model)


def test_layers_that_would_move_down_are_not_plain():
    whole = (range(HEADS), range(NEURONS))
    model = cut_copy(tiny_model("modernbert"), PruningPlan.of([whole, ([], []), whole]))
    assert not is_plain(model)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_native_model_cut_again_into_an_uneven_one(model_type, tmp_path):
    dense = tiny_model(model_type)
    even = PruningPlan.of([(range(HEADS), range(0, NEURONS, 2))] * LAYERS)
    uneven = PruningPlan.of([([0], [0, 2]), ([1, 2], [4]), ([], range(0, 20, 4))])
    model = cut(cut_copy(dense, even), uneven)
    straight = cut_copy(dense, uneven)
    assert not is_plain(model)
    batch, off = tiny_batch(), 1e-6 if model_type == "deberta" else 0.0
    torch.testing.assert_close(logits(model, batch), logits(straight, batch), atol=off, rtol=0)
    model.save_pretrained(tmp_path)
    loaded = type(model).from_pretrained(tmp_path)
    torch.testing.assert_close(logits(loaded, batch), logits(model, batch), atol=off, rtol=0)
    assert dense_architecture(loaded) == architecture(dense)


def test_a_table_of_heads_that_layers_share_is_cut_only_for_good():
    heads = (range(2), range(NEURONS))
    plan = PruningPlan.of([heads] * LAYERS, range(2 * SIZE)).with_pooled(range(2 * SIZE))
    model = cut_copy(tiny_model("mpnet"), plan)
    assert model.mpnet.encoder.relative_attention_bias.weight.shape[1] == 2
    layers = [([0], range(9)), heads, heads]
    unlike = PruningPlan.of(layers, range(2 * SIZE)).with_pooled(range(2 * SIZE))
    with pytest.raises(ValueError, match="cut the dense model instead"):
        cut(model, unlike)


def test_pooled_units_that_a_plan_names_must_be_there():
    whole = [(range(HEADS), range(NEURONS))] * LAYERS
    model = cut_copy(tiny_model(), PruningPlan.of(whole).with_pooled(range(8)))
    with pytest.raises(ValueError, match="keeps all pooled units"):
        cut(model, PruningPlan.of(whole))
    with pytest.raises(ValueError, match="has none"):
        cut(tiny_model("gpt2"), PruningPlan.of(whole).with_pooled(range(8)))
    with pytest.raises(ValueError, match="pooled unit 9"):
        cut(model, PruningPlan.of(whole).with_pooled([9]))
    with pytest.raises(ValueError, match="pooled units must be among"):
        cut(model, PruningPlan.of(whole).with_pooled([HIDDEN]))


def test_plans_without_pooled_units_keep_their_digest():
    plan = PruningPlan.of([([0], [1, 2])])
    text = '{"layers":[{"heads":[0],"neurons":[1,2]}],"channels":null}'
    assert plan.model_dump_json() == text
    assert plan.with_pooled([1, 0]).digest() != plan.digest()


@pytest.mark.parametrize("task", AUTO)
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_written_graph_of_fewer_hidden_channels(model_type, task):
    pruned = prune("channel", {"repair": False}, tiny_model(model_type, task), cost_target=0.3)
    check(pruned.model, build(pruned.model))
