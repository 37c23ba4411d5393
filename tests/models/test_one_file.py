"""A family that is not BERT's twin, in one file: every contract holds, and nothing else is edited.

The contracts of all families run here over Nomic BERT, which only these tests register.
"""

import re
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pareto_prune.core.architecture import LayerKind
from pareto_prune.export.loading import load
from pareto_prune.inputs.tasks import tasks
from pareto_prune.models.families import architecture, family_of
from pareto_prune.models.onnx_graph import build, check, probes, session, torch_logits
from pareto_prune.pruning.database import build_database
from pareto_prune.pruning.importance import importances
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.repair import repair
from pareto_prune.pruning.strategies import strategies
from pareto_prune.pruning.surgery import cut, cut_copy
from pareto_prune.search.early_stopping._prediction import removed
from tests.calibration import test_sensitivity, test_sweep
from tests.export import test_huggingface as exporting
from tests.models import test_models
from tests.nomic_bert import TYPE, NomicBert, registered
from tests.onnx_graph import test_exact
from tests.pruning import test_importance, test_repair, test_strategies, test_surgery
from tests.pruning.plans import plans
from tests.tiny import HEADS, LAYERS, NEURONS, tiny_batch, tiny_batches, tiny_model

TASKS = ("classification", "ner")


@pytest.fixture(autouse=True, scope="module")
def _family():
    with registered():
        yield


def test_the_package_does_not_know_it():
    package = Path(test_models.__file__).parents[2] / "pareto_prune"
    known = [path for path in package.rglob("*.py") if re.search("nomic", path.read_text(), re.I)]
    assert not known


@pytest.mark.parametrize("task", TASKS)
def test_paths(task):
    test_models.test_paths_lead_to_what_they_say(TYPE, task)
    test_models.test_every_hidden_channel_has_a_path(TYPE)
    test_models.test_architecture_of_dense_and_cut(TYPE)


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@settings(max_examples=15, deadline=None)
@given(data=st.data())
def test_cut_equals_masked(attention, data):
    task = data.draw(st.sampled_from(TASKS))
    model = tiny_model(TYPE, task, attention=attention)
    plan = data.draw(st.one_of(plans(), plans(channels=True)))
    test_surgery.assert_equal_to_masked(
        model, plan, tiny_batch(3, seed=data.draw(st.integers(0, 99)))
    )


def test_a_family_without_sdpa_takes_what_it_has():
    class Eager(NomicBert):
        attentions = ("eager",)

    assert NomicBert().attention_kind("sdpa") == "sdpa"
    assert Eager().attention_kind("sdpa") == Eager().attention_kind("eager") == "eager"


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
def test_contracts_of_every_type(contract):
    contract(TYPE)


@pytest.mark.parametrize("plan", [test_surgery.UNEVEN, test_surgery.SKIPPING, test_surgery.NARROW])
def test_gradients(plan):
    test_surgery.test_gradients_equal_those_of_the_masked_model(TYPE, plan)


@pytest.mark.parametrize("name", strategies.names())
def test_every_strategy(name):
    # a gated model of noise disagrees with itself after any cut: whatever was lost is tolerated
    options = {"tolerance": 1.0} if name == "adaptive" else None
    test_strategies.assert_contract(name, TYPE, options)


@pytest.mark.parametrize("name", importances.names())
def test_every_importance(name):
    test_importance.test_contract(name, TYPE)


@pytest.mark.parametrize("plan", [test_repair.HALF, test_repair.EMPTY, test_repair.NO_UNIT])
def test_repair_brings_it_closer(plan):
    """Products of noise say little of each other: there is less to recover than without gates."""
    dense, unseen = tiny_model(TYPE), test_repair.inputs(2, seed=9)
    bare, repaired = cut_copy(dense, plan), cut_copy(dense, plan)
    repair(repaired, dense, test_repair.inputs())
    assert test_repair.distance(repaired, dense, unseen) < test_repair.distance(bare, dense, unseen)


