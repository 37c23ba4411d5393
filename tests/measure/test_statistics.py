import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.measure.statistics import median, median_ratio, quantile

TIMES = st.lists(st.floats(1e-6, 1e3), min_size=1, max_size=60)


@given(TIMES, st.floats(0.01, 100))
def test_the_ratio_of_scaled_times_is_the_scale(times: list[float], scale: float) -> None:
    ratio = median_ratio([scale * time for time in times], times)
    assert math.isclose(ratio.value, scale, rel_tol=1e-9)
    assert math.isclose(ratio.low, scale, rel_tol=1e-9)
    assert ratio.repeats == len(times)


@given(TIMES, TIMES)
def test_swapping_the_two_inverts_the_ratio(first: list[float], second: list[float]) -> None:
    count = min(len(first), len(second))
    there = median_ratio(first[:count], second[:count])
    back = median_ratio(second[:count], first[:count])
    assert math.isclose(there.value * back.value, 1, rel_tol=1e-9)
    assert math.isclose(there.low * back.high, 1, rel_tol=1e-9)
    assert math.isclose(there.width, back.width, abs_tol=1e-9)


@given(TIMES)
def test_a_value_lies_in_its_interval(times: list[float]) -> None:
    estimate = median(times)
    assert min(times) <= estimate.low <= estimate.value <= estimate.high <= max(times)


def test_known_ranks() -> None:
    """Binomial(20, 1/2): at most 5 below in 2.07 %, so ranks 6 and 15 (David and Nagaraja)."""
    estimate = median(np.arange(1, 21.0))
    assert (estimate.low, estimate.high) == (6, 15)


def test_few_repeats_give_the_range() -> None:
    estimate = median([3.0, 1.0, 2.0])
    assert (estimate.low, estimate.value, estimate.high) == (1, 2, 3)


@pytest.mark.parametrize(("count", "share"), [(9, 0.5), (30, 0.5), (200, 0.95), (200, 0.5)])
def test_the_interval_covers_the_quantile(count: int, share: float) -> None:
    generator = np.random.default_rng(0)
    samples = generator.exponential(size=(2000, count))
    found = [quantile(sample, share) for sample in samples]
    true = -math.log(1 - share)
    covered = np.mean([estimate.low <= true <= estimate.high for estimate in found])
    assert 0.94 <= covered <= 0.995


@pytest.mark.parametrize("pairs", [([], []), ([1.0], [0.0]), ([1.0, 2.0], [1.0]), ([-1.0], [1.0])])
def test_what_is_no_pair_of_times_is_refused(pairs: tuple[list[float], list[float]]) -> None:
    with pytest.raises(ValueError, match="pairs of values above 0"):
        median_ratio(*pairs)
