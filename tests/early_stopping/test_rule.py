"""When a trial is stopped: scripted histories, reckoned by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from pareto_prune.config import EarlyStoppingTable
from pareto_prune.early_stopping import Completed, Progress, StopRule, rung_steps
from pareto_prune.early_stopping._completed import made_of
from pareto_prune.front import Yardstick
from pareto_prune.objectives import OBJECTIVES
from pareto_prune.records import Candidate

DENSE = {"accuracy": 0.84, "latency_ms": 10.0, "energy_j": 0.1}
NAMES = tuple(DENSE)


def rule(
    completed: tuple[Completed, ...] = (),
    constraints: dict[str, str] | None = None,
    dense: dict[str, float] | None = None,
    **table: Any,
) -> StopRule:
    reference = DENSE if dense is None else dense
    measure = Yardstick(tuple(OBJECTIVES[name] for name in NAMES), reference, 0.5)
    return StopRule(EarlyStoppingTable(**table), constraints or {}, measure, completed)


def complete(
    final: float, before: float, cost: float = 0.5, strategy: str = "balanced", **more: Any
) -> Completed:
    """A trial of this relative cost that went from ``before`` to ``final``."""
    values = {"accuracy": final, "latency_ms": 10 * cost, "energy_j": 0.1 * cost}
    return Completed(strategy, values, final, rungs=((0.0, before),), **more)


def at(metric: float, cost: float = 0.5, share: float = 0.0, **more: Any) -> Progress:
    costs = {"latency_ms": 10 * cost, "energy_j": 0.1 * cost}
    return Progress("balanced", share, metric, more.get("error", 0.01), costs)


TEN = tuple(complete(0.80 + gain / 100, 0.80) for gain in range(10))
"""From 80 % they gained 0 to 9 points; the best reached 89 %, which is above the dense model."""


def test_a_plan_that_was_tried_is_not_tried_again() -> None:
    tried = Candidate(strategy="balanced", importance="obs", learning_rate=5e-5)
    found = rule((complete(0.81, 0.8, made=made_of(tried, "plan")),))
    again = tried.model_copy(update={"importance": "fisher", "cost_target": 0.3})
    stop = found.on_plan(again, "plan")
    assert stop is not None
    assert stop.optimistic == 0.81
    assert found.on_plan(tried, "another") is None
    for change in (
        {"strategy": "layer_wise"},
        {"learning_rate": 6e-5},
        {"deployment": {"dtype": "int8"}},
    ):
        assert found.on_plan(tried.model_copy(update=change), "plan") is None
    assert (
        rule((complete(math.nan, 0.8, made=made_of(tried, "plan")),)).on_plan(tried, "plan") is None
    )


def test_the_bound_by_hand() -> None:
    """The 0.9-quantile of gains of 0 … 9 points is 8.1; of shares of 9 points' way it is 0.9."""
    found = rule(TEN)
    assert found.ceiling == pytest.approx(0.89)
    assert found.optimistic(at(0.85)) == pytest.approx(0.85 + 0.081)
    assert found.optimistic(at(0.60)) == pytest.approx(0.60 + 0.9 * 0.29)


def test_a_dominated_trial_is_stopped_by_more_than_the_noise() -> None:
    """At 60 % it may reach 86.1 %; the front has 89 % at the same cost: 2.9 points above."""
    stop = rule(TEN).on_rung(at(0.60, error=0.028))
    assert stop is not None
    assert stop.reason == "dominated before training even with an optimistic gain"
    assert stop.optimistic == pytest.approx(0.861)
    assert rule(TEN).on_rung(at(0.60, error=0.030)) is None


def test_a_cheaper_trial_is_not_dominated() -> None:
    assert rule(TEN).on_rung(at(0.60, cost=0.49)) is None


def test_the_dense_model_dominates_what_is_dearer() -> None:
    far = tuple(complete(0.70, 0.70, cost=2.0) for _ in range(10))
    assert rule(far).on_rung(at(0.70, cost=1.1)) is not None
    assert rule(far).on_rung(at(0.70, cost=0.9)) is None


@pytest.mark.parametrize("number", [0, 9])
def test_nothing_is_stopped_before_ten_trials(number: int) -> None:
    assert rule(TEN[:number]).on_rung(at(0.1)) is None
    assert rule(TEN[:number]).optimistic(at(0.1)) is None


def test_trials_without_a_rung_by_then_teach_no_gain() -> None:
    late = tuple(Completed("l1", one.values, one.final, rungs=((0.5, 0.8),)) for one in TEN)
    assert rule(late).optimistic(at(0.6, share=0.25)) is None
    assert rule(late).optimistic(at(0.6, share=0.5)) is not None


def test_gains_count_from_the_last_rung_by_then() -> None:
    one = Completed("l1", TEN[0].values, 0.9, rungs=((0.0, 0.5), (0.25, 0.7), (0.5, 0.8)))
    assert [one.before(share) for share in (0.0, 0.3, 0.5, 0.9)] == [0.5, 0.7, 0.8, 0.8]
    assert Completed("l1", {}, 0.9).before(1.0) is None


