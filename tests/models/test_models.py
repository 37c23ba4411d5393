import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn
from transformers.models.deberta.modeling_deberta import DebertaLayerNorm
from transformers.pytorch_utils import Conv1D

from pareto_prune.core.errors import UserError
from pareto_prune.models.families import (
    architecture,
    check,
    dense_architecture,
    families,
    family_of,
    head_size,
    supported,
)
from pareto_prune.models.layout import find, weight
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.surgery import cut, cut_copy
from tests.tiny import HEADS, HIDDEN, LAYERS, MODEL_TYPES, NEURONS, tiny_model

TASKS = ("classification", "ner")
NORMS = (nn.LayerNorm, DebertaLayerNorm)


def test_every_supported_type_has_a_tiny_model():
    assert set(supported()) == set(MODEL_TYPES)


@pytest.mark.parametrize("task", TASKS)
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_paths_lead_to_what_they_say(model_type, task):
    model = tiny_model(model_type, task)
    family = family_of(model)
    assert len(family.layers(model)) == LAYERS
    for layer in family.layers(model):
        attention, ffn = family.sublayers(layer)
        assert [part.shape for part in attention.blocks()] == [(HIDDEN, HIDDEN)] * 3
        assert weight(attention.output).shape == (HIDDEN, HIDDEN)
        assert {part.shape for part in ffn.blocks()} == {(NEURONS, HIDDEN)}
        assert weight(ffn.output).shape == (HIDDEN, NEURONS)
        assert all(isinstance(norm, NORMS) for norm in family.norms(layer))
        assert find(layer, family.paths.activation) is not None
        for sublayer in (attention, ffn):
            assert isinstance(sublayer.residual, nn.Module)
            assert isinstance(find(layer, sublayer.paths.module), nn.Module)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_every_hidden_channel_has_a_path(model_type):
    """Each tensor with an axis of the hidden width is reached: a channel cut leaves none."""
    model = tiny_model(model_type, hidden_size=48, num_attention_heads=4)
    keep = PruningPlan.dense(architecture(model)).model_copy(update={"channels": tuple(range(40))})
    smaller = cut(model, keep)
    family = family_of(smaller)
    inner = {
        id(p)
        for layer in family.layers(smaller)
        for p in family.attention(layer).output.parameters()
    }
    own = {
        "pooler.dense",
        "pre_classifier",
        "classifier",
        "head.",
    }  # outputs of the reader: not hidden
    for name, parameter in smaller.named_parameters():
        of_heads = "attention" in name or "attn" in name or id(parameter) in inner
        if not of_heads and not any(part in name for part in own):
            assert 48 not in parameter.shape, name


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_architecture_of_dense_and_cut(model_type):
    model = tiny_model(model_type)
    dense = architecture(model)
    assert dense.hidden == HIDDEN
    assert dense.head_size == HIDDEN // HEADS == head_size(model.config)
    assert {(layer.heads, layer.neurons) for layer in dense.layers} == {(HEADS, NEURONS)}
    plan = PruningPlan.of([([0, 3], [5]), ([], []), ([], range(8))], channels=range(0, 32, 2))
    smaller = cut_copy(model, plan)
    assert architecture(smaller) == plan.architecture(dense)
    assert dense_architecture(smaller) == dense == dense_architecture(model)
    assert head_size(smaller.config) == dense.head_size
    assert family_of(smaller) == family_of(model) == family_of(smaller.config)


def test_unknown_type_is_refused_by_name():
    with pytest.raises(UserError, match=r"'xlm' are not supported, allowed: bert, camembert.*gpt2"):
        family_of(SimpleNamespace(model_type="xlm"))


@pytest.mark.parametrize(("model_type", "why"), [("albert", "layers are one"), ("t5", "decode")])
def test_a_type_that_looks_alike_is_refused_with_the_reason(model_type, why):
    wrong = rf"'{model_type}' are not supported: .*{why}.*, allowed:"
    with pytest.raises(UserError, match=wrong) as raised:
        family_of(SimpleNamespace(model_type=model_type))
    assert "\n" not in str(raised.value)


def test_gpt2_without_padding_token_is_refused():
    model = tiny_model("gpt2")
    check(model)
    model.config.pad_token_id = None
    with pytest.raises(UserError, match="pad_token_id"):
        check(model)


def test_weight_is_out_by_in():
    linear, conv = nn.Linear(3, 5), Conv1D(5, 3)
    assert weight(linear).shape == weight(conv).shape == (5, 3)
    x = torch.randn(2, 3)
    assert torch.allclose(conv(x), x @ weight(conv).T + conv.bias)


def test_listing_families_loads_no_torch():
    code = (
        "import sys; from pareto_prune.models.families import families; families.entries();"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_every_family_has_a_summary():
    assert [entry.name for entry in families.entries()] == families.names()
    assert all(len(entry.summary) > 10 for entry in families.entries())
