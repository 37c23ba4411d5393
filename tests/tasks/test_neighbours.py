"""Scores of similarities, held against scipy and against a bootstrap that draws texts."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import spearmanr

from pareto_prune.inputs.tasks import _neighbours


def vectors(texts=60, noise=0.0, seed=0):
    rng = np.random.default_rng(seed)
    dense = rng.normal(size=(texts, 8))
    return _neighbours.units(dense + noise * rng.normal(size=dense.shape)), _neighbours.units(dense)


def similarities(own, dense, drawn=None):
    """Pairs of texts; those of one text with itself, drawn twice, are left out."""
    drawn = np.arange(len(own)) if drawn is None else drawn
    first, second = np.triu_indices(len(drawn), 1)
    first, second = drawn[first], drawn[second]
    apart = first != second
    return [(one[first] * one[second]).sum(-1)[apart] for one in (own, dense)]


def test_agreement_is_spearmans_correlation_of_all_pairs():
    for noise in (0.0, 0.5, 5.0):
        own, dense = vectors(noise=noise)
        found = _neighbours.agreement(own, dense)
        assert found.shape == (60,)
        assert found.mean() == pytest.approx(spearmanr(*similarities(own, dense))[0])


def test_ties_count_as_scipy_counts_them():
    own, dense = vectors(noise=0.5)
    own, dense = np.repeat(own, 2, 0), np.repeat(dense, 2, 0)
    found = _neighbours.agreement(own, dense).mean()
    assert found == pytest.approx(spearmanr(*similarities(own, dense))[0])
    alike = _neighbours.agreement(own[:1].repeat(20, 0), dense[:20])
    assert alike.mean() == pytest.approx(0, abs=1e-12)


def test_its_spread_is_that_of_a_bootstrap_over_texts():
    rng = np.random.default_rng(1)
    for noise in (0.5, 1.5):
        own, dense = vectors(120, noise)
        draws = [rng.integers(120, size=120) for _ in range(150)]
        exact = np.std([spearmanr(*similarities(own, dense, drawn))[0] for drawn in draws])
        found = _neighbours.agreement(own, dense)
        assert np.std([found[drawn].mean() for drawn in draws]) == pytest.approx(exact, rel=0.15)


def test_of_many_texts_each_is_compared_with_some(monkeypatch):
    own, dense = vectors(600, 0.7)
    whole = _neighbours.agreement(own, dense)
    monkeypatch.setattr(_neighbours, "ANCHORS", 100)
    some = _neighbours.agreement(own, dense)
    assert some.shape == whole.shape
    assert some.mean() == pytest.approx(whole.mean(), abs=0.02)
    assert some.std() > whole.std()


def test_neighbours_are_counted_among_the_other_texts():
    angles = np.linspace(0, 1, 30)
    dense = np.column_stack([np.cos(angles), np.sin(angles)])
    assert _neighbours.kept_neighbours(dense, dense).tolist() == [1.0] * 30
    swapped = dense.copy()
    swapped[[0, 29]] = swapped[[29, 0]]
    kept = _neighbours.kept_neighbours(swapped, dense)
    assert kept[0] == kept[29] == 0
    assert kept[15] == 1
    assert kept[3] == 0.9


def test_blocks_of_texts_change_nothing(monkeypatch):
    own, dense = vectors(100, 1.0)
    whole = _neighbours.kept_neighbours(own, dense)
    monkeypatch.setattr(_neighbours, "_BLOCK", 7)
    assert (_neighbours.kept_neighbours(own, dense) == whole).all()
