"""Bare encoders that give sentence vectors: in torch, cut, copied, as a graph."""

from __future__ import annotations

import copy

import pytest
import torch

from pareto_prune.models import onnx_graph
from pareto_prune.models.sentence_vectors import MODES, Pooling, pooled, state, with_vectors
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.surgery import cut_copy
from tests.tiny import HEADS, LAYERS, MODEL_TYPES, NEURONS, tiny_batch, tiny_model

ENCODERS = [name for name in MODEL_TYPES if name not in ("gpt2", "xlm-roberta", "camembert")]


def encoder(model_type="bert", mode="mean", normalised=True):
    model = tiny_model(model_type).base_model
    state(model.config, Pooling(mode, normalised))
    return with_vectors(model)


def inputs():
    batch = tiny_batch()
    del batch["labels"]
    return batch


def said(model):
    with torch.inference_mode():
        return model(**inputs(), return_dict=True).logits


@pytest.mark.parametrize("mode", MODES)
def test_vectors_are_what_is_pooled_of_real_tokens(mode):
    states = torch.tensor(
        [[[1.0, -2.0], [3.0, -4.0], [9.0, 9.0]], [[5.0, 1.0], [0.0, 0.0], [7, 7]]]
    )
    mask = torch.tensor([[1, 1, 0], [1, 0, 0]])
    wanted = {
        "mean": [[2.0, -3.0], [5.0, 1.0]],
        "cls": [[1.0, -2.0], [5.0, 1.0]],
        "max": [[3.0, -2.0], [5.0, 1.0]],
        "last": [[3.0, -4.0], [5.0, 1.0]],
    }
    found = pooled(states, mask, Pooling(mode))
    torch.testing.assert_close(found, torch.tensor(wanted[mode]))
    unit = pooled(states, mask, Pooling(mode, normalised=True))
    torch.testing.assert_close(unit, found / found.norm(dim=-1, keepdim=True))


@pytest.mark.parametrize("model_type", ENCODERS)
def test_graphs_of_all_families_give_them(model_type):
    model = encoder(model_type)
    written = onnx_graph.build(model)
    onnx_graph.check(model, written)
    assert written.shape == ("batch", 32)
    assert not any(".pooler." in f".{name}" for name, _ in model.named_parameters())


@pytest.mark.parametrize("mode", MODES)
def test_graphs_pool_in_every_way_and_format(mode):
    model = encoder(mode=mode, normalised=mode == "max")
    onnx_graph.check(model, onnx_graph.build(model))
    half = onnx_graph.session(onnx_graph.build(model, "float16"))
    given = {name: inputs()[name].numpy() for name in onnx_graph.input_names(model)[:2]}
    given["token_type_ids"] = given["input_ids"] * 0
    found = half.run(None, given)[0]
    torch.testing.assert_close(torch.from_numpy(found), said(model), rtol=0.05, atol=0.05)


def test_a_cut_model_gives_them_too_uneven_or_not():
    model = encoder()
    for heads in (range(2), range(HEADS)):
        layers = [
            (heads, range(NEURONS)),
            *[(range(HEADS), range(NEURONS))] * (LAYERS - 2),
            ([], []),
        ]
        small = cut_copy(model, PruningPlan.of(layers))
        assert said(small).shape == (4, 32)
        onnx_graph.check(small, onnx_graph.build(small))
        assert type(small).__name__ == ("BertModel" if len(heads) == HEADS else "PrunedBertModel")
        torch.testing.assert_close(said(copy.deepcopy(small)), said(small))


def test_a_model_that_states_no_pooling_is_left_alone():
    model = tiny_model()
    assert with_vectors(model) is model
    assert not model._forward_hooks
    assert said(model).shape == (4, 3)
