import gc

import pytest
import torch

from pareto_prune.core.errors import TrialError
from pareto_prune.models.families import architecture
from pareto_prune.models.layout import weight
from pareto_prune.pruning import repair as repairing
from pareto_prune.pruning import replay
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.repair import repair
from pareto_prune.pruning.surgery import cut_copy
from tests.tiny import HEADS, HIDDEN, LAYERS, MODEL_TYPES, NEURONS, tiny_batches, tiny_model

HALF = PruningPlan.of([([0, 2], range(0, NEURONS, 3))] * LAYERS)
EMPTY = PruningPlan.of([([0, 2], range(0, NEURONS, 3)), ([], []), ([], [1, 2])])
NO_UNIT = PruningPlan.of([([], [1, 2, 3]), ([0], []), ([0, 1], range(20))])


def inputs(count=8, seed=0):
    batches = tiny_batches(count, examples=16, seed=seed)
    return [{k: v for k, v in batch.items() if k != "labels"} for batch in batches]


def distance(model, dense, batches):
    """Mean squared difference of the last hidden states at real tokens."""
    with torch.no_grad():
        found = [
            (model.base_model(**b)[0] - dense.base_model(**b)[0])[b["attention_mask"].bool()]
            for b in batches
        ]
    return torch.cat(found).square().mean().item()


@pytest.mark.parametrize("plan", [HALF, EMPTY, NO_UNIT], ids=["half", "empty", "no unit"])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_brings_a_cut_model_closer_on_unseen_inputs(model_type, plan):
    dense = tiny_model(model_type)
    smaller = cut_copy(dense, plan)
    before = distance(smaller, dense, inputs(2, seed=9))
    repair(smaller, dense, inputs())
    # products of noise say little of each other: there is less to recover behind a gate
    share = 1.0 if model_type == "modernbert" else 0.5
    assert distance(smaller, dense, inputs(2, seed=9)) < share * before


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_a_whole_model_is_left_alone(model_type):
    dense = tiny_model(model_type)
    same = cut_copy(dense, PruningPlan.dense(architecture(dense)))
    repair(same, dense, inputs())
    assert distance(same, dense, inputs(2, seed=9)) < 1e-6


def test_first_sublayer_is_the_least_squares_solution():
    """Against a direct solution from the same inputs, in float64, without a ridge."""
    dense, batches = tiny_model(), inputs()
    smaller = cut_copy(dense, HALF)
    features, targets = [], []
    for batch in batches:
        real = batch["attention_mask"].bool()
        for model, path, kept in (
            (smaller, "bert.encoder.layer.0.attention.output.dense", features),
            (dense, "bert.encoder.layer.0.attention.output.dense", targets),
        ):
            handle = model.get_submodule(path).register_forward_hook(
                lambda _, args, out, kept=kept, real=real: kept.append(
                    (args[0] if kept is features else out)[real].double()
                )
            )
            with torch.no_grad():
                model(**batch)
            handle.remove()
    x = torch.cat(features)
    x = torch.cat([x, torch.ones(len(x), 1)], dim=1)
    expected = torch.linalg.lstsq(x, torch.cat(targets)).solution
    repair(smaller, dense, batches, ridge=0.0)
    w_o = smaller.bert.encoder.layer[0].attention.output.dense
    torch.testing.assert_close(weight(w_o).T.double(), expected[:-1], atol=2e-3, rtol=1e-2)
    torch.testing.assert_close(w_o.bias.double(), expected[-1], atol=2e-3, rtol=1e-2)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_lost_channels_are_recovered_from_those_that_stay(model_type):
    """The embeddings hold a plane of few dimensions, so most channels say what others say."""
    dense = tiny_model(model_type)
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        words = dense.get_input_embeddings().weight
        words.copy_(3 * words[:, :6] @ torch.randn(6, words.shape[1], generator=generator))
    plan = PruningPlan.of([(range(HEADS), range(NEURONS))] * LAYERS, range(0, HIDDEN, 2))
    bare, repaired = cut_copy(dense, plan), cut_copy(dense, plan)
    repair(repaired, dense, inputs())

    def far(model):
        with torch.no_grad():
            found = [model(**b).logits - dense(**b).logits for b in inputs(2, seed=9)]
        return torch.cat(found).square().mean().item()

    assert far(repaired) < 0.5 * far(bare)


