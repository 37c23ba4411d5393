"""What is DeBERTa's own: positions beside the stream, a convolution, q, k and v fused by head.

The contracts of all families run here over builds that no checkpoint type stands for alone.
"""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import DebertaConfig, DebertaV2Config

from pareto_prune.core.architecture import Architecture, LayerKind
from pareto_prune.core.errors import UserError
from pareto_prune.export.loading import load
from pareto_prune.models.families import architecture, check, family_of
from pareto_prune.models.onnx_graph import UnsupportedModelError, build, session, torch_logits
from pareto_prune.models.onnx_graph import check as check_graph
from pareto_prune.pruning.modeling_pruned import NoLayer
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.repair import repair
from pareto_prune.pruning.replay import start
from pareto_prune.pruning.stock import is_plain
from pareto_prune.pruning.surgery import cut, cut_copy
from pareto_prune.search.early_stopping._prediction import removed
from tests import tiny
from tests.calibration import test_sensitivity, test_sweep
from tests.export import test_huggingface as exporting
from tests.models import test_models
from tests.onnx_graph import test_exact
from tests.pruning import (
    test_importance,
    test_native,
    test_repair,
    test_strategies,
    test_surgery,
)
from tests.pruning.plans import plans
from tests.tiny import HEADS, HIDDEN, LAYERS, NEURONS, tiny_batch, tiny_model

WHOLE = (range(HEADS), range(NEURONS))
FIRST_GONE = PruningPlan.of([([], []), WHOLE, ([2], range(9))], range(0, HIDDEN, 2))

V1_BUILDS = {
    "deberta of contents to positions": {
        "pos_att_type": ["c2p"],
        "position_biased_input": True,
        "type_vocab_size": 2,
    },
}
V2_BUILDS = {
    "deberta-v2 without a convolution": {"embedding_size": 16, "type_vocab_size": 2},
    "deberta-v2 with a convolution": {
        "conv_kernel_size": 3,
        "conv_act": "gelu",
        "position_buckets": 8,
        "max_relative_positions": 10,
        "position_biased_input": True,
    },
    "deberta-v2 of positions to contents": {"pos_att_type": ["p2c"], "share_att_key": True},
    "deberta-v2 without relative positions": {"relative_attention": False, "pos_att_type": None},
}
BUILDS = (*V1_BUILDS, *V2_BUILDS)
WITH_OWN = ("deberta", "deberta-v2", *BUILDS)
CONVOLUTION = "deberta-v2 with a convolution"


@pytest.fixture(autouse=True, scope="module")
def _builds():
    """Let tiny models of these builds be made, by names of their own."""
    for config, like, builds in (
        (DebertaConfig, "deberta", V1_BUILDS),
        (DebertaV2Config, "deberta-v2", V2_BUILDS),
    ):
        for name, own in builds.items():
            made = tiny._bert(config, **(tiny.RELATIVE | own))
            tiny._MAKERS[name] = (made, *tiny._MAKERS[like][1:])
    yield
    for name in BUILDS:
        del tiny._MAKERS[name]


def dense_model(build_, task="classification", **sizes):
    """A model in which positions decide what a token attends to."""
    model = tiny_model(build_, task, **sizes)
    table = getattr(model.deberta.encoder, "rel_embeddings", None)
    if table is not None:
        generator = torch.Generator().manual_seed(1)
        with torch.no_grad():
            table.weight.copy_(3 * torch.randn(table.weight.shape, generator=generator))
    return model


def assert_written(model):
    check_graph(model, build(model))


@pytest.mark.parametrize("build_", WITH_OWN)
@settings(max_examples=8, deadline=None)
@given(
    plan=st.one_of(plans(), plans(channels=True)), task=st.sampled_from(["classification", "ner"])
)
def test_any_plan_equals_the_masked_model_and_its_written_graph(build_, plan, task):
    model = dense_model(build_, task)
    test_surgery.assert_equal_to_masked(model, plan, tiny_batch())
    assert_written(cut_copy(model, plan))


@pytest.mark.parametrize("build_", BUILDS)
def test_paths(build_):
    for task in ("classification", "ner"):
        test_models.test_paths_lead_to_what_they_say(build_, task)
    test_models.test_every_hidden_channel_has_a_path(build_)
    test_models.test_architecture_of_dense_and_cut(build_)


@pytest.mark.parametrize("build_", ["deberta-v2 without a convolution", CONVOLUTION])
@pytest.mark.parametrize(
    "contract",
    [
        test_surgery.test_cutting_twice_is_cutting_once,
        test_surgery.test_trains_with_dropout,
        test_surgery.test_empty_sublayers_give_just_their_bias,
        test_importance.test_norms_of_a_cut_model_are_of_what_is_left,
        test_repair.test_a_whole_model_is_left_alone,
        test_repair.test_lost_channels_are_recovered_from_those_that_stay,
        test_sweep.test_fisher_is_the_square_of_mask_gradients_one_sample_at_a_time,
    ],
    ids=lambda contract: contract.__name__,
)
def test_contracts_of_every_type(build_, contract):
    contract(build_)


