"""Predicted shifts against small real cuts, and losses against their definition."""

import copy

import pytest
import torch

from pareto_prune.inputs.tasks import tasks
from pareto_prune.models.families import architecture
from pareto_prune.pruning.database import build_database, stitch
from pareto_prune.pruning.sensitivity import (
    corrected,
    measured_losses,
    predicted_losses,
    sensitivities,
    shifts,
)
from pareto_prune.pruning.sweep import projections, run, sweep
from tests.tiny import HEADS, LAYERS, MODEL_TYPES, NEURONS, tiny_batches, tiny_model

TASK = tasks.create("classification")


def test_shifts_are_the_gradient_times_what_a_width_changes():
    model, batches = tiny_model(), tiny_batches(6, examples=8)
    database = build_database(model, batches, TASK)
    seen = {}

    def outputs(index, x, gradient):
        seen[index] = (x, gradient)

    sweep(model, batches[:1], lambda logits, _: torch.ones_like(logits), outputs=outputs)
    for index, module in enumerate(projections(model)):
        x, gradient = seen[index]
        solutions = database.sublayers[index]
        found = shifts(solutions, x, gradient)
        dense = module(x)
        for count in (0, 1, solutions.units // 2, solutions.units):
            weight, bias = solutions.solve(count)
            columns = [
                u * solutions.size + i for u in solutions.kept(count) for i in range(solutions.size)
            ]
            change = x[..., columns] @ weight.T + bias - dense
            expected = (change * gradient).sum((1, 2))
            torch.testing.assert_close(found[:, count].float(), expected, atol=1e-3, rtol=1e-2)


def test_losses_fall_to_nothing_and_rank_a_dead_sublayer_lowest():
    model, batches = tiny_model(labels=2), tiny_batches(6, examples=8)
    with torch.no_grad():
        projections(model)[3].weight.zero_()
    losses = predicted_losses(model, build_database(model, batches, TASK), batches, TASK)
    assert [len(one) for one in losses] == [HEADS + 1, NEURONS + 1] * LAYERS
    assert all(one[len(one) - 1] == 0 for one in losses)
    assert losses[3][0] < 1e-9 < min(losses[k][0] for k in (0, 1, 2, 4, 5))


def test_a_small_cut_costs_what_is_predicted():
    model, batches = tiny_model(labels=2), tiny_batches(12, examples=16)
    database = build_database(model, batches, TASK)
    losses = predicted_losses(model, database, batches, TASK)
    dense = torch.cat([run(model, batch, None) for batch in batches]) / 2
    full = architecture(model)
    predicted, measured = [], []
    for index in range(2 * LAYERS):
        count = database.sublayers[index].units - 1
        name = "neurons" if index % 2 else "heads"
        layers = list(full.layers)
        layers[index // 2] = layers[index // 2].model_copy(update={name: count})
        shape = full.model_copy(update={"layers": tuple(layers)})
        cut = stitch(copy.deepcopy(model), database, shape).model
        logits = torch.cat([run(cut, batch, None) for batch in batches]) / 2
        loss = torch.nn.functional.kl_div(
            logits.log_softmax(-1), dense.log_softmax(-1), log_target=True, reduction="batchmean"
        )
        # at temperature 2 a logit weighs half, in the prediction not
        measured.append(4 * float(loss))
        predicted.append(losses[index][count])
    small = [k for k in range(2 * LAYERS) if measured[k] < 0.05]
    assert len(small) >= LAYERS
    for k in small:
        assert 0.5 * measured[k] - 1e-6 < predicted[k] < 2 * measured[k] + 1e-6


@pytest.mark.slow
@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("task", ["classification", "ner"])
def test_measured_is_the_divergence_of_the_stitched_model(model_type, task):
    model = tiny_model(model_type, task)
    batches = tiny_batches(2, examples=8, task=task)
    database = build_database(model, batches, tasks.create(task))
    measured = measured_losses(model, database, batches, tasks.create(task))
    full = architecture(model)
    for index in (0, 1, 2, 5):
        name = "neurons" if index % 2 else "heads"
        for width in measured[index]:
            layers = list(full.layers)
            layers[index // 2] = layers[index // 2].model_copy(update={name: width})
            shape = full.model_copy(update={"layers": tuple(layers)})
            cut = stitch(copy.deepcopy(model), database, shape).model
            expected = sum(divergence(model, cut, batch) for batch in batches) / 16
            assert measured[index][width] == pytest.approx(expected, rel=1e-3, abs=1e-6)


def divergence(model, cut, batch):
    wanted, found = ((run(m, batch, None) / 2).log_softmax(-1) for m in (model, cut))
    loss = (wanted.exp() * (wanted - found)).sum(-1)
    return 4 * float(loss.sum() if loss.dim() == 1 else loss[batch["labels"] != -100].sum())


def test_measuring_leaves_the_model_as_it_was():
    model, batches = tiny_model(), tiny_batches(2)
    before = run(model, batches[0], None)
    measured_losses(model, build_database(model, batches, TASK), batches, TASK)
    torch.testing.assert_close(run(model, batches[0], None), before, atol=0, rtol=0)
    assert not any("forward" in vars(m) or m._forward_hooks for m in model.modules())


def test_predictions_are_bent_to_what_was_measured():
    bent = corrected({0: 1.0, 1: 0.5, 2: 0.2, 3: 0.1, 4: 0.0}, {0: 8.0, 2: 0.4})
    assert bent[0] == 8.0
    assert bent[2] == 0.4
    assert bent[1] == pytest.approx(0.5 * (8 * 2) ** 0.5)
    assert bent[3] == pytest.approx(0.1 * 2**0.5)
    assert bent[4] == 0.0


def test_all_widths_of_all_sublayers():
    model, batches = tiny_model(), tiny_batches(4)
    found = sensitivities(model, build_database(model, batches, TASK), batches, TASK)
    assert [sorted(one) == list(range(len(one))) for one in found] == [True] * (2 * LAYERS)
    assert [len(one) for one in found] == [HEADS + 1, NEURONS + 1] * LAYERS
