"""How long a trial trains, what it is judged by on the way, and that it never ends worse off."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.core.progress import Silent
from pareto_prune.core.records import Candidate, Rung
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.surgery import cut_copy
from pareto_prune.running.study_file import read_study
from pareto_prune.trials import bench as bench_of
from pareto_prune.trials.allotment import FASTEST, LEAST, LONGEST, PIVOT, Allotment
from pareto_prune.trials.bench import Bench, prepare
from pareto_prune.trials.context import TrialContext, context_of
from pareto_prune.trials.evaluation import logits_of
from pareto_prune.trials.reference import measured_reference
from pareto_prune.trials.timings import Timings
from pareto_prune.trials.trial import run_trial
from tests.small_study import ScriptedMeasurer, make_study
from tests.tiny import HEADS, HIDDEN, NEURONS


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    folder = tmp_path_factory.mktemp("bench")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARETO_PRUNE_CACHE", str(folder / "cache"))
        study = make_study(
            folder, measure={"engine": "eager"}, finetune={"steps": 12, "by_size": True}
        )
        return prepare(read_study(study), folder / "out", Silent())


def context(bench: Bench, rate: float = 1e-4, longer: int = 1) -> TrialContext:
    candidate = Candidate(strategy="l1", importance="l1", learning_rate=rate)
    fold, timings = bench.whole, Timings()
    return context_of(bench, fold, candidate, 1, lambda: None, timings, longer)


def cut_to(bench: Bench, heads: int, neurons: int):
    layers = [(range(heads), range(neurons)) for _ in bench.whole.architecture.layers]
    return cut_copy(bench.whole.dense.model, PruningPlan.of(layers))


@given(st.floats(1e-6, 1.0), st.floats(1e-6, 1.0))
def test_the_smaller_the_longer_and_the_faster(one: float, other: float) -> None:
    small, large = (Allotment.of(share) for share in sorted((one, other)))
    assert LONGEST >= small.longer >= large.longer >= LEAST
    assert FASTEST >= small.faster >= large.faster >= LEAST


def test_a_third_of_the_dense_model_is_trained_as_the_study_says() -> None:
    assert Allotment.of(PIVOT) == Allotment(1.0, 1.0)


@pytest.mark.parametrize(("heads", "neurons"), [(4, 64), (2, 32), (1, 8), (0, 2)])
def test_steps_follow_from_what_is_left(bench: Bench, heads: int, neurons: int) -> None:
    trial = context(bench)
    assert trial.steps == 12
    trial.allot(cut_to(bench, heads, neurons))
    tokens = round(float(bench.whole.data.train.lengths.mean()))
    of_head, of_neuron = 4 * HIDDEN * 8 + 2 * tokens * 8, 2 * HIDDEN
    share = (heads * of_head + neurons * of_neuron) / (HEADS * of_head + NEURONS * of_neuron)
    assert trial.steps == round(12 * Allotment.of(share).longer)
    trebled = context(bench, longer=3)
    trebled.allot(cut_to(bench, heads, neurons))
    assert trebled.steps == round(36 * Allotment.of(share).longer)


def test_a_fine_tune_that_makes_a_model_worse_is_undone(bench: Bench) -> None:
    model = cut_to(bench, 2, 16)
    before = logits_of(model, bench.whole.data.validation)
    trial = context(bench, rate=0.3)
    assert not trial.finish(model)
    assert trial.used == trial.steps > 0
    np.testing.assert_array_equal(logits_of(model, bench.whole.data.validation), before)


def test_a_fine_tune_that_makes_it_better_stays(bench: Bench) -> None:
    model = cut_to(bench, 1, 8)
    before = context(bench).apart(model)
    assert context(bench, rate=1e-3).finish(model)
    assert context(bench).apart(model) < before


def test_it_is_judged_by_texts_that_the_dense_model_has_not_learned_by_heart(
    bench: Bench,
) -> None:
    """On validation texts, whose labels are not looked at."""
    model, validation = cut_to(bench, 1, 8), bench.whole.data.validation
    found = context(bench).apart(model)
    wanted = torch.from_numpy(logits_of(bench.whole.dense.model, validation))
    given = torch.from_numpy(logits_of(model, validation))
    assert found == pytest.approx(float(bench.task.divergence(given, wanted, 2.0).mean()), rel=1e-5)
    validation.labels[:] = 1 - validation.labels
    assert context(bench).apart(model) == found
    validation.labels[:] = 1 - validation.labels


def test_no_trial_learns_from_what_it_is_judged_by(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    fold = bench.whole
    assert len(fold.held) == len(fold.data.train) // 10
    assert sorted([*fold.held, *fold.kept]) == list(range(len(fold.data.train)))
    model, swapped = cut_to(bench, 1, 8), cut_to(bench, 1, 8)
    monkeypatch.setattr(TrialContext, "apart", lambda *_: 0.0)  # whatever comes of it stays
    context(bench).finish(model)
    labels = fold.data.train.labels
    labels[fold.held] = 1 - labels[fold.held]
    context(bench).finish(swapped)
    labels[fold.held] = 1 - labels[fold.held]
    pairs = zip(model.parameters(), swapped.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in pairs)


def test_divergence_is_none_from_the_dense_model_itself(bench: Bench) -> None:
    trial = context(bench)
    assert trial.divergence(bench.whole.dense.model) == pytest.approx(0.0, abs=1e-6)
    assert trial.divergence(cut_to(bench, 1, 8)) > 1e-3


def test_rungs_look_at_the_same_few_examples_and_the_end_at_all(bench: Bench) -> None:
    table = bench.config.early_stopping.model_copy(update={"rung_examples": 10})
    config = bench.config.model_copy(update={"early_stopping": table})
    few = replace(
        bench,
        whole=replace(bench.whole, rung=bench_of._rung(bench.whole.data, config)),
        measurer=ScriptedMeasurer(bench.whole.dense.model),
    )
    reference = measured_reference(few)
    candidate = Candidate(strategy="l1", importance="l1", sublayers=(0.5,) * 6)
    seen: list[Rung] = []
    found = run_trial(few, candidate, reference, seed=1, on_rung=seen.append).result
    assert found.quality is not None
    assert found.quality.examples == len(bench.whole.data.validation) > 10
    assert [rung.quality.examples for rung in seen] == [10]
    labels = bench.whole.data.validation.labels[few.whole.rung]
    assert set(labels) == set(bench.whole.data.validation.labels)
