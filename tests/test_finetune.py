from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.optim.optimizer import register_optimizer_step_pre_hook

from pareto_prune.core.errors import TrialError
from pareto_prune.inputs.tasks import tasks
from pareto_prune.trials.evaluation import evaluate, logits_of
from pareto_prune.trials.finetune import (
    FinetuneSettings,
    embedding_parameters,
    examples_of,
    finetune,
)
from tests.learnable import learnable_split
from tests.tiny import MODEL_TYPES, tiny_model

TASK = tasks.create("classification")
TRAIN = learnable_split(256)


def settings(steps=10, **changes):
    return FinetuneSettings(**{"steps": steps, "batch": 16, "learning_rate": 1e-3, **changes})


def tuned(model, steps=10, teacher=None, **options):
    made = options.pop("settings", settings(steps))
    return finetune(
        model, TRAIN, options.pop("task", TASK), teacher, made, steps, seed=0, **options
    )


def weights(model):
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def changed(before, model):
    return {name for name, tensor in model.state_dict().items() if not before[name].equal(tensor)}


def test_it_learns():
    model = tiny_model()
    before = evaluate(model, TRAIN, TASK)
    result = tuned(model, 120, settings=settings(120, learning_rate=3e-3))
    after = evaluate(model, TRAIN, TASK)
    assert result.steps == 120
    assert after.metrics["accuracy"] > 0.8 > before.metrics["accuracy"]
    assert after.loss < before.loss
    assert result.loss < 0.8


def test_distillation_alone_brings_the_model_to_its_teacher():
    teacher = tiny_model(seed=1)
    wanted = logits_of(teacher, TRAIN)
    model = tiny_model(seed=2)
    before = np.abs(logits_of(model, TRAIN) - wanted).mean()
    tuned(model, 80, wanted, settings=settings(80, distillation=1.0, learning_rate=3e-3))
    assert np.abs(logits_of(model, TRAIN) - wanted).mean() < before / 2


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_only_embeddings_are_frozen(model_type):
    model = tiny_model(model_type)
    frozen = {p.data_ptr() for p in embedding_parameters(model)}
    before = weights(model)
    tuned(model, 2)
    moved = changed(before, model)
    parameters = dict(model.named_parameters())
    assert moved <= {name for name, p in parameters.items() if p.data_ptr() not in frozen}
    assert {
        name
        for name in parameters
        if "embed" not in name
        and ".wte" not in name
        and ".wpe" not in name
        and not name.endswith(("key.bias", ".k.bias"))
    } <= moved
    assert all(p.requires_grad and p.grad is None for p in parameters.values())


def test_embeddings_are_trained_when_asked():
    model = tiny_model()
    before = weights(model)
    tuned(model, 2, frozen_embeddings=False)
    assert "bert.embeddings.word_embeddings.weight" in changed(before, model)


def test_the_same_seed_gives_the_same_weights_and_leaves_the_global_generator():
    models = [tiny_model() for _ in range(3)]
    options = {"settings": settings(4, dropout=True)}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    tuned(models[0], 4, **options)
    assert torch.get_rng_state().equal(state)
    torch.manual_seed(6)
    tuned(models[1], 4, **options)
    finetune(models[2], TRAIN, TASK, None, settings(4, dropout=True), 4, seed=1)
    assert not changed(weights(models[0]), models[1])
    assert changed(weights(models[0]), models[2])


def test_two_calls_see_what_one_sees():
    seen = []

    class Recorded(type(TASK)):
        def loss(self, logits, labels):
            seen.append(labels.tolist())
            return super().loss(logits, labels)

    model, steps = tiny_model(), 40
    tuned(model, steps, task=Recorded())
    whole, seen = seen, []
    for start in (0, 25):
        count = 25 if start == 0 else 15
        tuned(model, count, task=Recorded(), start_step=start, settings=settings(steps))
    assert seen == whole


def test_two_calls_use_the_rates_of_one():
    rates = []

    def spy(optimizer, *_args, **_kwargs):
        rates.append(optimizer.param_groups[0]["lr"])

    handle = register_optimizer_step_pre_hook(spy)
    try:
        tuned(tiny_model(), 4, settings=settings(6))
        tuned(tiny_model(), 2, settings=settings(6), start_step=4)
    finally:
        handle.remove()
    assert rates == pytest.approx([settings(6).rate(step) for step in range(6)])


@given(st.integers(1, 300), st.floats(0, 1))
def test_the_rate_rises_once_and_falls_to_nearly_nothing(steps, warmup):
    made = settings(steps, warmup=warmup)
    rates = [made.rate(step) for step in range(steps)]
    top = int(np.argmax(rates))
    assert (np.diff(rates[: top + 1]) >= 0).all()
    assert (np.diff(rates[top:]) <= 0).all()
    assert 0 < min(rates) <= max(rates) <= made.learning_rate
    assert made.rate(steps) == 0 or warmup > 0.5


def test_rows_restrict_what_is_seen_and_what_is_taught():
    teacher = logits_of(tiny_model(seed=1), TRAIN)
    rows = np.arange(0, 256, 3)
    models = [tiny_model(), tiny_model()]
    tuned(models[0], 5, teacher, rows=rows)
    made = settings(5)
    finetune(models[1], TRAIN.take(rows), TASK, teacher[rows], made, 5, seed=0)
    assert not changed(weights(models[0]), models[1])


