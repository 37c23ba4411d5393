"""The contract of every importance, parametrised over the registry, and the norms themselves."""

import copy

import pytest
import torch

from pareto_prune.inputs.tasks import tasks
from pareto_prune.models.families import architecture
from pareto_prune.pruning.importance import importances
from pareto_prune.pruning.norms import channel_norms, unit_norms
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.surgery import cut
from tests.tiny import BUILDS, HEADS, HIDDEN, LAYERS, MODEL_TYPES, NEURONS, tiny_batches, tiny_model

NAMES = importances.names()


def score(name, model, seed=0):
    member = importances.create(name)
    generator = torch.Generator().manual_seed(seed)
    batches = tiny_batches(4, examples=8)
    given = model, batches, generator, tasks.create("classification")
    return member.scores(*given), member.channels(*given)


@pytest.mark.parametrize("model_type", BUILDS)
@pytest.mark.parametrize("name", NAMES)
def test_contract(name, model_type):
    model = tiny_model(model_type)
    state = copy.deepcopy(model.state_dict())
    scores, channels = score(name, model)
    assert [tuple(layer.shape) for layer in scores.heads] == [(HEADS,)] * LAYERS
    assert [tuple(layer.shape) for layer in scores.neurons] == [(NEURONS,)] * LAYERS
    assert tuple(channels.shape) == (HIDDEN,)
    for tensor in (*scores.heads, *scores.neurons, channels):
        assert tensor.isfinite().all()
        assert not tensor.requires_grad
        assert tensor.unique().numel() > 1
    torch.testing.assert_close(model.state_dict(), state, atol=0, rtol=0)
    assert all(parameter.grad is None for parameter in model.parameters())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not any(module._forward_pre_hooks for module in model.modules())


@pytest.mark.parametrize("name", NAMES)
def test_same_seed_same_scores(name):
    model = tiny_model()
    (first, channels), (second, again) = (score(name, model) for _ in range(2))
    torch.testing.assert_close(first.heads, second.heads, atol=0, rtol=0)
    torch.testing.assert_close(first.neurons, second.neurons, atol=0, rtol=0)
    torch.testing.assert_close(channels, again, atol=0, rtol=0)


def test_random_scores_depend_on_the_seed_alone():
    first, second = (score("random", tiny_model(seed=s))[0] for s in (0, 1))
    torch.testing.assert_close(first.heads, second.heads, atol=0, rtol=0)
    other = score("random", tiny_model(), seed=1)[0]
    assert not torch.equal(first.heads[0], other.heads[0])


def test_norms_of_one_unit_by_hand():
    model = tiny_model()
    layer, size = model.bert.encoder.layer[1], HIDDEN // HEADS
    rows = slice(2 * size, 3 * size)
    attention = layer.attention.self
    of_head = [part.weight[rows] for part in (attention.query, attention.key, attention.value)]
    of_head.append(layer.attention.output.dense.weight[:, rows])
    head = torch.cat([part.flatten() for part in of_head])
    neuron = torch.cat([layer.intermediate.dense.weight[7], layer.output.dense.weight[:, 7]])
    l1, l2 = unit_norms(model, 1), unit_norms(model, 2)
    torch.testing.assert_close(l1.heads[1][2], head.abs().mean())
    torch.testing.assert_close(l2.heads[1][2], head.square().mean().sqrt())
    torch.testing.assert_close(l1.neurons[1][7], neuron.abs().mean())
    torch.testing.assert_close(l2.neurons[1][7], neuron.square().mean().sqrt())


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_norms_of_a_cut_model_are_of_what_is_left(model_type):
    model = tiny_model(model_type)
    smaller = cut(
        tiny_model(model_type), PruningPlan.of([([1, 2], [4, 5, 6]), ([], []), ([], [0])])
    )
    norms = unit_norms(smaller, 1)
    assert [len(layer) for layer in norms.heads] == [2, 0, 0]
    assert [len(layer) for layer in norms.neurons] == [3, 0, 1]
    torch.testing.assert_close(norms.heads[0], unit_norms(model, 1).heads[0][[1, 2]])
    torch.testing.assert_close(norms.neurons[0], unit_norms(model, 1).neurons[0][[4, 5, 6]])


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_channel_norms_see_every_layer(model_type):
    model = tiny_model(model_type)
    before = channel_norms(model, 2)
    assert architecture(model).hidden == len(before)
    with torch.no_grad():
        model.get_submodule(_last_w_2(model_type)).weight.mul_(2.0)
    assert (channel_norms(model, 2) > before).all()


def _last_w_2(model_type):
    paths = {
        "distilbert": "distilbert.transformer.layer.2.ffn.lin2",
        "gpt2": "transformer.h.2.mlp.c_proj",
        "modernbert": "model.layers.2.mlp.Wo",
    }
    own = ("bert", "deberta", "electra", "mpnet")
    prefix = next((name for name in own if model_type.partition("-")[0] == name), "roberta")
    return paths.get(model_type, f"{prefix}.encoder.layer.2.output.dense")
