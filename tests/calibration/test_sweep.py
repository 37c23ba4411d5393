"""Gradients sample by sample against one sample at a time, seeds against their definition."""

import pytest
import torch

from pareto_prune.core.errors import TrialError
from pareto_prune.inputs.tasks import tasks
from pareto_prune.pruning.importance import importances
from pareto_prune.pruning.seeds import LabelSeeds, PredictionSeeds
from pareto_prune.pruning.sweep import projections, run, sweep
from tests.tiny import HEADS, MODEL_TYPES, tiny_batch, tiny_batches, tiny_model

TASK = tasks.create("classification")


def seeds(generator=0, **options):
    return PredictionSeeds(TASK, torch.Generator().manual_seed(generator), **options)


@pytest.mark.parametrize("classes", [2, 3])
def test_prediction_seeds_have_the_fisher_matrix(classes):
    logits = torch.randn(1, classes, generator=torch.Generator().manual_seed(1)).expand(4000, -1)
    drawn = seeds(temperature=1.0)(logits, tiny_batch()).double()
    p = logits[0].softmax(-1).double()
    expected = torch.diag(p) - p[:, None] * p
    found = drawn.T @ drawn / len(drawn)
    tolerance = 1e-6 if classes == 2 else 0.02
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


@pytest.mark.parametrize("task", ["classification", "ner"])
def test_label_seeds_are_the_gradient_of_the_cross_entropy(task):
    model, batch = tiny_model(task=task), tiny_batch(task=task)
    logits = run(model, batch, None).requires_grad_(True)
    loss = torch.nn.functional.cross_entropy(
        logits.flatten(0, -2), batch["labels"].flatten(), reduction="sum"
    )
    (expected,) = torch.autograd.grad(loss, logits)
    torch.testing.assert_close(LabelSeeds(tasks.create(task))(logits.detach(), batch), expected)


def test_labels_are_needed_for_a_loss():
    batch = tiny_batch()
    del batch["labels"]
    with pytest.raises(TrialError, match="no labels"):
        LabelSeeds(TASK)(torch.zeros(4, 3), batch)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_fisher_is_the_square_of_mask_gradients_one_sample_at_a_time(model_type):
    """Against masks made for the purpose, one backward pass a sample."""
    model, batch = tiny_model(model_type, labels=2), tiny_batch(3)
    generator = torch.Generator().manual_seed(0)
    found = importances.create("fisher").scores(model, [batch], generator, TASK)
    expected = torch.zeros(HEADS)
    module = projections(model)[2]
    for row in range(3):
        one = {key: value[row : row + 1] for key, value in batch.items()}
        mask = torch.ones(HEADS, requires_grad=True)
        spread = mask.repeat_interleave(8)
        hook = module.register_forward_pre_hook(lambda _, a, spread=spread: (a[0] * spread,))
        logits = model(**{k: v for k, v in one.items() if k != "labels"}).logits
        hook.remove()
        p = (logits.detach() / 2).softmax(-1)
        scale = (p[0, 0] * p[0, 1]).sqrt()
        (gradient,) = torch.autograd.grad(scale * (logits[0, 1] - logits[0, 0]), mask)
        expected += gradient.square() / 3
    torch.testing.assert_close(found.heads[1], expected, atol=1e-6, rtol=1e-3)


def test_gradients_are_nothing_at_padding_and_samples_do_not_mix():
    model, batch = tiny_model(), tiny_batch(4)
    seen = []

    def outputs(index, _, gradient):
        seen.append((index, gradient))

    one = torch.tensor([0.0, 1.0, 0.0, 0.0])[:, None]
    sweep(model, [batch], lambda logits, _: one.expand_as(logits), outputs=outputs)
    assert sorted(index for index, _ in seen) == list(range(len(projections(model))))
    for _, gradient in seen:
        assert gradient[[0, 2, 3]].abs().max() == 0
        assert gradient[1].abs().max() > 0
        assert gradient[batch["attention_mask"] == 0].abs().max() == 0


def test_without_seeds_nothing_runs_backwards():
    counts = []
    batches = tiny_batches(2)
    sweep(tiny_model(), batches, inputs=lambda _, x: counts.append(len(x)))
    tokens = [int(batch["attention_mask"].sum()) for batch in batches]
    assert counts == [tokens[0]] * 6 + [tokens[1]] * 6
