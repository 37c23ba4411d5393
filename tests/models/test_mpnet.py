"""What is MPNet's own: one bias of relative positions for all layers, of which each keeps some."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pareto_prune.export.loading import load
from pareto_prune.models.families import family_of
from pareto_prune.models.onnx_graph import build, check, session, torch_logits
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.stock import is_plain
from pareto_prune.pruning.surgery import cut, cut_copy
from tests.export import test_huggingface as exporting
from tests.pruning import test_surgery
from tests.pruning.plans import plans
from tests.tiny import HEADS, LAYERS, NEURONS, tiny_batch, tiny_model

TYPE = "mpnet"
WHOLE = (range(HEADS), range(NEURONS))
TURNED = PruningPlan.of([([3], range(8)), ([0, 2], [1]), ([1, 2, 3], [])])


def dense_model(task="classification", **sizes):
    """A model in which the bias of a head decides what it attends to."""
    model = tiny_model(TYPE, task, **sizes)
    with torch.no_grad():
        table = model.mpnet.encoder.relative_attention_bias.weight
        table.copy_(3 * torch.randn(table.shape, generator=torch.Generator().manual_seed(1)))
    return model


@settings(max_examples=15, deadline=None)
@given(plan=plans(channels=True), task=st.sampled_from(["classification", "ner"]))
def test_any_plan_equals_the_masked_model_and_its_written_graph(plan, task):
    model = dense_model(task)
    test_surgery.assert_equal_to_masked(model, plan, tiny_batch())
    smaller = cut_copy(model, plan)
    check(smaller, build(smaller))


def test_every_layer_reads_its_own_heads_of_one_table():
    model = dense_model()
    smaller = cut_copy(model, TURNED)
    encoders = [m.mpnet.encoder for m in (model, smaller)]
    tables = [encoder.relative_attention_bias.weight for encoder in encoders]
    assert torch.equal(*tables)
    test_surgery.assert_equal_to_masked(model, TURNED, tiny_batch())
    expected = exporting.logits(smaller, exporting.inputs())
    with torch.no_grad():
        tables[1][:, 1] *= -1  # a head that the last layer alone has left
    assert not torch.allclose(exporting.logits(smaller, exporting.inputs()), expected, atol=1e-3)
    attentions = [layer.attention.attn for layer in encoders[1].layer]
    assert [attention.kept_heads for attention in attentions] == [[3], [0, 2], [1, 2, 3]]


def test_cut_again_it_still_names_heads_of_the_dense_model():
    model, fewer = dense_model(), PruningPlan.of([([3], [0]), ([2], []), ([1, 3], [])])
    twice = cut(cut_copy(model, TURNED), fewer)
    attentions = [layer.attention.attn for layer in twice.mpnet.encoder.layer]
    assert [attention.kept_heads for attention in attentions] == [[3], [2], [1, 3]]
    assert {len(attention._forward_pre_hooks) for attention in attentions} == {1}
    batch = exporting.inputs()
    expected = exporting.logits(cut_copy(model, fewer), batch)
    torch.testing.assert_close(exporting.logits(twice, batch), expected)
    torch.testing.assert_close(exporting.logits(copy.deepcopy(twice), batch), expected)


@pytest.mark.parametrize("dropped", range(LAYERS))
def test_a_dropped_layer_leaves_the_bias_to_the_others(dropped, tmp_path):
    plan = PruningPlan.of([([], []) if i == dropped else WHOLE for i in range(LAYERS)])
    dense = dense_model()
    model, batch = cut_copy(dense, plan), exporting.inputs()
    test_surgery.assert_equal_to_masked(dense, plan, batch)
    assert is_plain(model)
    model.save_pretrained(tmp_path)
    stock = type(dense).from_pretrained(tmp_path)
    torch.testing.assert_close(
        exporting.logits(stock, batch), exporting.logits(model, batch), atol=0, rtol=0
    )


def test_a_folder_loads_cuts_again_and_loads(tmp_path):
    model, batch = exporting.export(tmp_path / "out", "uneven", TYPE), exporting.inputs()
    fewer = PruningPlan.of([([2], [0]), ([], [1]), ([3], [])])
    again = cut(load(tmp_path / "out"), fewer)
    expected = exporting.logits(cut_copy(model, fewer), batch)
    torch.testing.assert_close(exporting.logits(again, batch), expected)


@pytest.mark.parametrize("plan", [TURNED, PruningPlan.of([WHOLE] * LAYERS)])
def test_far_tokens_are_in_the_models_buckets(plan):
    """Up to and beyond the distance from which all are in one bucket, with padding."""
    model = cut_copy(dense_model("ner", max_position_embeddings=400), plan)
    graph = build(model)
    running = session(graph)
    for tokens in (1, 17, 130, 300):
        batch = tiny_batch(2, tokens, seed=tokens)
        found = running.run(None, {name: batch[name].numpy() for name in graph.inputs})[0]
        expected = torch_logits(model, {name: batch[name].numpy() for name in graph.inputs})
        real = batch["attention_mask"].bool()
        torch.testing.assert_close(
            torch.from_numpy(found)[real], torch.from_numpy(expected)[real], atol=1e-4, rtol=1e-4
        )


def test_it_has_no_attention_but_its_own():
    family = family_of(tiny_model(TYPE))
    assert family.attention_kind("sdpa") == family.attention_kind("eager") == "eager"
