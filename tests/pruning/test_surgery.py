import copy
import pickle
import warnings

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from pareto_prune.core.errors import UserError
from pareto_prune.models.families import architecture, family_of
from pareto_prune.models.opset import OPSET
from pareto_prune.pruning.modeling_pruned import NoHeads, NoNeurons, OnlyBias
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.stock import is_plain
from pareto_prune.pruning.surgery import (
    cut,
    cut_copy,
    masked,
    plan_from_ranges,
    plan_of,
    plan_to_ranges,
    present_layers,
)
from tests.pruning.plans import plans, subplan
from tests.tiny import BUILDS, HEADS, HIDDEN, LAYERS, MODEL_TYPES, NEURONS, tiny_batch, tiny_model

UNEVEN = PruningPlan.of([([0, 2], range(0, NEURONS, 3)), ([], [1, 2]), ([3], [])])
SKIPPING = PruningPlan.of([([1], [7]), ([], []), (range(HEADS), range(NEURONS))])
NARROW = PruningPlan.of([([0], range(9)), ([], []), ([], [1, 2])], range(1, HIDDEN, 2))


def logits(model, batch):
    with torch.no_grad():
        return model(**{key: value for key, value in batch.items() if key != "labels"}).logits


def assert_equal_to_masked(model, plan, batch):
    with masked(model, plan):
        expected = logits(model, batch)
    torch.testing.assert_close(logits(cut_copy(model, plan), batch), expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
@settings(max_examples=8, deadline=None)
@given(data=st.data())
def test_cut_equals_masked(model_type, attention, data):
    task = data.draw(st.sampled_from(["classification", "ner"]))
    model = tiny_model(model_type, task, attention=attention)
    plan = data.draw(st.one_of(plans(), plans(channels=True)))
    batch = tiny_batch(examples=data.draw(st.integers(1, 3)), seed=data.draw(st.integers(0, 99)))
    assert_equal_to_masked(model, plan, batch)


@pytest.mark.parametrize("plan", [UNEVEN, SKIPPING, NARROW], ids=["uneven", "skipping", "narrow"])
def test_electra_with_and_without_projection(plan):
    for width in (16, HIDDEN):
        model = tiny_model("electra", embedding_size=width)
        assert hasattr(model.electra, "embeddings_project") == (width != HIDDEN)
        assert_equal_to_masked(model, plan, tiny_batch())


def test_gpt2_that_scales_by_layer_index():
    model = tiny_model("gpt2", scale_attn_by_inverse_layer_idx=True)
    assert_equal_to_masked(model, SKIPPING, tiny_batch())


def test_masking_changes_the_output_and_leaves_no_trace():
    model, batch = tiny_model(), tiny_batch()
    before = logits(model, batch)
    with masked(model, NARROW):
        assert not torch.allclose(logits(model, batch), before, atol=1e-3)
    torch.testing.assert_close(logits(model, batch), before, atol=0, rtol=0)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@settings(max_examples=6, deadline=None)
@given(first=plans(channels=True), second=plans(channels=True))
def test_cutting_twice_is_cutting_once(model_type, first, second):
    model, batch, both = tiny_model(model_type), tiny_batch(), subplan(first, second)
    twice = cut(cut_copy(model, first), both)
    torch.testing.assert_close(logits(twice, batch), logits(cut_copy(model, both), batch))
    assert plan_of(twice) == both
    assert architecture(twice) == both.architecture(architecture(model))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@settings(max_examples=10, deadline=None)
@given(plan=plans())
def test_parameter_arithmetic(model_type, plan):
    """A head holds 4 d d_h weights and 3 d_h biases, a neuron 2 d and 1, a layer the rest.

    ModernBERT has no biases, a gate (3 d), and no norm before its first attention; DeBERTa's head
    has two more matrices, for positions, with one bias, and none of its keys.
    """
    model = tiny_model(model_type)
    smaller, shape = cut_copy(model, plan), plan.architecture(architecture(model))
    size = shape.head_size
    heads, neurons = LAYERS * HEADS - shape.heads, LAYERS * NEURONS - shape.neurons
    dropped = [i for i, layer in enumerate(shape.layers) if layer.dropped]
    if model_type == "modernbert":
        removed = heads * 4 * HIDDEN * size + neurons * 3 * HIDDEN
        removed += (2 * len(dropped) - (0 in dropped)) * HIDDEN  # two norms, but in the first layer
    else:
        matrices = 6 if model_type == "deberta" else 4
        removed = heads * (matrices * HIDDEN * size + 3 * size) + neurons * (2 * HIDDEN + 1)
        removed += len(dropped) * (2 * HIDDEN + 4 * HIDDEN)  # two output biases, two LayerNorms
    count = [sum(p.numel() for p in m.parameters()) for m in (model, smaller)]
    assert count[1] == count[0] - removed
    assert all(parameter.numel() for parameter in smaller.parameters())


def test_dense_model_is_untouched_and_nothing_is_shared():
    model, batch = tiny_model(), tiny_batch()
    before, state = logits(model, batch), copy.deepcopy(model.state_dict())
    smaller = cut_copy(model, UNEVEN)
    with torch.no_grad():
        for parameter in smaller.parameters():
            parameter.zero_()
    torch.testing.assert_close(model.state_dict(), state, atol=0, rtol=0)
    torch.testing.assert_close(logits(model, batch), before, atol=0, rtol=0)
    assert model.config.num_hidden_layers == LAYERS
    assert getattr(model.config, "pareto_prune", None) is None


def test_tied_weights_stay_tied_in_a_copy():
    model = tiny_model()
    embeddings = model.bert.embeddings
    embeddings.position_embeddings.weight = embeddings.word_embeddings.weight
    smaller = cut_copy(model, UNEVEN).bert.embeddings
    assert smaller.position_embeddings.weight is smaller.word_embeddings.weight
    assert smaller.word_embeddings.weight is not embeddings.word_embeddings.weight


def test_frozen_parameters_stay_frozen():
    model = tiny_model()
    model.bert.embeddings.requires_grad_(False)
    smaller = cut_copy(model, NARROW)
    assert {p.requires_grad for p in smaller.bert.embeddings.parameters()} == {False}
    assert {p.requires_grad for p in smaller.bert.encoder.parameters()} == {True}


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("task", ["classification", "ner"])
def test_a_model_read_from_a_folder_may_be_cut_again(model_type, task, tmp_path):
    stock = tiny_model(model_type, task)
    stock.save_pretrained(tmp_path)
    model = type(stock).from_pretrained(tmp_path)
    once = cut_copy(model, PruningPlan.of([(range(3), range(9))] * LAYERS))
    again = PruningPlan.of([(range(2), range(4))] * LAYERS)
    twice = cut_copy(once, again)
    assert type(twice) is type(once)
    batch = tiny_batch(task=task)
    assert torch.equal(logits(twice, batch), logits(cut_copy(model, again), batch))


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("plan", [UNEVEN, SKIPPING, NARROW], ids=["uneven", "skipping", "narrow"])
def test_gradients_equal_those_of_the_masked_model(model_type, plan):
    model, batch = tiny_model(model_type), tiny_batch()
    smaller = cut_copy(model, plan)
    smaller(**batch).loss.backward()
    with masked(model, plan):
        model(**batch).loss.backward()
    kept = slice(None) if plan.channels is None else list(plan.channels)
    embedding, cut_embedding = (m.get_input_embeddings().weight.grad for m in (model, smaller))
    if cut_embedding.shape[1] < embedding.shape[1]:
        embedding = embedding[:, kept]
    torch.testing.assert_close(cut_embedding, embedding, atol=1e-5, rtol=1e-4)
    assert all(p.grad is None or p.grad.isfinite().all() for p in smaller.parameters())


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_trains_with_dropout(model_type):
    smaller, batch = cut(tiny_model(model_type), UNEVEN).train(), tiny_batch()
    optimizer = torch.optim.SGD(smaller.parameters(), lr=0.05)
    losses = []
    for _ in range(30):
        loss = smaller(**batch).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert sum(losses[-5:]) < sum(losses[:5])


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_empty_sublayers_give_just_their_bias(model_type):
    model = cut(tiny_model(model_type), PruningPlan.of([([], [3]), ([1], []), ([], [])]))
    family = family_of(model)
    no_heads, no_neurons = family.layers(model)
    assert isinstance(family.attention(no_heads).output, OnlyBias)
    assert isinstance(no_heads.get_submodule(family.paths.attention.module), NoHeads)
    assert isinstance(family.ffn(no_neurons).output, OnlyBias)
    assert isinstance(no_neurons.get_submodule(family.paths.ffn.module), NoNeurons)
    assert not family.attention(no_heads).inputs
    assert not family.ffn(no_neurons).inputs
    assert list(present_layers(model)) == [0, 1]


def test_hidden_states_of_a_cut_model():
    for model in (tiny_model(), tiny_model("distilbert"), tiny_model().bert):
        smaller = cut(model, SKIPPING)
        states = smaller(
            **{k: v for k, v in tiny_batch().items() if k != "labels"}, output_hidden_states=True
        ).hidden_states
        assert len(states) == 1 + 2


def test_cut_model_survives_pickle_and_deepcopy():
    smaller, batch = cut(tiny_model(), NARROW), tiny_batch()
    for other in (pickle.loads(pickle.dumps(smaller)), copy.deepcopy(smaller)):
        assert type(other) is type(smaller)
        torch.testing.assert_close(logits(other, batch), logits(smaller, batch), atol=0, rtol=0)


def test_dropped_layers_alone_leave_a_stock_model():
    whole = (range(HEADS), range(NEURONS))
    smaller = cut(tiny_model(), PruningPlan.of([whole, ([], []), whole]))
    assert is_plain(smaller)
    assert type(smaller).__name__ == "BertForSequenceClassification"
    assert smaller.config.model_type == "bert"
    assert smaller.config.num_hidden_layers == 2
    assert [layer.attention.self.layer_idx for layer in smaller.bert.encoder.layer] == [0, 1]
    again = cut(smaller, PruningPlan.of([([0], [1]), ([], []), whole]))
    assert not is_plain(again)
    assert type(again).__name__ == "PrunedBertForSequenceClassification"


def test_gpt2_that_scales_by_layer_index_is_plain_only_when_whole():
    whole = (range(HEADS), range(NEURONS))
    model = tiny_model("gpt2", scale_attn_by_inverse_layer_idx=True)
    assert is_plain(cut_copy(model, PruningPlan.of([whole] * LAYERS)))
    assert not is_plain(cut_copy(model, PruningPlan.of([([], []), whole, whole])))


@given(plan=plans(channels=True))
def test_plan_survives_ranges(plan):
    assert plan_from_ranges(plan_to_ranges(plan)) == plan


def test_ranges_are_short():
    plan = PruningPlan.of([(range(12), [*range(700), 800, *range(900, 1536)])])
    assert plan_to_ranges(plan)["layers"] == [{"heads": "0-11", "neurons": "0-699,800,900-1535"}]


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        (PruningPlan.of([([0], [0])] * 2), "2 layers, the model 3"),
        (PruningPlan.of([([HEADS], [0])] * LAYERS), f"layer 0: head {HEADS} of {HEADS}"),
        (PruningPlan.of([([0], [NEURONS])] * LAYERS), f"neuron {NEURONS} of {NEURONS}"),
        (PruningPlan.of([([0], [0])] * LAYERS, []), "not none"),
        (PruningPlan.of([([0], [0])] * LAYERS, [HIDDEN]), "among the 32"),
    ],
)
def test_plans_that_do_not_fit(plan, message):
    model = tiny_model()
    state = copy.deepcopy(model.state_dict())
    for surgery in (cut, cut_copy, lambda *args: masked(*args).__enter__()):
        with pytest.raises(ValueError, match=message):
            surgery(model, plan)
    torch.testing.assert_close(model.state_dict(), state, atol=0, rtol=0)


