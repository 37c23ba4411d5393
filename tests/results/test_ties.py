"""Which points are the same within noise: by pairs of examples, or else by intervals."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from pareto_prune.core.outcomes import Outcomes
from pareto_prune.core.records import Confirmation, Trial
from pareto_prune.inputs.tasks import tasks
from pareto_prune.results import tables
from pareto_prune.results.front import front_of
from pareto_prune.results.pairing import alike, holm
from pareto_prune.results.records import Front
from pareto_prune.results.selection import explain
from tests import synthetic
from tests.results.test_front import values
from tests.synthetic import EXAMPLES, binomial, study_of, trial

GOLD = np.arange(EXAMPLES) % 2


def said(wrong: range) -> Outcomes:
    """What a model said that is wrong on these examples alone."""
    flipped = np.isin(np.arange(EXAMPLES), np.array(wrong))
    return Outcomes.of(np.column_stack([GOLD, GOLD ^ flipped]))


def share(wrong: range) -> float:
    return 1 - len(wrong) / EXAMPLES


def kept_trial(number: int, wrong: range, cost: float, keep: bool = True) -> Trial:
    accuracy = share(wrong)
    quality = synthetic.quality(accuracy)
    if keep:
        quality = quality.model_copy(update={"outcomes": said(wrong)})
    spans = {"accuracy": binomial(accuracy)}
    return trial(number, values(accuracy, cost, cost), intervals=spans, quality=quality)


def front_with(*trials: Trial, **fields: Any) -> Front:
    dense = synthetic.reference()
    quality = dense.quality.model_copy(update={"outcomes": said(range(5, 137))})
    reference = dense.model_copy(update={"quality": quality})
    return front_of(study_of(*trials, reference=reference, **fields))


def drawn(front: Front) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(tables.front_summary(front))
    return console.export_text()


def test_points_on_the_same_examples_are_told_apart_by_pairs() -> None:
    """29 of 853 examples, 3.4 points, that one has right and the other wrong, and none back."""
    one, other = kept_trial(1, range(130), 0.5), kept_trial(2, range(159), 0.3)
    assert one.result
    assert other.result
    assert one.result.intervals["accuracy"][0] < other.result.intervals["accuracy"][1]
    front = front_with(one, other)
    assert [point.alike for point in front.members] == [(), ()]
    assert [point.like_dense for point in front.members] == [True, False]
    text = " ".join(explain(front, 1).sentences)
    assert "3.4 points of accuracy" in text
    assert "above the dense model, within noise of it" in text
    assert not any("within noise of that" in one for one in explain(front, 1).sentences)
    assert "below the dense model, beyond noise" in " ".join(explain(front, 2).sentences)


def test_points_that_differ_here_and_there_are_the_same() -> None:
    front = front_with(kept_trial(1, range(130), 0.5), kept_trial(2, range(100, 232), 0.3))
    assert [point.alike for point in front.members] == [(2,), (1,)]
    (sentence,) = [s for s in explain(front, 1).sentences if "is within noise of that" in s]
    assert "trial 2" in sentence
    assert "paired by example" in sentence


def test_results_that_kept_nothing_fall_back_on_intervals_and_say_so() -> None:
    front = front_with(kept_trial(1, range(130), 0.5, keep=False), kept_trial(2, range(159), 0.3))
    assert [point.alike for point in front.members] == [(2,), (1,)]
    assert [point.paired for point in front.members] == [False, True]
    assert front.members[0].like_dense is None
    sentences = " ".join(explain(front, 1).sentences)
    assert "95 % intervals overlap; not paired" in sentences
    assert "paired by example)" not in sentences


def test_many_comparisons_are_held_to_five_per_cent_together() -> None:
    assert holm(np.array([0.01, 0.04, 0.03])).tolist() == [True, False, False]
    assert holm(np.array([0.01, 0.02, 0.03])).tolist() == [True, True, True]
    assert holm(np.array([])).tolist() == []


def test_of_models_that_only_luck_parts_few_are_told_apart() -> None:
    """20 studies of 12 models of the same skill: about one in twenty finds a difference."""
    rng = np.random.default_rng(0)
    found = 0
    for _ in range(20):
        wrong = rng.random((12, 400)) < 0.2
        gold = np.zeros(400, int)
        models = {n: (Outcomes.of(np.column_stack([gold, row])),) for n, row in enumerate(wrong)}
        same = alike(models, tasks.create("classification"), "accuracy")
        found += len(same[0]) < 11
    assert found <= 3


@pytest.mark.parametrize("metric", ["f1", "mcc"])
def test_other_metrics_are_paired_too(metric: str) -> None:
    models = {1: (said(range(130)),), 2: (said(range(159)),), 3: (said(range(100, 232)),)}
    same = alike(models, tasks.create("classification"), metric)
    assert same[1] == {3}
    assert 2 not in same[1]


def confirmation(number: int, wrongs: list[range], cost: float, keep: bool = True) -> Confirmation:
    metrics = tuple(share(wrong) for wrong in wrongs)
    known = values(float(np.mean(metrics)), cost, cost)
    costs = {name: (0.98 * known[name], 1.02 * known[name]) for name in ("latency_ms", "energy_j")}
    spans = {"accuracy": binomial(known["accuracy"]), **costs}
    outcomes = tuple(said(wrong) for wrong in wrongs) if keep else ()
    return Confirmation(
        number=number, steps=9, metrics=metrics, outcomes=outcomes, values=known, intervals=spans
    )


@pytest.mark.parametrize("keep", [True, False])
def test_confirmed_points_are_told_apart_by_pairs_too(keep: bool) -> None:
    """86 % is not matched by 83 % on the same examples, although the intervals overlap."""
    better = [range(118), range(120), range(122)]
    worse = [range(143), range(145), range(147)]
    front = front_with(
        kept_trial(9, range(120), 0.5),
        kept_trial(28, range(145), 0.3),
        confirmations=(confirmation(9, better, 0.5, keep), confirmation(28, worse, 0.3, keep)),
    )
    point = front.point(9)
    assert point is not None
    assert point.confirmation is not None
    assert point.confirmation.paired is keep
    assert point.confirmation.matched_by == (None if keep else 28)
    assert ("not paired by example" in drawn(front)) is not keep


def test_the_spread_of_retrainings_is_part_of_the_noise() -> None:
    steady = [range(130), range(131), range(132)]
    apart = [range(80), range(150), range(230)]
    models = {1: tuple(map(said, steady)), 2: tuple(map(said, apart))}
    assert alike(models, tasks.create("classification"), "accuracy") == {1: {2}, 2: {1}}
    sure = {1: models[1], 2: (said(range(153)),) * 3}
    assert alike(sure, tasks.create("classification"), "accuracy") == {1: set(), 2: set()}