def test_gains_are_those_of_similar_cost_and_strategy() -> None:
    """Ten cheap ones gained 20 points, ten dear ones none, ten of another strategy 30."""
    cheap = tuple(complete(0.70, 0.50, cost=0.1) for _ in range(10))
    dear = tuple(complete(0.80, 0.80, cost=0.8) for _ in range(10))
    other = tuple(complete(0.80, 0.50, cost=0.1, strategy="l1") for _ in range(10))
    found = rule((*other, *dear, *cheap))
    assert found.optimistic(at(0.80, cost=0.7)) == pytest.approx(0.80)
    way = 0.20 / 0.34
    assert found.optimistic(at(0.60, cost=0.12)) == pytest.approx(0.60 + max(0.2, way * 0.24))


def test_a_bound_is_never_below_the_metric_now() -> None:
    losing = tuple(complete(0.70, 0.80) for _ in range(10))
    assert rule(losing).optimistic(at(0.75)) == pytest.approx(0.75)


@pytest.mark.parametrize("metric", [math.nan, math.inf, -math.inf])
def test_a_metric_that_is_no_number_decides_nothing(metric: float) -> None:
    assert rule(TEN).on_rung(at(metric)) is None


def test_costs_that_are_no_number_are_not_dominated() -> None:
    costs = {"latency_ms": math.nan, "energy_j": 0.05}
    assert rule(TEN).on_rung(Progress("balanced", 0.0, 0.5, 0.0, costs)) is None


def test_infeasible_trials_dominate_nobody() -> None:
    """They teach what can be gained all the same; at half the cost the dense model is no match."""
    broken = tuple(complete(one.final, 0.80, feasible=False) for one in TEN)
    assert rule(broken).optimistic(at(0.60)) == rule(TEN).optimistic(at(0.60))
    assert rule(broken).on_rung(at(0.60)) is None


def test_without_a_dense_model_completed_trials_dominate() -> None:
    assert rule(TEN, dense={}).on_rung(at(0.60)) is not None


def test_a_metric_constraint_out_of_reach_stops() -> None:
    """At 60 % and a fifth of the cost nothing dominates; 86.1 % at best is short of 88 %."""
    stop = rule(TEN, {"accuracy": ">= 0.88"}).on_rung(at(0.60, cost=0.2))
    assert stop is not None
    assert stop.reason == "accuracy >= 0.88 is out of reach before training"
    assert rule(TEN, {"accuracy": ">= 0.87"}).on_rung(at(0.60, cost=0.2)) is None


def test_a_predicted_cost_needs_a_margin() -> None:
    """Untested tables are given a quarter: 6.6 ms count as 4.95."""
    found = rule(constraints={"latency_ms": "<= 5"})
    assert found.on_prediction({"latency_ms": 6.6}) is None
    stop = found.on_prediction({"latency_ms": 6.7})
    assert stop is not None
    assert stop.reason == "latency_ms, as predicted, is not <= 5"
    assert stop.optimistic == DENSE["accuracy"]


def test_the_margin_is_learnt_from_what_predictions_turned_out_to_be() -> None:
    """Ratios of 1.0 … 1.4 have the 0.1-quantile 1.04."""
    tested = tuple(complete(0.8, 0.8, ratios={"latency_ms": 1 + place / 10}) for place in range(5))
    found = rule(tested, {"latency_ms": "<= 5"})
    assert found.on_prediction({"latency_ms": 4.80}) is None
    assert found.on_prediction({"latency_ms": 4.82}) is not None


def test_a_measured_cost_is_given_its_interval() -> None:
    found = rule(constraints={"latency_ms": "<= 5", "throughput": ">= 100"})
    assert found.on_costs({"latency_ms": 5.1}, {"latency_ms": (4.9, 5.3)}) is None
    assert found.on_costs({"throughput": 98.0}, {"throughput": (96.0, 101.0)}) is None
    stop = found.on_costs({"latency_ms": 5.1}, {"latency_ms": (5.01, 5.2)})
    assert stop is not None
    assert stop.reason == "latency_ms, as measured, is not <= 5"


def test_sizes_are_known_at_once() -> None:
    stop = rule(constraints={"parameters": "<= 1000"}).on_costs({"parameters": 1001}, {})
    assert stop is not None
    assert stop.reason == "parameters, as known, is not <= 1000"


@pytest.mark.parametrize("values", [{}, {"latency_ms": math.nan}, {"latency_ms": 4.9}])
def test_what_is_not_known_breaks_no_constraint(values: dict[str, float]) -> None:
    found = rule(constraints={"latency_ms": "<= 5", "accuracy": ">= 0.9"})
    assert found.on_costs(values, {}) is None
    assert found.on_prediction(values) is None


def test_rungs_are_taken_where_they_are_worth_their_cost() -> None:
    """Scoring 960 examples costs ten steps of 32: too much of 75 steps ahead, not of 100."""
    table = EarlyStoppingTable()
    assert rung_steps(table, 0, 100, 960, 32) == ()
    assert rung_steps(table, 0, 140, 960, 32) == (35,)
    assert rung_steps(table, 0, 200, 960, 32) == (50, 100)
    assert rung_steps(table, 60, 200, 960, 32) == (100,)
    assert rung_steps(table, 0, 0, 960, 32) == ()
    assert rung_steps(EarlyStoppingTable(rung_cost=100.0), 0, 40, 960, 32) == (10, 20)