def test_lost_units_do_not_come_back():
    model = cut(tiny_model(), NARROW)
    for plan, message in (
        (UNEVEN, "layer 0: head 2 is kept by the plan, but the model has lost it"),
        (PruningPlan.of([([0], [0])] + [([], [])] * 2), "keeps all channels"),
        (PruningPlan.of([([0], [0])] + [([], [])] * 2, [0, 1]), "channel 0"),
    ):
        with pytest.raises(ValueError, match=message):
            cut(model, plan)


def test_channels_of_an_unknown_head_are_refused():
    from transformers import BertConfig, BertForMaskedLM

    config = BertConfig(
        vocab_size=50,
        hidden_size=HIDDEN,
        num_hidden_layers=LAYERS,
        num_attention_heads=HEADS,
        intermediate_size=NEURONS,
    )
    with pytest.raises(UserError, match="hidden channels of BertForMaskedLM cannot be cut"):
        cut(BertForMaskedLM(config), NARROW)


@pytest.mark.parametrize("model_type", BUILDS)
def test_traces_to_onnx_without_empty_tensors(model_type, tmp_path):
    """Empty sublayers and a cut hidden size, at another batch size and length than traced."""
    onnx = pytest.importorskip("onnx")
    runtime = pytest.importorskip("onnxruntime")

    class Logits(nn.Module):
        def __init__(self, model):
            super().__init__()
            self.model = model

        def forward(self, input_ids, attention_mask):
            return self.model(input_ids=input_ids, attention_mask=attention_mask).logits

    model = cut(tiny_model(model_type), NARROW)
    names, path = ["input_ids", "attention_mask"], tmp_path / "model.onnx"
    traced, other = tiny_batch(), tiny_batch(3, 9, seed=4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            Logits(model).eval(),
            tuple(traced[name] for name in names),
            str(path),
            dynamo=False,
            input_names=names,
            output_names=["logits"],
            dynamic_axes={name: {0: "batch", 1: "tokens"} for name in names},
            opset_version=OPSET,
        )
    graph = onnx.load(str(path)).graph
    assert all(0 not in tensor.dims for tensor in graph.initializer)
    session = runtime.InferenceSession(str(path))
    (found,) = session.run(None, {name: other[name].numpy() for name in names})
    torch.testing.assert_close(torch.from_numpy(found), logits(model, other), atol=1e-5, rtol=1e-5)
