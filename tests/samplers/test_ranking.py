"""The best trials so far, against their definition worked out the slow way."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pareto_prune.core.records import TrialState
from pareto_prune.search.past import Past
from pareto_prune.search.samplers._history import History
from pareto_prune.search.samplers._ranking import Ranking, crowding_distance
from tests.samplers.histories import OBJECTIVES, SPACE

Point = tuple[float, float, float, float]

small = st.integers(0, 4).map(float)
points = st.lists(
    st.tuples(small, small, small, st.sampled_from([0.0, 0.0, 0.5, 2.0, math.inf])),
    min_size=1,
    max_size=40,
)


def past(number: int, point: Point) -> Past:
    accuracy, latency, energy, violation = point
    values = dict(zip(OBJECTIVES, (-accuracy, latency, energy), strict=True))
    return Past(number, TrialState.COMPLETE, {}, values, violation)


def dominates(one: Point, other: Point) -> bool:
    if one[3] != other[3]:
        return one[3] < other[3]
    pairs = list(zip(one[:3], other[:3], strict=True))
    return all(a <= b for a, b in pairs) and any(a < b for a, b in pairs)


def ranks_of(given_points: list[Point]) -> list[int]:
    """Return every point's rank by peeling, as the definition has it."""
    ranks = [-1] * len(given_points)
    rank = 0
    while -1 in ranks:
        left = [i for i, r in enumerate(ranks) if r == -1]
        front = [
            i for i in left if not any(dominates(given_points[j], given_points[i]) for j in left)
        ]
        for i in front:
            ranks[i] = rank
        rank += 1
    return ranks


@given(points, st.integers(1, 12))
@settings(max_examples=150, deadline=None)
def test_the_elite_is_what_peeling_gives(found: list[Point], size: int) -> None:
    history = History(SPACE, OBJECTIVES)
    ranking = Ranking(history, size)
    for number, point in enumerate(found):
        history.update([past(number, point)])
        elite = ranking.elite()
        expected = ranks_of(found[: number + 1])
        assert elite.ranks.tolist() == sorted(expected)[:size]
        assert [expected[row] for row in elite.rows] == elite.ranks.tolist()
        assert len(set(elite.rows.tolist())) == len(elite)


@given(points, st.integers(1, 12))
@settings(max_examples=60, deadline=None)
def test_taking_in_one_by_one_or_all_at_once_is_the_same(found: list[Point], size: int) -> None:
    many = found * 3
    one_by_one, at_once = History(SPACE, OBJECTIVES), History(SPACE, OBJECTIVES)
    slow, fast = Ranking(one_by_one, size), Ranking(at_once, size)
    for number, point in enumerate(many):
        one_by_one.update([past(number, point)])
        slow.elite()
    at_once.update(past(number, point) for number, point in enumerate(many))
    assert slow.elite().rows.tolist() == fast.elite().rows.tolist()
    assert slow.elite().crowding.tolist() == fast.elite().crowding.tolist()


def test_many_at_once_are_peeled() -> None:
    rng = np.random.default_rng(0)
    found = [(*rng.random(3), 0.0) for _ in range(300)]
    history = History(SPACE, OBJECTIVES)
    history.update(past(number, point) for number, point in enumerate(found))
    elite = Ranking(history, 60).elite()
    expected = ranks_of(found)
    assert elite.ranks.tolist() == sorted(expected)[:60]


def test_crowding_by_hand() -> None:
    values = np.array([[0.0, 4.0], [1.0, 2.0], [3.0, 1.0], [4.0, 0.0]])
    distance = crowding_distance(values)
    assert distance[[0, 3]].tolist() == [math.inf, math.inf]
    assert distance[1] == pytest.approx(3 / 4 + 3 / 4)
    assert distance[2] == pytest.approx(3 / 4 + 2 / 4)


def test_crowding_of_equal_points_is_zero() -> None:
    assert crowding_distance(np.ones((3, 2))).tolist() == [0.0, 0.0, 0.0]


def test_ties_go_to_the_earlier_trial() -> None:
    history = History(SPACE, OBJECTIVES)
    history.update(past(number, (1.0, 1.0, 1.0, 0.0)) for number in (5, 3, 9))
    assert history.numbers[Ranking(history, 2).elite().rows].tolist() == [3, 5]


def test_infeasible_trials_come_last_and_by_violation() -> None:
    history = History(SPACE, OBJECTIVES)
    found = [(0.0, 0.0, 0.0, 2.0), (9.0, 9.0, 9.0, 0.0), (5.0, 5.0, 5.0, 1.0)]
    history.update(past(number, point) for number, point in enumerate(found))
    assert Ranking(history, 3).elite().rows.tolist() == [1, 2, 0]


def test_what_is_not_promising_comes_behind_what_is_and_before_what_is_infeasible() -> None:
    history = History(SPACE, OBJECTIVES, promising=lambda values: values[OBJECTIVES[1]] < 5)
    found = [(0.0, 9.0, 0.0, 0.0), (1.0, 8.0, 1.0, 0.0), (9.0, 1.0, 9.0, 0.0), (0.0, 0.0, 0.0, 1.0)]
    history.update(past(number, point) for number, point in enumerate(found))
    elite = Ranking(history, 4).elite()
    assert elite.rows[0] == 2
    assert set(elite.rows[1:3]) == {0, 1}
    assert elite.rows[3] == 3


def test_a_front_is_to_be_even_in_the_logarithm_of_costs() -> None:
    history = History(SPACE, OBJECTIVES)
    costs = (1.0, 2.0, 4.0, 8.0, 64.0)
    found = [(-cost, cost, cost, 0.0) for cost in costs]
    history.update(past(number, point) for number, point in enumerate(found))
    spread = history.spread(np.arange(5))
    assert np.diff(spread[:, 1]).tolist() == pytest.approx([math.log(2)] * 3 + [math.log(8)])
    assert spread[:, 0].tolist() == [-1.0, -2.0, -4.0, -8.0, -64.0]
    elite = Ranking(history, 5).elite()
    crowding = dict(zip(elite.rows.tolist(), elite.crowding.tolist(), strict=True))
    assert crowding[1] == pytest.approx(3 / 63 + 2 / 6 + 2 / 6)