def test_repair_recovers_units_that_others_repeat():
    """Twins of heads and neurons go: their outputs are a matter of the weights that stay."""
    dense, unseen = tiny_model(TYPE), test_repair.inputs(2, seed=9)
    with torch.no_grad():
        for layer in dense.nomic_bert.layers:
            attention, mlp = layer.self_attn, layer.mlp
            for part in (attention.q_proj, attention.k_proj, attention.v_proj):
                heads = part.weight.view(HEADS // 2, 2, -1)
                heads[:, 1] = heads[:, 0]
            for part in (mlp.gate_proj, mlp.up_proj):
                neurons = part.weight.view(NEURONS // 2, 2, -1)
                neurons[:, 1] = neurons[:, 0]
    plan = PruningPlan.of([(range(0, HEADS, 2), range(0, NEURONS, 2))] * LAYERS)
    smaller = cut_copy(dense, plan)
    before = test_repair.distance(smaller, dense, unseen)
    repair(smaller, dense, test_repair.inputs(), ridge=1e-6)
    assert test_repair.distance(smaller, dense, unseen) < 1e-4 * before


def test_a_norm_of_a_neuron_is_of_its_gate_too():
    model = tiny_model(TYPE)
    mlp = model.nomic_bert.layers[1].mlp
    parts = [mlp.gate_proj.weight[7], mlp.up_proj.weight[7], mlp.down_proj.weight[:, 7]]
    found = test_importance.unit_norms(model, 1).neurons[1][7]
    torch.testing.assert_close(found, torch.cat(parts).abs().mean())


@pytest.mark.parametrize("task", TASKS)
def test_measured_sensitivities(task):
    test_sensitivity.test_measured_is_the_divergence_of_the_stitched_model(TYPE, task)


def test_a_repair_never_adds_a_bias():
    dense = tiny_model(TYPE)
    smaller = cut_copy(dense, test_surgery.NARROW)
    names = set(smaller.state_dict())
    repair(smaller, dense, test_repair.inputs(2))
    assert set(smaller.state_dict()) == names


@settings(max_examples=10, deadline=None)
@given(plan=plans())
def test_what_early_stopping_predicts_is_what_a_cut_removes(plan):
    model = tiny_model(TYPE)
    dense = architecture(model)
    smaller = cut_copy(model, plan)
    count = [sum(p.numel() for p in m.parameters()) for m in (model, smaller)]
    assert removed(plan.architecture(dense), dense) == count[0] - count[1]


def test_multiply_accumulates_know_the_gate():
    dense = architecture(tiny_model(TYPE))
    d, size, tokens = dense.hidden, dense.head_size, 12
    units = tokens * (4 * HEADS * d * size + 3 * NEURONS * d)
    scores = tokens * 2 * HEADS * size * tokens
    assert dense.macs(tokens) == LAYERS * (units + scores)
    assert dense.kinds[0] == LayerKind(head_biases=0, neuron_matrices=3, neuron_biases=0, vectors=4)


@pytest.mark.parametrize("plan", exporting.PLANS)
def test_load(tmp_path, plan):
    exporting.test_load_gives_the_same_logits(tmp_path, TYPE, plan)


@pytest.mark.parametrize("task", TASKS)
def test_a_model_read_from_a_folder_is_cut_exported_loaded_and_cut_again(task, tmp_path):
    test_surgery.test_a_model_read_from_a_folder_may_be_cut_again(TYPE, task, tmp_path / "stock")
    model = exporting.export(tmp_path / "out", "narrow", TYPE, task)
    smaller = PruningPlan.of([([0], range(4)), ([], []), ([], [1])], range(1, 32, 4))
    once, again = cut(load(tmp_path / "out"), smaller), cut_copy(model, smaller)
    batch = exporting.inputs()
    torch.testing.assert_close(exporting.logits(once, batch), exporting.logits(again, batch))


@pytest.mark.slow
def test_transformers_alone_loads_it(tmp_path):
    batch, folders = exporting.inputs(), []
    torch.save(batch, tmp_path / "batch.pt")
    for plan, task in (("uneven", "ner"), ("skipping", "classification"), ("narrow", "ner")):
        folders.append(tmp_path / f"{TYPE}-{task}-{plan}")
        model = exporting.export(folders[-1], plan, TYPE, task)
        torch.save(exporting.logits(model, batch), folders[-1] / "logits.pt")
    printed = exporting.fresh_python(exporting.READ, tmp_path / "batch.pt", *folders, home=tmp_path)
    assert printed.count("ok") == len(folders)


@pytest.mark.parametrize("plan", test_exact.PLANS)
@pytest.mark.parametrize("task", TASKS)
def test_the_written_graph_gives_the_models_logits(task, plan):
    test_exact.test_the_graph_gives_the_models_logits(TYPE, task, plan)


@settings(max_examples=10, deadline=None)
@given(plan=plans(channels=True))
def test_the_written_graph_of_any_plan(plan):
    model = cut_copy(tiny_model(TYPE), plan)
    check(model, build(model))


@pytest.mark.parametrize(("dtype", "share"), [("float16", 0.01), ("int8", 0.1)])
def test_smaller_dtypes(dtype, share):
    test_exact.test_smaller_dtypes_round(TYPE, dtype, share)


def test_stock_sizes():
    test_exact.test_stock_sizes(TYPE, hidden_act="gelu")


def test_batch_and_length_are_dynamic_and_padding_is_not_seen():
    model = tiny_model(TYPE)
    graph = build(model)
    running = session(graph)
    for rows, tokens in ((1, 3), (2, 17), (5, 31)):
        batch = tiny_batch(rows, tokens, seed=tokens)
        batch["token_type_ids"] = batch["input_ids"] % 2
        given_ = {name: batch[name].numpy() for name in graph.inputs}
        found = torch.from_numpy(running.run(None, given_)[0])
        expected = torch.from_numpy(torch_logits(model, given_))
        torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)
    longest = family_of(model).most_tokens(model.config)
    assert all(inputs["input_ids"].shape[1] <= longest for inputs in probes(model, graph.inputs))


def test_calibration_of_an_unbiased_projection_leaves_no_bias():
    database = build_database(tiny_model(TYPE), tiny_batches(2), tasks.create("classification"))
    for solutions in database.sublayers:
        for count in (0, 1, solutions.units):
            assert solutions.solve(count)[1].abs().max() < 1e-6
