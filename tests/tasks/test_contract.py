"""What every task of the family keeps."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.inputs.tasks import tasks
from tests.tasks.words import entities, sentiment, words_tokenizer

ROWS = {"classification": sentiment(12), "ner": entities()}


@pytest.fixture(params=tasks.names())
def case(request):
    task = tasks.create(request.param)
    rows = ROWS[request.param]
    split = task.encode(rows, words_tokenizer(), task.label_names({"train": rows}), 24)
    return task, split


def test_metrics_are_objectives_and_all_reported(case):
    task, split = case
    logits = np.random.default_rng(0).normal(size=(targets(split), len(split.label_names)))
    quality = task.quality(logits.astype(np.float32), split)
    assert set(quality.metrics) == set(names_of(task)) == set(task.chance(split))
    for metric in task.metrics:
        assert OBJECTIVES[metric.name] == metric


def test_better_logits_score_better(case):
    task, split = case
    good = np.zeros((targets(split), len(split.label_names)), dtype=np.float32)
    known = split.labels >= 0
    good[known, split.labels[known]] = 4
    best, worst = task.quality(good, split), task.quality(-good, split)
    assert best.loss < worst.loss
    for metric in names_of(task):
        assert best.metrics[metric] == 1.0 > worst.metrics[metric]
        assert task.chance(split)[metric] < 1


def test_differences_are_paired(case):
    task, split = case[0], case[1].take(np.arange(60) % len(case[1]))
    good = np.zeros((targets(split), len(split.label_names)), dtype=np.float32)
    known = split.labels >= 0
    good[known, split.labels[known]] = 4
    better, same = task.differences(good, -good, split), task.differences(good, good, split)
    assert set(better) == set(same) == set(names_of(task))
    for metric in names_of(task):
        scores = [task.quality(logits, split).metrics[metric] for logits in (good, -good)]
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
    for metric, difference in task.differences(nearly, logits, large).items():
        low, high = task.quality(logits, large).intervals[metric]
        assert difference.interval[0] <= difference.value <= difference.interval[1]
        assert difference.interval[1] - difference.interval[0] < 0.5 * (high - low)


def test_reports_are_plain_json(case):
    import json

    task, split = case
    logits = np.zeros((targets(split), len(split.label_names)), dtype=np.float32)
    json.dumps(task.report(logits, split), allow_nan=False)


def test_the_class_that_loads_a_model_is_there(case):
    import transformers

    assert hasattr(transformers, case[0].model_class)


def names_of(task):
    return [metric.name for metric in task.metrics]


def targets(split):
    return len(split.ids) if split.by_token else len(split)


def test_listing_tasks_loads_no_torch():
    code = (
        "import sys; from pareto_prune.inputs.tasks import tasks; tasks.entries(); "
        "sys.exit(any(m in sys.modules for m in ('torch', 'transformers', 'sklearn')))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