@pytest.mark.parametrize("build_", ["deberta-v2 without a convolution", CONVOLUTION])
@pytest.mark.parametrize("plan", [test_surgery.UNEVEN, test_surgery.NARROW, FIRST_GONE])
def test_gradients(build_, plan):
    test_surgery.test_gradients_equal_those_of_the_masked_model(build_, plan)


@pytest.mark.parametrize("plan", [test_repair.HALF, test_repair.EMPTY, test_repair.NO_UNIT])
@pytest.mark.parametrize("build_", ["deberta-v2 without a convolution", CONVOLUTION])
def test_repair_brings_it_closer(build_, plan):
    test_repair.test_brings_a_cut_model_closer_on_unseen_inputs(build_, plan)


@pytest.mark.parametrize("plan", [FIRST_GONE.model_copy(update={"channels": None}), FIRST_GONE])
def test_repair_behind_a_first_layer_that_is_gone(plan):
    dense, unseen = tiny_model(CONVOLUTION), test_repair.inputs(2, seed=9)
    bare, repaired = cut_copy(dense, plan), cut_copy(dense, plan)
    repair(repaired, dense, test_repair.inputs())
    kept = list(plan.channels or range(HIDDEN))

    def far(model):
        with torch.no_grad():
            found = [
                (model.base_model(**b)[0] - dense.base_model(**b)[0][..., kept])[
                    b["attention_mask"].bool()
                ]
                for b in unseen
            ]
        return torch.cat(found).square().mean().item()

    assert far(repaired) < 0.7 * far(bare)


@pytest.mark.parametrize("plan", [test_exact.DENSE, test_surgery.UNEVEN, FIRST_GONE])
def test_what_a_repair_sees_is_what_the_model_computes(plan):
    """Layer by layer, with the convolution between the first and the second."""
    model, batch, seen = cut_copy(dense_model(CONVOLUTION), plan), test_repair.inputs(1)[0], []
    family = family_of(model)
    for layer in family.layers(model):
        layer.register_forward_pre_hook(lambda _, args: seen.append(args[0]))
    with torch.no_grad():
        model(**batch)
        expected, real = list(seen), batch["attention_mask"].bool()
        ascent = start(model, family, batch)
        for hidden, layer in zip(expected, family.layers(model), strict=True):
            torch.testing.assert_close(ascent.hidden[real], hidden[real])
            ascent.hidden = ascent.through(layer)


@pytest.mark.parametrize("name", ["balanced", "layer_wise", "channel", "l1"])
def test_strategies_with_a_convolution(name):
    test_strategies.assert_contract(name, CONVOLUTION)


@pytest.mark.parametrize("name", ["obs", "taylor", "l2"])
def test_importances_with_a_convolution(name):
    test_importance.test_contract(name, CONVOLUTION)


@pytest.mark.parametrize("task", ["classification", "ner"])
def test_measured_sensitivities_with_a_convolution(task):
    test_sensitivity.test_measured_is_the_divergence_of_the_stitched_model(CONVOLUTION, task)


class TestTheFirstLayer:
    @pytest.mark.parametrize("build_", ["deberta-v2", CONVOLUTION])
    def test_a_stand_in_keeps_its_place(self, build_, tmp_path):
        dense = dense_model(build_)
        model = cut_copy(dense, FIRST_GONE)
        stack = list(model.deberta.encoder.layer)
        assert [isinstance(layer, NoLayer) for layer in stack] == [True, False, False]
        assert family_of(model).layers(model) == stack[1:]
        assert not is_plain(model)
        test_surgery.assert_equal_to_masked(dense, FIRST_GONE, tiny_batch())
        fewer = PruningPlan.of([([], []), ([0], [1]), ([], [])], range(0, HIDDEN, 4))
        again = cut(copy.deepcopy(model), fewer)
        stack = list(again.deberta.encoder.layer)
        assert [isinstance(layer, NoLayer) for layer in stack] == [True, False]
        batch = exporting.inputs()
        expected = exporting.logits(cut_copy(dense, fewer), batch)
        torch.testing.assert_close(exporting.logits(again, batch), expected)

    def test_the_convolution_is_neither_lost_nor_moved(self):
        """It reads the embeddings and adds to them, and the second layer reads the sum."""
        whole = PruningPlan.of([([], []), WHOLE, WHOLE])
        model, batch = cut_copy(dense_model(CONVOLUTION), whole), test_repair.inputs(1)[0]
        encoder, seen = model.deberta.encoder, {}
        encoder.conv.register_forward_hook(lambda _, args, output: seen.update(args=args, y=output))
        encoder.layer[1].register_forward_pre_hook(lambda _, args: seen.update(x=args[0]))
        with torch.no_grad():
            embedded = model.deberta.embeddings(batch["input_ids"], mask=batch["attention_mask"])
            model(**batch)
        torch.testing.assert_close(seen["args"][0], embedded)
        torch.testing.assert_close(seen["args"][1], embedded)
        torch.testing.assert_close(seen["x"], seen["y"])

    def test_of_v1_nothing_is_left(self):
        model = cut_copy(dense_model("deberta"), PruningPlan.of([([], []), WHOLE, WHOLE]))
        assert is_plain(model)
        assert len(model.deberta.encoder.layer) == 2


