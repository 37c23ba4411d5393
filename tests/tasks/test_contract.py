"""What every task of the family keeps."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import is_dataclass, replace

import numpy as np
import pytest
import torch
from transformers import PreTrainedConfig

from pareto_prune.core.objectives import COSTS, OBJECTIVES
from pareto_prune.core.outcomes import Outcomes
from pareto_prune.core.records import Quality
from pareto_prune.export.formats.onnx import example_of
from pareto_prune.inputs.decision import decided, decision_of, keep_decision, of_model
from pareto_prune.inputs.examples import Rows, labelled
from pareto_prune.inputs.pairs import differences, resampled
from pareto_prune.inputs.sampling import holdout, spread
from pareto_prune.inputs.tasks import metrics, tasks
from pareto_prune.inputs.tasks._neighbours import units
from pareto_prune.inputs.tokens import Tokens, Word
from pareto_prune.trials.calibration_texts import calibration_texts
from tests.tasks import counts
from tests.tasks.words import entities, sentiment, words_tokenizer

TEXTS = sentiment(12).texts
SETS = ("micro_f1", "macro_f1", "average_precision")
NUMBERS = ("pearson", "spearman", "explained")
ROWS = {
    "classification": sentiment(12),
    "embedding": Rows("news", TEXTS),
    "ner": entities(),
    "counts": Rows("counts", TEXTS, [1 + i % 5 + 9 * (i % 2) for i in range(12)]),
    "multilabel": Rows(
        "emotions", TEXTS, [["joy"] * (i % 2) + ["love"] * (i % 3 < 2) for i in range(12)]
    ),
    "reranking": Rows(
        "passages",
        ([f"{('good', 'bad')[i // 3 % 2]} film {'a ' * (i // 6)}" for i in range(12)], *TEXTS),
        [float(i % 3 == i // 3 % 3) for i in range(12)],
    ),
    "similarity": Rows("pairs", (*TEXTS, [f"{text} plot" for text in TEXTS[0]]), [*range(12)]),
    "regression": Rows(
        "stars",
        TEXTS,
        [((-1.0) ** i * (2 + i % 3), str(i % 5)) for i in range(12)],
        label_columns=("stars", "length"),
    ),
}
SAYS = {
    "counts": np.log,
    "multilabel": lambda labels: 8 * labels - 4,
    "reranking": lambda labels: 8 * labels - 4,
    "regression": np.array,
}
"""What a model without a fault says, by its labels, where they are numbers."""
ORDERS = {"embedding": tuple("0123"), "similarity": tuple("0123")}
"""Names of outputs that no label tells, but a checkpoint."""
KEPT = {"reranking": 45, "similarity": 42}
"""Of 60 rows, where about 20 are held out by whole groups."""


@pytest.fixture(params=tasks.names())
def case(request):
    task = tasks.create(request.param)
    rows = ROWS[request.param]
    names = task.label_names({"train": rows}, ORDERS.get(request.param))
    return task, as_told(task, task.encode(rows, words_tokenizer(), names, 24))


def as_told(task, split):
    """A split with what a dense model says, where that stands for labels."""
    if not task.taught:
        return split
    shape = len(split), len(split.label_names)
    vectors = np.random.default_rng(7).normal(size=shape).astype(np.float32)
    told = replace(split, teacher=vectors)
    return told if split.groups is None else replace(told, labels=scores_of(vectors))


def scores_of(vectors):
    """Scores of pairs that the vectors of their texts agree with."""
    pairs = units(vectors).reshape(-1, 2, vectors.shape[1])
    return np.repeat(pairs.prod(1).sum(-1), 2)[:, None]


def test_a_task_is_a_frozen_dataclass_that_describes_itself(case):
    task, split = case
    assert is_dataclass(task)
    assert type(task).__dataclass_params__.frozen
    assert task.pipeline
    assert split.by_token == task.splits_words
    assert not set(names_of(task)) & set(COSTS)
    for metric in task.metrics:
        assert (metric.kind, metric.unit, metric.sign) == ("quality", "fraction", -1)
        assert metric.label


@pytest.mark.parametrize(
    "labels", [[None] * 4, [[]] * 4, [("a", "b")] * 4, [{"a": 1}] * 4, ["", "0", "x", 2.5], []]
)
def test_it_says_whether_any_values_suit_it(case, labels):
    task, _ = case
    for text in ("words", ["words"], None):
        assert task.suits([text] * len(labels), labels) in (True, False)


def test_one_name_means_one_metric():
    known = metrics()
    assert set(OBJECTIVES) == {*known, *COSTS}
    assert {
        *(
            "accuracy",
            "f1",
            "mcc",
            "worst_recall",
            "calibration",
            "span_f1",
            "count_correlation",
            *NUMBERS,
            *SETS,
        ),
        *("agreement", "neighbours_at_10", "ndcg_at_10", "mrr"),
    } == set(known)


def test_two_tasks_cannot_mean_different_things_by_one_metric(monkeypatch):
    from pareto_prune.core.objectives import metric

    for wrong, said in (
        (metric("accuracy", "another one"), "tell different things of the metric 'accuracy'"),
        (COSTS["latency_ms"], "'latency_ms' is no fraction of which more is better"),
    ):
        monkeypatch.setattr(counts.Counts, "metrics", (wrong,))
        with pytest.raises(ValueError, match=said):
            metrics()


def test_a_split_can_be_checked_and_is_sampled_in_proportion(case):
    task, split = case
    for name in ("train", "validation", "test"):
        task.check(name, split, split)
    strata = task.strata(split)
    assert strata.shape == (len(split),)
    order = spread(task, split, 0)
    assert sorted(order) == list(range(len(split)))
    assert (np.diff(strata[order]) >= 0).all()
    whole = split.take(np.arange(60) % len(split))
    kept, held = holdout(task, whole, 20, 0)
    mean = task.strata(whole).mean()
    assert abs(task.strata(whole.take(held)).mean() - mean) < 0.3
    if whole.groups is not None:
        assert not set(whole.groups[kept]) & set(whole.groups[held])
    assert len(kept) + len(held) == 60
    assert len(kept) == KEPT.get(name_of(task), 40)


def test_labels_of_a_batch_are_those_of_its_examples_and_the_rest_is_unlabelled(case):
    _, split = case
    rows = np.arange(len(split))[::-1].copy()
    batch = split.batch(rows)
    found = batch["labels"][labelled(batch["labels"])]
    wanted = split.labels[split.targets(rows)]
    assert found.tolist() == wanted[labelled(wanted)].tolist()


def test_texts_without_labels_have_no_known_target_but_a_teacher(case):
    task, split = case
    known = ROWS[name_of(task)]
    rows = Rows("new", known.texts, label_columns=known.label_columns)
    new = task.encode(rows, words_tokenizer(), split.label_names, 24)
    assert new.labels.dtype == split.labels.dtype
    assert labelled(new.labels).any() == task.taught


def random_logits(split, seed=0):
    """Logits of every labelled target, and their labels, or what stands for them."""
    known = labelled(split.labels)
    labels = split.labels if split.teacher is None else split.teacher
    generator = torch.Generator().manual_seed(seed)
    shape = int(known.sum()), len(split.label_names)
    return torch.randn(shape, generator=generator), torch.from_numpy(labels[known])


def test_the_loss_is_a_mean_over_targets_that_has_a_gradient(case):
    task, split = case
    logits, labels = random_logits(split)
    logits.requires_grad_(True)
    loss = task.loss(logits, labels)
    (gradient,) = torch.autograd.grad(loss, logits)
    one_by_one = [task.loss(logits[i : i + 1], labels[i : i + 1]) for i in range(len(labels))]
    torch.testing.assert_close(loss, torch.stack(one_by_one).mean())
    assert task.loss(logits - 0.1 * gradient, labels).item() < loss.item()


def test_divergence_is_nothing_only_where_predictions_are_the_same(case):
    task, split = case
    (logits, _), (dense, _) = random_logits(split), random_logits(split, 1)
    for temperature in (1.0, 2.0):
        apart = task.divergence(logits, dense, temperature)
        assert apart.shape == logits.shape[:-1]
        assert (apart > 0).all()
        same = task.divergence(dense, dense, temperature)
        torch.testing.assert_close(same, torch.zeros_like(same))


def test_int8_is_calibrated_on_its_texts(case):
    task, split = case
    texts = calibration_texts(split, task, 0)
    assert sum(len(batch["input_ids"]) for batch in texts.batches) == len(split)
    assert all({"attention_mask", "token_type_ids"} <= set(batch) for batch in texts.batches)
    generator = np.random.default_rng(0)
    shape = (20, len(split.label_names))
    logits, others = generator.normal(size=(2, *shape)).astype(np.float32)
    assert texts.divergence(logits, others) > 0.01
    assert texts.divergence(logits, logits) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("temperature", [1.0, 2.0])
def test_squares_of_seeds_tell_the_divergence_of_a_small_change(case, temperature):
    task, split = case
    dense, _ = random_logits(split)
    dense = dense[:2].double()
    change = 0.01 * torch.randn(dense.shape, generator=torch.Generator().manual_seed(1)).double()
    generator = torch.Generator().manual_seed(2)
    drawn = [task.seeds(dense, temperature, generator) for _ in range(4000)]
    told = 0.5 * (torch.stack(drawn) * change).sum(-1).square().mean(0)
    found = task.divergence(dense + change, dense, temperature)
    assert told.shape == found.shape
    torch.testing.assert_close(told, found, rtol=0.1, atol=0)


def test_only_what_was_learned_is_beyond_chance(case):
    task, split = case[0], case[1].take(np.arange(60) % len(case[1]))
    assert task.beats_chance(task.quality(perfect(task, split), split), split)
    level = task.chance(split)
    nothing = Quality(
        metrics=level,
        intervals={n: (v - 0.1, v + 0.1) for n, v in level.items()},
        examples=60,
        loss=1,
    )
    assert not task.beats_chance(nothing, split)


def test_a_prediction_is_plain_json_and_an_answer_is_a_line(case):
    task, split = case
    words = [Word("good", 0, 4), Word("films", 5, 10)]
    tokens = Tokens([2, 5, 7, 16, 3], [0] * 5, words, [None, 0, 1, 1, None], 5)
    shape = (6, len(split.label_names)) if task.splits_words else (len(split.label_names),)
    logits = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    said = task.prediction(logits, tokens, split.label_names)
    assert said
    json.dumps(said, allow_nan=False)
    line = task.answer("good films", list(tokens.word_of), logits, list(split.label_names))
    assert "good" in line
    assert "\n" not in line


def test_the_example_needs_nothing_of_this_package(case):
    source = example_of(case[0])
    compile(source, "example.py", "exec")
    assert f"\nBY_WORD = {case[0].splits_words}\n" in source
    assert "def answer(" in source
    assert "from task import" not in source
    assert "pareto_prune" not in source


def test_metrics_are_objectives_and_all_reported(case):
    task, split = case
    logits = np.random.default_rng(0).normal(size=(targets(split), len(split.label_names)))
    quality = task.quality(logits.astype(np.float32), split)
    assert set(quality.metrics) == set(names_of(task)) == set(task.chance(split))
    for metric in task.metrics:
        assert OBJECTIVES[metric.name] == metric


def test_better_logits_score_better(case):
    task, split = case
    good = perfect(task, split)
    best, worst = task.quality(good, split), task.quality(wrong(task, split), split)
    assert best.loss < worst.loss
    for metric in names_of(task):
        assert best.metrics[metric] == pytest.approx(1.0)
        assert worst.metrics[metric] < 1.0
        assert task.chance(split)[metric] < 1


def test_differences_are_paired(case):
    task, split = case[0], case[1].take(np.arange(60) % len(case[1]))
    good, bad = perfect(task, split), wrong(task, split)
    right, apart = (task.outcomes(logits, split) for logits in (good, bad))
    better, same = differences(task, right, apart), differences(task, right, right)
    assert set(better) == set(same) == set(names_of(task))
    for metric in names_of(task):
        scores = [task.quality(logits, split).metrics[metric] for logits in (good, bad)]
        assert better[metric].value == pytest.approx(scores[0] - scores[1])
        assert better[metric].interval[0] > 0
        assert not better[metric].within_noise
        assert (same[metric].value, same[metric].interval) == (0.0, (0.0, 0.0))
        assert same[metric].within_noise


def test_a_paired_interval_is_narrower_than_two_of_their_own(case):
    task, split = case
    rng = np.random.default_rng(0)
    rows = rng.integers(0, len(split), 400)
    large = split.take(rows)
    logits = rng.normal(size=(targets(large), len(large.label_names))).astype(np.float32)
    nearly = logits.copy()
    nearly[:5] = -nearly[:5]
    both = (task.outcomes(one, large) for one in (nearly, logits))
    for metric, difference in differences(task, *both).items():
        low, high = task.quality(logits, large).intervals[metric]
        assert difference.interval[0] <= difference.value <= difference.interval[1]
        assert difference.interval[1] - difference.interval[0] < 0.5 * (high - low)


def test_outcomes_survive_packing_and_score_as_the_logits_did(case):
    task, split = case[0], case[1].take(np.arange(200) % len(case[1]))
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(targets(split), len(split.label_names))).astype(np.float32)
    kept = Outcomes.of(task.outcomes(logits, split))
    again = Outcomes.from_json(json.loads(json.dumps(kept.to_json()))).array()
    np.testing.assert_allclose(again, task.outcomes(logits, split), rtol=1e-6)
    quality = task.quality(logits, split)
    for metric in names_of(task):
        drawn = resampled(task, metric, [again, again])[:, 0]
        assert drawn[0] == pytest.approx(quality.metrics[metric], abs=1e-6)
        low, high = quality.intervals[metric]
        assert 1.96 * drawn[1:].std() == pytest.approx((high - low) / 2, rel=0.2, abs=1e-4)


def test_what_is_tuned_for_a_model_is_kept_with_it_and_no_worse_where_it_was_tuned(case):
    task, split = case
    config, shape = PreTrainedConfig(), (targets(split), len(split.label_names))
    logits = np.random.default_rng(0).normal(size=shape).astype(np.float32) - 1
    assert of_model(task, config) == task
    found = task.tuned(logits, split)
    if not task.tunes:
        assert found is task
        return
    keep_decision(config, found)
    kept = decided(task, json.loads(json.dumps(decision_of(config))))
    again, first = kept.quality(logits, split), task.quality(logits, split)
    assert again == found.quality(logits, split)
    assert again.metrics[names_of(task)[0]] > first.metrics[names_of(task)[0]]
    said = kept.prediction(logits[0], Tokens([], [], [], [], 0), split.label_names)
    line = task.answer("a text", [], logits[0], list(split.label_names), **decision_of(config))
    assert said == found.prediction(logits[0], Tokens([], [], [], [], 0), split.label_names)
    assert line != task.answer("a text", [], logits[0], list(split.label_names))


def test_reports_are_plain_json(case):
    task, split = case
    logits = np.zeros((targets(split), len(split.label_names)), dtype=np.float32)
    json.dumps(task.report(logits, split), allow_nan=False)


def test_the_class_that_loads_a_model_is_there(case):
    import transformers

    assert hasattr(transformers, case[0].model_class)


def names_of(task):
    return [metric.name for metric in task.metrics]


def name_of(task):
    return next(name for name in tasks.names() if type(task) is tasks.member(name))


def perfect(task, split):
    """Logits that say what the labels say."""
    if split.teacher is not None:
        return split.teacher
    if not np.issubdtype(split.labels.dtype, np.integer):
        return SAYS[name_of(task)](split.labels).astype(np.float32)
    good = np.zeros((targets(split), len(split.label_names)), dtype=np.float32)
    known = split.labels >= 0
    good[known, split.labels[known]] = 40
    return good


def wrong(task, split):
    """Logits that say the contrary, or what is said of other texts."""
    return -perfect(task, split) if split.teacher is None else split.teacher[::-1].copy()


def targets(split):
    return len(split.ids) if split.by_token else len(split)


def test_listing_tasks_loads_no_torch():
    code = (
        "import sys; from pareto_prune.inputs.tasks import tasks; tasks.entries(); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
