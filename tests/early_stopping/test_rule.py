"""When a trial is stopped: scripted histories, reckoned by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from pareto_prune.core.config import EarlyStoppingTable
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.records import Candidate
from pareto_prune.results.yardstick import Yardstick
from pareto_prune.search.early_stopping import Completed, Progress, StopRule, rung_steps
from pareto_prune.search.early_stopping._completed import made_of

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
    final: float, loss: float, cost: float = 0.5, strategy: str = "balanced", **more: Any
) -> Completed:
    """A trial of this relative cost that had ``loss`` before training and ended at ``final``."""
    values = {"accuracy": final, "latency_ms": 10 * cost, "energy_j": 0.1 * cost}
    return Completed(strategy, values, final, rungs=((0.0, loss),), **more)


def at(metric: float, loss: float = 0.4, cost: float = 0.5, share: float = 0.0) -> Progress:
    costs = {"latency_ms": 10 * cost, "energy_j": 0.1 * cost}
    return Progress("balanced", share, metric, loss, costs)


TEN = tuple(complete(0.80 + place / 100, 0.4) for place in range(10))
"""From a loss of 0.4 they ended at 80 to 89 %, which is above the dense model."""


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


def test_the_estimate_by_hand() -> None:
    """The 0.9-quantile of 80 … 89 % is 88.1 %; what is better already stays as it is."""
    assert rule(TEN).ceiling == pytest.approx(0.89)
    assert rule(TEN).optimistic(at(0.60)) == pytest.approx(0.881)
    assert rule(TEN).optimistic(at(0.885)) == pytest.approx(0.885)
    assert rule(TEN, quantile=0.5).optimistic(at(0.60)) == pytest.approx(0.845)


def test_a_dominated_trial_is_stopped() -> None:
    """It may reach 88.1 %, and the front has 89 % at the same cost."""
    stop = rule(TEN).on_rung(at(0.60))
    assert stop is not None
    assert stop.reason == "dominated before training even at an optimistic estimate"
    assert stop.optimistic == pytest.approx(0.881)
    assert rule(TEN, quantile=1.0).on_rung(at(0.60)) is None


def test_what_no_trial_dominates_as_it_is_goes_on() -> None:
    assert rule(TEN, quantile=0.0).on_rung(at(0.89)) is None
    assert rule(TEN, quantile=0.0).on_rung(at(0.88)) is not None


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


def test_trials_without_a_rung_by_then_are_like_no_other() -> None:
    late = tuple(Completed("l1", one.values, one.final, rungs=((0.5, 0.4),)) for one in TEN)
    assert rule(late).optimistic(at(0.6, share=0.25)) is None
    assert rule(late).optimistic(at(0.6, share=0.5)) is not None


def test_losses_are_those_of_the_last_rung_by_then() -> None:
    one = Completed("l1", TEN[0].values, 0.9, rungs=((0.0, 0.7), (0.25, 0.5), (0.5, 0.4)))
    assert [one.before(share) for share in (0.0, 0.3, 0.5, 0.9)] == [0.7, 0.5, 0.4, 0.4]
    assert Completed("l1", {}, 0.9).before(1.0) is None


def test_similar_are_trials_of_that_cost_loss_and_strategy() -> None:
    """Ten of each: dear or cheap, of a low or a high loss, and cheap ones of another strategy."""
    groups = {
        0.65: [complete(0.65, 0.60, cost=0.1, strategy="l1")] * 10,
        0.85: [complete(0.85, 0.35, cost=0.8)] * 10,
        0.75: [complete(0.75, 0.60, cost=0.8)] * 10,
        0.80: [complete(0.80, 0.35, cost=0.1)] * 10,
        0.70: [complete(0.70, 0.60, cost=0.1)] * 10,
    }
    found = rule(tuple(one for group in groups.values() for one in group))
    for loss, cost, final in (
        (0.36, 0.7, 0.85),
        (0.58, 0.7, 0.75),
        (0.36, 0.12, 0.80),
        (0.58, 0.12, 0.70),
    ):
        assert found.optimistic(at(0.5, loss, cost)) == pytest.approx(final)


def test_what_began_worse_than_any_is_taken_for_the_worst_there_were() -> None:
    """Nothing is read beyond the losses that were seen."""
    history = tuple(complete(0.80 - place / 100, 0.4 + place / 50) for place in range(20))
    worst = [one.final for one in history[10:]]
    assert rule(history).optimistic(at(0.5, loss=5.0)) == pytest.approx(np.quantile(worst, 0.9))


def test_a_loss_of_zero_has_a_place() -> None:
    perfect = tuple(complete(0.84, 0.0) for _ in range(10))
    assert rule(perfect).optimistic(at(0.5, loss=0.0)) == pytest.approx(0.84)


@pytest.mark.parametrize("metric", [math.nan, math.inf, -math.inf])
def test_what_is_no_number_decides_nothing(metric: float) -> None:
    assert rule(TEN).on_rung(at(metric)) is None
    assert rule(TEN).on_rung(at(0.1, loss=metric)) is None


def test_costs_that_are_no_number_are_not_dominated() -> None:
    costs = {"latency_ms": math.nan, "energy_j": 0.05}
    assert rule(TEN).on_rung(Progress("balanced", 0.0, 0.5, 0.4, costs)) is None


def test_infeasible_trials_dominate_nobody() -> None:
    """They teach how trials end all the same; at half the cost the dense model is no match."""
    broken = tuple(complete(one.final, 0.4, feasible=False) for one in TEN)
    assert rule(broken).optimistic(at(0.60)) == rule(TEN).optimistic(at(0.60))
    assert rule(broken).on_rung(at(0.60)) is None


def test_without_a_dense_model_completed_trials_dominate() -> None:
    assert rule(TEN, dense={}).on_rung(at(0.60)) is not None


def test_a_metric_constraint_out_of_reach_stops() -> None:
    """At a fifth of the cost nothing dominates; 88.1 % at best is short of 89 %."""
    stop = rule(TEN, {"accuracy": ">= 0.89"}).on_rung(at(0.60, cost=0.2))
    assert stop is not None
    assert stop.reason == "accuracy >= 0.89 is out of reach before training"
    assert rule(TEN, {"accuracy": ">= 0.88"}).on_rung(at(0.60, cost=0.2)) is None


def test_a_trial_that_began_better_than_all_may_be_the_first_to_keep_a_constraint() -> None:
    """All before were cheap and broke it: nothing is known of what begins with less loss."""
    cheap = tuple(complete(0.75, 0.6, cost=0.1, feasible=False) for _ in range(10))
    found = rule(cheap, {"accuracy": ">= 0.80"})
    assert found.on_rung(at(0.70, loss=0.4, cost=0.8)) is None
    assert found.on_rung(at(0.70, loss=0.6, cost=0.8)) is not None


def test_one_similar_trial_that_kept_a_constraint_puts_it_in_reach() -> None:
    cheap = tuple(complete(0.75, 0.6, cost=0.1, feasible=False) for _ in range(10))
    found = rule((*cheap, complete(0.82, 0.4, cost=0.8)), {"accuracy": ">= 0.80"})
    assert found.on_rung(at(0.70, loss=0.45, cost=0.7)) is None


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