@pytest.mark.parametrize("dropped", range(1, LAYERS))
@pytest.mark.parametrize("build_", ["deberta", "deberta-v2", CONVOLUTION])
def test_without_another_layer_the_stock_class_holds_it(build_, dropped, tmp_path):
    plan = PruningPlan.of([([], []) if i == dropped else WHOLE for i in range(LAYERS)])
    dense = dense_model(build_)
    model, batch = cut_copy(dense, plan), exporting.inputs()
    assert is_plain(model)
    model.save_pretrained(tmp_path)
    stock = type(dense).from_pretrained(tmp_path)
    torch.testing.assert_close(exporting.logits(stock, batch), exporting.logits(model, batch))


@pytest.mark.parametrize("build_", BUILDS)
def test_an_even_one_is_of_the_stock_class(build_, tmp_path):
    dense = dense_model(build_, "ner")
    layers = [(range(1, HEADS), range(0, NEURONS, 2)), ([], []), ([0, 1, 3], range(NEURONS // 2))]
    plan = PruningPlan.of(layers, range(3 * HIDDEN // HEADS))
    model = cut_copy(dense, plan)
    test_native.assert_native(plan, model, dense)
    test_native.assert_reloads(model, "ner", tmp_path)


def test_embeddings_as_narrow_as_the_layers_left_would_not_be_projected():
    plan = PruningPlan.of([(range(2), range(NEURONS))] * LAYERS, range(HIDDEN // 2))
    dense = dense_model("deberta-v2 without a convolution", "ner")
    assert not is_plain(cut_copy(dense, plan))
    test_surgery.assert_equal_to_masked(dense, plan, tiny_batch())


@pytest.mark.parametrize("build_", ["deberta-v2", CONVOLUTION])
def test_no_stock_class_holds_one_without_layers(build_):
    model = cut_copy(dense_model(build_), PruningPlan.of([([], [])] * LAYERS))
    assert not is_plain(model)
    assert exporting.logits(model, exporting.inputs()).isfinite().all()


@pytest.mark.parametrize("plan", exporting.PLANS)
@pytest.mark.parametrize("build_", BUILDS)
def test_load(tmp_path, build_, plan):
    exporting.test_load_gives_the_same_logits(tmp_path, build_, plan)


def test_a_folder_without_the_first_layer_loads_and_is_cut_again(tmp_path, monkeypatch):
    monkeypatch.setitem(exporting.PLANS, "first", FIRST_GONE)
    model, batch = exporting.export(tmp_path / "out", "first", CONVOLUTION), exporting.inputs()
    fewer = PruningPlan.of([([], []), ([3], [0]), ([2], [])], FIRST_GONE.channels)
    again = cut(load(tmp_path / "out"), fewer)
    expected = exporting.logits(cut_copy(model, fewer), batch)
    torch.testing.assert_close(exporting.logits(again, batch), expected)


@pytest.mark.parametrize("build_", WITH_OWN)
@settings(max_examples=6, deadline=None)
@given(plan=plans())
def test_what_early_stopping_predicts_is_what_a_cut_removes(build_, plan):
    model = tiny_model(build_)
    dense, smaller = architecture(model), cut_copy(model, plan)
    count = [sum(p.numel() for p in m.parameters()) for m in (model, smaller)]
    assert removed(plan.architecture(dense), dense) == count[0] - count[1]
    assert Architecture.from_json(dense.to_json()) == dense


@pytest.mark.parametrize(
    ("build_", "kind"),
    [
        ("deberta", LayerKind(position_matrices=2, position_scores=2)),
        ("deberta-v2", LayerKind(position_scores=2)),
        (
            "deberta-v2 without a convolution",
            LayerKind(head_biases=5, position_matrices=2, position_scores=2),
        ),
        (
            "deberta of contents to positions",
            LayerKind(head_biases=2, position_matrices=1, position_scores=1),
        ),
        ("deberta-v2 without relative positions", LayerKind()),
    ],
)
def test_what_a_head_holds_and_costs(build_, kind):
    dense = architecture(tiny_model(build_))
    assert dense.kind(0) == kind
    d, size, tokens = dense.hidden, dense.head_size, 12
    units = tokens * (4 * HEADS * d * size + 2 * NEURONS * d)
    scores = 2 * (1 + kind.position_scores) * HEADS * size * tokens**2
    assert dense.macs(tokens) == LAYERS * (units + scores)


@pytest.mark.parametrize("build_", WITH_OWN)
@pytest.mark.parametrize("plan", [test_exact.DENSE, test_exact.UNEVEN])
def test_the_graph_at_any_length(build_, plan):
    """Up to and beyond the distance from which all are alike, with padding."""
    model = cut_copy(dense_model(build_, "ner", max_position_embeddings=80), plan)
    graph = build(model)
    running = session(graph)
    for tokens in (1, 2, 17, 70):
        batch = tiny_batch(2, tokens, seed=tokens)
        batch["token_type_ids"] = batch["input_ids"] % 2
        given_ = {name: batch[name].numpy() for name in graph.inputs}
        found = torch.from_numpy(running.run(None, given_)[0])
        expected, real = torch.from_numpy(torch_logits(model, given_)), batch["attention_mask"] == 1
        torch.testing.assert_close(found[real], expected[real], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("dtype", "share"), [("float16", 0.01), ("int8", 0.1)])
@pytest.mark.parametrize("build_", BUILDS)
def test_smaller_dtypes(build_, dtype, share):
    test_exact.test_smaller_dtypes_round(build_, dtype, share)


def test_a_table_of_v3_as_it_is_published():
    sizes = {"max_position_embeddings": 512, "position_buckets": 256}
    model = dense_model("deberta-v2", "ner", **sizes)
    graph = build(model)
    batch = tiny_batch(1, 600)
    given_ = {name: batch[name].numpy() for name in graph.inputs}
    found = torch.from_numpy(session(graph).run(None, given_)[0])
    expected = torch.from_numpy(torch_logits(model, given_))
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


def test_what_is_not_written_is_said():
    with pytest.raises(UnsupportedModelError, match="odd number of buckets"):
        build(tiny_model("deberta-v2", position_buckets=7))
    with pytest.raises(UnsupportedModelError, match="scores of the kind p2p"):
        build(tiny_model("deberta", pos_att_type=["c2p", "p2p"]))


@pytest.mark.parametrize(
    ("build_", "setting", "value"),
    [("deberta", "talking_head", True), ("deberta-v2", "conv_groups", 2)],
)
def test_what_mixes_heads_or_groups_channels_is_refused(build_, setting, value):
    config = tiny_model(build_).config
    check(config)
    setattr(config, setting, value)
    with pytest.raises(UserError, match=f"config.{setting} is .*, allowed:"):
        check(config)


def test_a_head_of_v1_has_its_rows_of_the_fused_matrix():
    model = tiny_model("deberta")
    attention = model.deberta.encoder.layer[0].attention.self
    by_head = attention.in_proj.weight.unflatten(0, (HEADS, 3, -1))
    blocks = family_of(model).attention(model.deberta.encoder.layer[0]).blocks()
    for block, expected in zip(blocks, by_head.unbind(1), strict=True):
        torch.testing.assert_close(block.unflatten(0, (HEADS, -1)), expected, atol=0, rtol=0)
    x = torch.randn(1, 3, HIDDEN)
    qkv = attention.transpose_for_scores(attention.in_proj(x)).chunk(3, dim=-1)
    for block, states in zip(blocks, qkv, strict=True):
        found = nn.functional.linear(x, block).unflatten(-1, (HEADS, -1)).transpose(1, 2)
        torch.testing.assert_close(found, states)
    kept = cut(model, PruningPlan.of([([1, 3], [0])] * LAYERS))
    cut_attention = kept.deberta.encoder.layer[0].attention.self
    assert cut_attention.num_attention_heads == 2
    assert cut_attention.all_head_size == 2 * cut_attention.attention_head_size
    rows = cut_attention.in_proj.weight.unflatten(0, (2, 3, -1))
    torch.testing.assert_close(rows, by_head[[1, 3]], atol=0, rtol=0)


def test_relative_positions_end_nowhere():
    family, config = family_of(tiny_model("deberta-v2")), tiny_model("deberta-v2").config
    assert family.most_tokens(config) is None
    assert family.most_tokens(tiny_model(CONVOLUTION).config) == tiny.POSITIONS
    assert family.attention_kind("sdpa") == family.attention_kind("eager") == "eager"
