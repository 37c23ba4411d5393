"""The database of a tiny model of every family: plans, stitched models, tensors and back."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pareto_prune.core.architecture import LayerShape
from pareto_prune.core.errors import TrialError
from pareto_prune.inputs.tasks import tasks
from pareto_prune.models.families import architecture
from pareto_prune.pruning.database import PruningDatabase, build_database, stitch
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.selection import strongest
from pareto_prune.pruning.surgery import cut_copy, plan_of
from pareto_prune.pruning.sweep import run
from tests.tiny import HEADS, LAYERS, MODEL_TYPES, NEURONS, tiny_batches, tiny_model

TASK = tasks.create("classification")
WIDTHS = st.tuples(st.integers(0, HEADS), st.integers(0, NEURONS))


def batches():
    return tiny_batches(4, examples=16)


@pytest.fixture(scope="module")
def bert():
    model = tiny_model()
    return model, build_database(model, batches(), TASK)


def shape(model, *widths):
    layers = tuple(LayerShape(heads=heads, neurons=neurons) for heads, neurons in widths)
    return architecture(model).model_copy(update={"layers": layers})


def stitched(model, database, *widths):
    return stitch(copy.deepcopy(model), database, shape(model, *widths))


def logits(model):
    return torch.cat([run(model, batch, None) for batch in batches()])


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_stitched_models_have_their_shape_and_run(model_type):
    model = tiny_model(model_type)
    database = build_database(model, batches(), TASK)
    pruned = stitched(model, database, (2, 20), (0, 64), (0, 0))
    assert plan_of(pruned.model) == pruned.plan
    assert architecture(pruned.model) == shape(model, (2, 20), (0, 64), (0, 0))
    assert logits(pruned.model).isfinite().all()
    whole = stitched(model, database, *[(HEADS, NEURONS)] * LAYERS)
    torch.testing.assert_close(logits(whole.model), logits(model), atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("model_type", ["bert", "gpt2"])
def test_weights_of_the_database_beat_those_left_as_they_were(model_type):
    model = tiny_model(model_type)
    database = build_database(model, batches(), TASK)
    pruned = stitched(model, database, *[(3, 48)] * LAYERS)
    plain = cut_copy(model, pruned.plan)
    dense = logits(model)
    errors = [(logits(one) - dense).square().mean() for one in (pruned.model, plain)]
    assert errors[0] < 0.5 * errors[1]


@settings(max_examples=30, deadline=None)
@given(st.tuples(WIDTHS, WIDTHS, WIDTHS))
def test_plans_keep_as_many_as_asked_and_are_nested(bert, widths):
    model, database = bert
    plan = database.plan(shape(model, *widths))
    assert plan.architecture(architecture(model)) == shape(model, *widths)
    more = database.plan(
        shape(model, *[(min(h + 1, HEADS), min(n + 5, NEURONS)) for h, n in widths])
    )
    for less, wider in zip(plan.layers, more.layers, strict=True):
        assert set(less.heads) <= set(wider.heads)
        assert set(less.neurons) <= set(wider.neurons)


def test_scores_rank_as_the_database_does(bert):
    _, database = bert
    scores = database.scores()
    for count in range(HEADS + 1):
        assert tuple(strongest(scores.heads[1], count)) == database.sublayers[2].kept(count)
    for count in range(NEURONS + 1):
        assert tuple(strongest(scores.neurons[0], count)) == database.sublayers[1].kept(count)


def test_tensors_and_back(bert):
    model, database = bert
    again = PruningDatabase.of_tensors({k: v.clone() for k, v in database.tensors().items()})
    first, second = (stitched(model, one, *[(2, 10)] * LAYERS) for one in (database, again))
    assert first.plan == second.plan
    torch.testing.assert_close(logits(first.model), logits(second.model), atol=0, rtol=0)
    with pytest.raises(KeyError):
        PruningDatabase.of_tensors({k: v for k, v in again.tensors().items() if k != "1.mean"})


def test_same_data_same_database():
    model = tiny_model()
    first, second = (build_database(model, batches(), TASK).tensors() for _ in range(2))
    torch.testing.assert_close(first, second, atol=0, rtol=0)


def test_the_model_stays_as_it_is(bert):
    model, _ = bert
    assert all(p.requires_grad and p.grad is None for p in model.parameters())
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    torch.testing.assert_close(model.state_dict(), tiny_model().state_dict(), atol=0, rtol=0)


def test_what_does_not_fit_is_refused(bert):
    model, database = bert
    with pytest.raises(ValueError, match="layer 1: 5 heads of 4"):
        database.plan(shape(model, (1, 1), (5, 1), (1, 1)))
    with pytest.raises(ValueError, match="has 2 layers, the database 3"):
        database.plan(shape(model, (1, 1), (1, 1)))


def test_weights_that_are_not_finite_fail():
    model = tiny_model()
    with torch.no_grad():
        model.bert.encoder.layer[1].output.dense.weight[0, 0] = float("nan")
    with pytest.raises(TrialError, match="not finite"):
        build_database(model, batches(), TASK)


def test_token_classification_too():
    model = tiny_model(task="ner")
    database = build_database(model, tiny_batches(3, examples=8, task="ner"), tasks.create("ner"))
    pruned = stitched(model, database, *[(2, 16)] * LAYERS)
    assert pruned.plan != PruningPlan.dense(architecture(model))