def test_recovery_is_the_regression_of_all_channels_on_those_that_stay():
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(50, 3, generator=generator)
    truth, shift = torch.randn(3, 7, generator=generator), torch.randn(7, generator=generator)
    found = repairing._recovery(
        [x[:20], x[20:]], [h @ truth + shift for h in (x[:20], x[20:])], (0, 2, 5), ridge=0.0
    )
    torch.testing.assert_close(found, torch.cat([truth, shift[None]]), atol=1e-4, rtol=1e-4)
    held = repairing._recovery([x], [x @ truth], (0, 2, 5), ridge=1e9)
    expected = torch.zeros(3, 7)
    expected[[0, 1, 2], [0, 2, 5]] = 1.0
    torch.testing.assert_close(held[:-1], expected, atol=1e-4, rtol=0)


def test_modules_hooks_and_modes_are_as_before():
    dense, smaller = tiny_model("distilbert"), cut_copy(tiny_model("distilbert"), NO_UNIT)
    smaller.train()
    before = [(name, id(module)) for name, module in smaller.named_modules()]
    state = {name: tensor.clone() for name, tensor in dense.state_dict().items()}
    repair(smaller, dense, inputs(2))
    assert [(name, id(module)) for name, module in smaller.named_modules()] == before
    assert smaller.training
    assert not dense.training
    assert all(p.requires_grad and p.grad is None for p in smaller.parameters())
    for module in (*dense.modules(), *smaller.modules()):
        assert not module._forward_hooks
        assert not module._forward_pre_hooks
    torch.testing.assert_close(dense.state_dict(), state, atol=0, rtol=0)


def test_only_so_many_tokens_are_used(monkeypatch):
    started = []
    start = repairing.start
    monkeypatch.setattr(repairing, "start", lambda *args: started.append(args[2]) or start(*args))
    dense, batches = tiny_model(), inputs(8)
    first = int(batches[0]["attention_mask"].sum())
    repair(cut_copy(dense, HALF), dense, batches, tokens=first + 1)
    assert [id(batch) for batch in started] == [id(b) for b in batches[:2]]


def test_dense_traces_are_made_once_and_again_after_a_change(monkeypatch):
    made = []
    streams = replay.DenseTraces
    monkeypatch.setattr(replay, "DenseTraces", lambda *args: made.append(1) or streams(*args))
    dense, batches = tiny_model(), inputs(2)
    for _ in range(2):
        repair(cut_copy(dense, HALF), dense, batches)
    assert len(made) == 1
    fewer, alone = cut_copy(dense, HALF), cut_copy(dense, HALF)
    repair(fewer, dense, batches[:1])
    assert len(made) == 1
    replay._latest.clear()
    repair(alone, dense, batches[:1])
    torch.testing.assert_close(fewer.state_dict(), alone.state_dict(), atol=0, rtol=0)
    made.pop()
    with torch.no_grad():
        dense.bert.encoder.layer[0].output.dense.bias.add_(1.0)
    repair(cut_copy(dense, HALF), dense, batches)
    repair(cut_copy(dense, HALF), dense, inputs(2, seed=5))
    assert len(made) == 3
    del dense
    gc.collect()
    assert not replay._latest


def test_nothing_to_repair():
    dense = tiny_model()
    gone = cut_copy(dense, PruningPlan.of([([], [])] * LAYERS))
    repair(gone, dense, inputs(1))
    whole = cut_copy(dense, PruningPlan.of([(range(HEADS), range(NEURONS))] * LAYERS))
    repair(whole, dense, [])
    torch.testing.assert_close(whole.state_dict(), dense.state_dict(), atol=0, rtol=0)


def test_values_that_are_not_finite_are_refused():
    dense = tiny_model()
    smaller = cut_copy(dense, HALF)
    with torch.no_grad():
        dense.bert.encoder.layer[0].output.LayerNorm.bias[0] = float("nan")
    with pytest.raises(TrialError, match="not finite"):
        repair(smaller, dense, inputs(1))