@pytest.mark.parametrize("by_token", [False, True])
def test_every_example_is_taught_by_its_own_logits(by_token):
    name = "ner" if by_token else "classification"
    train = learnable_split(128, by_token=by_token)
    model = tiny_model(task=name)
    losses = []
    finetune(
        model,
        train,
        tasks.create(name),
        logits_of(model, train),
        settings(5, distillation=1.0, learning_rate=1e-12, precision="float32"),
        5,
        seed=0,
        rows=np.arange(127, 0, -2),
        on_step=lambda _step, loss: losses.append(loss),
    )
    assert len(losses) == 5
    assert max(losses) < 1e-6


def test_a_penalty_is_added_and_extra_tensors_move_at_their_rate():
    gate = torch.zeros(3, requires_grad=True)
    model = tiny_model()
    made = settings(5, warmup=0.0)
    tuned(model, 5, settings=made, penalty=lambda: (gate - 1).square().sum(), extra=[(gate, 0.1)])
    assert (gate > 0.2).all()


def test_on_step_and_pause_are_called_in_turn():
    calls = []
    tuned(
        tiny_model(),
        3,
        pause=lambda: calls.append("pause"),
        on_step=lambda step, loss: calls.append((step, math.isfinite(loss))),
        start_step=2,
    )
    assert calls == ["pause", (3, True), "pause", (4, True), "pause", (5, True)]


def test_no_steps_change_nothing():
    model = tiny_model()
    before = weights(model)
    result = tuned(model, 0)
    assert result.steps == 0
    assert math.isnan(result.loss)
    assert not changed(before, model)


@pytest.mark.parametrize("poison", [math.nan, math.inf])
def test_a_loss_that_is_not_finite_fails_the_trial(poison):
    model = tiny_model()
    with pytest.raises(TrialError, match="at step 1") as error:
        tuned(model, 3, penalty=lambda: torch.tensor(poison))
    assert error.value.kind == "nan_loss"
    assert all(p.requires_grad and p.grad is None for p in model.parameters())


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried\nmore"),
        MemoryError("no more"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_a_lack_of_memory_fails_the_trial(error):
    def penalty():
        raise error

    with pytest.raises(TrialError) as caught:
        tuned(tiny_model(), 3, penalty=penalty)
    assert caught.value.kind == "out_of_memory"
    assert "\n" not in caught.value.reason


def test_other_errors_stay_what_they_are():
    def penalty():
        raise RuntimeError("something else")

    with pytest.raises(RuntimeError, match="something else"):
        tuned(tiny_model(), 1, penalty=penalty)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_bfloat16_is_near_float32_and_leaves_the_model_as_it_was(model_type, attention):
    split = learnable_split(12)
    model = tiny_model(model_type, attention=attention)
    before, attention = weights(model), model.config._attn_implementation
    exact, near = (logits_of(model, split, precision=p) for p in ("float32", "bfloat16"))
    assert near == pytest.approx(exact, abs=0.2)
    assert (near != exact).any()
    assert model.config._attn_implementation == attention
    assert not changed(before, model)


def test_training_in_bfloat16_learns_as_well():
    losses = {}
    for precision in ("float32", "bfloat16"):
        model = tiny_model()
        made = settings(60, learning_rate=3e-3, precision=precision)
        tuned(model, 60, settings=made)
        losses[precision] = evaluate(model, TRAIN, TASK).loss
        assert all(p.dtype is torch.float32 for p in model.parameters())
    assert losses["bfloat16"] == pytest.approx(losses["float32"], abs=0.15)


class TestLogits:
    @pytest.mark.parametrize("by_token", [False, True])
    def test_they_are_those_of_one_example_at_a_time(self, by_token):
        split = learnable_split(9, by_token=by_token)
        model = tiny_model(task="ner" if by_token else "classification")
        logits = logits_of(model, split, batch_size=4)
        for row in range(len(split)):
            inputs = split.batch(np.array([row]))
            inputs.pop("labels")
            with torch.no_grad():
                expected = model(**inputs).logits[0].numpy()
            where = slice(*split.offsets[row : row + 2]) if by_token else row
            assert logits[where] == pytest.approx(expected, abs=1e-4)

    def test_the_mode_of_the_model_stays(self):
        model = tiny_model().train()
        first, second = (logits_of(model, TRAIN) for _ in range(2))
        assert model.training
        assert (first == second).all()

    def test_quality_has_the_metrics_of_the_task(self):
        quality = evaluate(copy.deepcopy(tiny_model()), TRAIN, TASK)
        assert set(quality.metrics) == {metric.name for metric in TASK.metrics}
        assert quality.examples == len(TRAIN)


@pytest.mark.parametrize("rows", [None, np.arange(0, 60, 2)], ids=["all", "some"])
def test_only_examples_that_it_names_are_looked_at(rows):
    teacher = logits_of(tiny_model(seed=1), TRAIN)
    seen = examples_of(TRAIN, 4, 5, seed=0, start_step=3, rows=rows)
    assert len(seen) == 20
    assert rows is None or set(seen) <= set(rows)
    blank = np.full_like(teacher, np.nan)
    blank[seen] = teacher[seen]
    models = [tiny_model(), tiny_model()]
    for model, logits in zip(models, (teacher, blank), strict=True):
        tuned(model, 5, logits, settings=settings(9, batch=4), start_step=3, rows=rows)
    assert not changed(weights(models[0]), models[1])
