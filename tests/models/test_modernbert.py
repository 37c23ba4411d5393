"""What is ModernBERT's own: a fused gate, windows, no norm before the first attention."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers import ModernBertForSequenceClassification

from pareto_prune.core.architecture import LayerKind
from pareto_prune.models.families import architecture
from pareto_prune.models.families.modernbert import ModernBert
from pareto_prune.models.onnx_graph import UnsupportedModelError, build, check
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.repair import repair
from pareto_prune.pruning.stock import is_plain
from pareto_prune.pruning.surgery import cut_copy
from tests.export import test_huggingface as exporting
from tests.pruning import test_importance, test_repair, test_surgery
from tests.pruning.plans import plans
from tests.tiny import HEADS, HIDDEN, LAYERS, NEURONS, tiny_batch, tiny_model

TYPE = "modernbert"
WHOLE = (range(HEADS), range(NEURONS))
DROPPED = {
    "the local layer": PruningPlan.of([WHOLE, ([], []), WHOLE]),
    "the last layer": PruningPlan.of([WHOLE, WHOLE, ([], [])]),
    "the first layer": PruningPlan.of([([], []), WHOLE, WHOLE]),
}


@pytest.mark.parametrize(
    "biases", [{"norm_bias": True}, {"mlp_bias": True, "attention_bias": True}]
)
@pytest.mark.parametrize("plan", exporting.PLANS)
def test_with_biases_too(plan, biases):
    model = tiny_model(TYPE, **biases)
    test_surgery.assert_equal_to_masked(model, exporting.PLANS[plan], tiny_batch())
    smaller = cut_copy(model, exporting.PLANS[plan])
    check(smaller, build(smaller))


class Apart(nn.Module):
    """The same FFN with two projections in place of the fused one."""

    def __init__(self, fused):
        super().__init__()
        self.active, self.gate = (nn.Linear(HIDDEN, NEURONS, bias=False) for _ in range(2))
        for part, rows in zip((self.active, self.gate), fused.Wi.weight.chunk(2), strict=True):
            part.weight = nn.Parameter(rows.detach().clone())
        self.act, self.Wo = fused.act, fused.Wo

    def forward(self, hidden_states):
        return self.Wo(self.act(self.active(hidden_states)) * self.gate(hidden_states))


@pytest.mark.parametrize("plan", exporting.PLANS)
def test_a_gate_in_a_projection_of_its_own(plan, monkeypatch):
    fused, model = tiny_model(TYPE), tiny_model(TYPE)
    expected = cut_copy(fused, exporting.PLANS[plan])
    for layer in model.model.layers:
        layer.mlp = Apart(layer.mlp)
    paths = ModernBert.paths
    apart = replace(paths, ffn=replace(paths.ffn, inputs=("mlp.active", "mlp.gate")))
    monkeypatch.setattr(ModernBert, "paths", apart)
    test_surgery.assert_equal_to_masked(model, exporting.PLANS[plan], tiny_batch())
    smaller = cut_copy(model, exporting.PLANS[plan])
    check(smaller, build(smaller))
    assert architecture(smaller) == architecture(expected)
    torch.testing.assert_close(
        exporting.logits(smaller, exporting.inputs()),
        exporting.logits(expected, exporting.inputs()),
    )


def test_repair_recovers_units_that_others_repeat():
    """Twins of heads and neurons go: their outputs are a matter of the weights that stay."""
    dense, unseen = tiny_model(TYPE), test_repair.inputs(2, seed=9)
    with torch.no_grad():
        for layer in dense.model.layers:
            q_k_v = layer.attn.Wqkv.weight.view(3, HEADS // 2, 2, -1)
            q_k_v[:, :, 1] = q_k_v[:, :, 0]
            halves = layer.mlp.Wi.weight.view(2, NEURONS // 2, 2, -1)
            halves[:, :, 1] = halves[:, :, 0]
    plan = PruningPlan.of([(range(0, HEADS, 2), range(0, NEURONS, 2))] * LAYERS)
    smaller = cut_copy(dense, plan)
    before = test_repair.distance(smaller, dense, unseen)
    repair(smaller, dense, test_repair.inputs(), ridge=1e-6)
    assert test_repair.distance(smaller, dense, unseen) < 1e-4 * before


def test_a_norm_of_the_gate_is_of_both_halves():
    model = tiny_model(TYPE)
    mlp = model.model.layers[1].mlp
    rows = mlp.Wi.weight[[7, NEURONS + 7]].flatten()
    neuron = torch.cat([rows, mlp.Wo.weight[:, 7]])
    found = test_importance.unit_norms(model, 1).neurons[1][7]
    torch.testing.assert_close(found, neuron.abs().mean())


def test_multiply_accumulates_know_gate_and_window():
    dense = architecture(tiny_model(TYPE))
    assert [kind.span for kind in dense.kinds] == [None, 5, None]
    d, size, tokens = dense.hidden, dense.head_size, 12
    units = tokens * (4 * HEADS * d * size + 3 * NEURONS * d)
    scores = tokens * 2 * HEADS * size * (12 + 5 + 12)
    assert dense.macs(tokens) == LAYERS * units + scores
    assert dense.kinds[0] == LayerKind(head_biases=0, neuron_matrices=3, neuron_biases=0, vectors=1)


@pytest.mark.parametrize("plan", DROPPED)
def test_a_dropped_layer_leaves_every_other_one_its_kind(plan, tmp_path):
    dense = tiny_model(TYPE)
    model, batch = cut_copy(dense, DROPPED[plan]), exporting.inputs()
    test_surgery.assert_equal_to_masked(dense, DROPPED[plan], batch)
    # the kind of a layer may be read from its place: the last one would become local
    assert is_plain(model) == (plan not in ("the first layer", "the local layer"))
    model.save_pretrained(tmp_path)
    if is_plain(model):
        stock = ModernBertForSequenceClassification.from_pretrained(tmp_path)
        torch.testing.assert_close(
            exporting.logits(stock, batch), exporting.logits(model, batch), atol=0, rtol=0
        )


@settings(max_examples=10, deadline=None)
@given(plan=plans(channels=True), pooling=st.sampled_from(["cls", "mean"]))
def test_the_written_graph_of_any_plan(plan, pooling):
    model = cut_copy(tiny_model(TYPE, classifier_pooling=pooling), plan)
    check(model, build(model))


def test_positions_that_change_with_the_length_are_not_written():
    model = tiny_model(TYPE)
    model.config.rope_parameters["full_attention"]["rope_type"] = "dynamic"
    with pytest.raises(UnsupportedModelError, match=r"rotary positions of .*dynamic"):
        build(model)
