from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics

from pareto_prune.inputs.tasks import _scores

labels = st.integers(2, 5).flatmap(
    lambda classes: st.tuples(
        st.just(classes),
        st.lists(
            st.tuples(st.integers(0, classes - 1), st.integers(0, classes - 1)),
            min_size=1,
            max_size=60,
        ),
    )
)


def counted(drawn):
    classes, pairs = drawn
    gold, predicted = np.array(pairs).T
    return gold, predicted, _scores.confusion(gold, predicted, classes)


@given(labels)
def test_confusion_is_that_of_scikit_learn(drawn):
    gold, predicted, counts = counted(drawn)
    expected = metrics.confusion_matrix(gold, predicted, labels=range(drawn[0]))
    assert (counts == expected).all()


@given(labels)
def test_macro_f1_and_mcc_are_those_of_scikit_learn(drawn):
    gold, predicted, counts = counted(drawn)
    f1 = metrics.f1_score(gold, predicted, average="macro", zero_division=0)
    assert _scores.macro_f1(counts) == pytest.approx(f1)
    varied = len({*gold, *predicted}) > 1
    expected = metrics.matthews_corrcoef(gold, predicted) if varied else 0
    assert _scores.mcc(counts) == pytest.approx(expected, abs=1e-9)


@settings(deadline=None)
@given(labels)
def test_report_agrees_with_the_metrics(drawn):
    gold, predicted, counts = counted(drawn)
    names = tuple(f"class {i}" for i in range(drawn[0]))
    report = _scores.class_report(gold, predicted, names)
    assert report["averages"]["macro"]["f1"] == pytest.approx(float(_scores.macro_f1(counts)))
    assert report["averages"]["micro"]["recall"] == pytest.approx(np.mean(gold == predicted))
    assert [line["support"] for line in report["classes"].values()] == counts.sum(1).tolist()
    assert report["confusion"] == counts.tolist()


@given(st.integers(0, 400), st.integers(1, 400))
def test_wilson_solves_its_equation(successes, examples):
    successes = min(successes, examples)
    share = successes / examples
    for bound in _scores.wilson(successes, examples):
        # both ends are where the share lies 1.96 standard errors *of the bound* away
        error = np.sqrt(bound * (1 - bound) / examples)
        assert abs(share - bound) == pytest.approx(1.959964 * error, abs=1e-6)


def test_wilson_of_nothing_says_nothing():
    assert _scores.wilson(0, 0) == (0.0, 1.0)


def test_resampling_keeps_the_total_and_the_mean():
    counts = np.array([[700, 0], [100, 200]])
    drawn = _scores.resampled(counts)
    assert (drawn.sum((1, 2)) == 1000).all()
    assert (drawn[:, 0, 1] == 0).all()
    assert np.abs(drawn.mean(0) - counts).max() < 3


def test_bootstrap_of_a_share_is_near_its_closed_form():
    counts = np.array([800, 200])
    low, high = _scores.interval(counts, lambda drawn: drawn[..., 0] / drawn.sum(-1))
    half = 1.96 * np.sqrt(0.8 * 0.2 / 1000)
    assert low == pytest.approx(0.8 - half, abs=0.004)
    assert high == pytest.approx(0.8 + half, abs=0.004)


def test_cross_entropy_by_hand():
    logits = np.log(np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)) + 3
    expected = -(np.log(0.9) + np.log(0.2)) / 2
    assert _scores.cross_entropy(logits, np.array([0, 0])) == pytest.approx(expected, abs=1e-6)
    assert _scores.cross_entropy(logits[:0], np.array([], dtype=np.int64)) == 0.0


@given(labels)
def test_the_worst_recall_is_the_least_of_those_that_occur(rows):
    classes, pairs = rows
    gold, predicted = np.array(pairs).T
    counts = _scores.confusion(gold, predicted, classes)
    present = np.unique(gold)
    wanted = metrics.recall_score(gold, predicted, labels=present, average=None, zero_division=0)
    assert _scores.worst_recall(counts) == pytest.approx(wanted.min())


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 250), st.integers(0, 3)), min_size=1))
def test_calibration_is_one_less_the_gap_between_confidence_and_accuracy(rows):
    right, steps, counts = (np.array(column) for column in zip(*rows, strict=True))
    confidence, found = steps / 250, 0.0
    for k in range(15):
        inside = (confidence >= k / 15) & ((confidence < (k + 1) / 15) | (k == 14))
        weight = counts[inside]
        if weight.sum():
            gap = np.average(right[inside], weights=weight)
            gap -= np.average(confidence[inside], weights=weight)
            found += weight.sum() * abs(gap) / counts.sum()
    scored = _scores.calibration(right, confidence, np.stack([counts, counts]))
    assert scored == pytest.approx([1 - found] * 2)


def test_its_interval_holds_it_though_draws_are_further_off():
    right, confidence = np.arange(400) % 10 < 9, np.full(400, 0.9)
    once = np.ones(400, np.int64)
    value = float(_scores.calibration(right, confidence, once))
    low, high = _scores.around(
        value, once, lambda drawn: _scores.calibration(right, confidence, drawn)
    )
    assert value == pytest.approx(1)
    assert 0.97 < low < value
    assert high == 1
