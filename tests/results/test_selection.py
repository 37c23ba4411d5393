from __future__ import annotations

import json

import pytest

from pareto_prune.cli._numbers import parsed
from pareto_prune.core.errors import UserError
from pareto_prune.results.front import front_of
from pareto_prune.results.records import Front
from pareto_prune.results.selection import explain, select
from pareto_prune.results.selection.records import Selection
from tests import synthetic
from tests.results.test_front import values
from tests.synthetic import study_of, trial


@pytest.fixture
def front() -> Front:
    """Four points on a line, the dearest best; the second and third tie within noise."""
    return front_of(
        study_of(
            trial(0, values(0.842, 1.0, 1.0), starter="dense"),
            trial(1, values(0.835, 0.5, 0.5), intervals=around(0.835)),
            trial(2, values(0.830, 0.4, 0.4), intervals=around(0.830)),
            trial(3, values(0.780, 0.2, 0.2), intervals=around(0.780), starter="half_depth"),
            trial(4, values(0.700, 0.5, 0.5), starter="uniform"),
        ),
        all_trials=True,
    )


def around(accuracy: float) -> dict[str, tuple[float, float]]:
    return {"accuracy": (accuracy - 0.011, accuracy + 0.011)}


def test_a_ceiling_takes_the_best_that_fits(front):
    chosen = select(front, maximum={"latency_ms": 7.5})
    assert chosen.trial == 1
    assert chosen.how == "budget"
    assert chosen.sentences[0] == (
        "Trial 1: 3 of 4 points of the front have latency_ms <= 7.5; "
        "it has the best accuracy of them."
    )


def test_a_floor_takes_the_cheapest_that_fits(front):
    assert select(front, minimum={"accuracy": 0.82}).trial == 2
    assert select(front, minimum={"accuracy": 0.82}, maximum={"energy_j": 0.05}).trial == 2


def test_sizes_can_be_bounded_without_being_objectives(front):
    with pytest.raises(UserError, match="parameters = 20000000"):
        select(front, maximum={"parameters": 1_000_000})


def test_when_nothing_fits_the_nearest_point_is_named(front):
    with pytest.raises(UserError) as caught:
        select(front, maximum={"latency_ms": 2}, minimum={"accuracy": 0.8})
    assert str(caught.value) == (
        "select: no point of the front has latency_ms <= 2 and accuracy >= 0.8, "
        "the nearest is trial 3 with latency_ms = 3.00, accuracy = 0.780"
    )


def test_weights_take_the_least_sum_relative_to_the_dense_model(front):
    chosen = select(front, weights={"accuracy": 6, "latency_ms": 3, "energy_j": 1})
    by_hand = {
        number: 0.6 * (0.842 - accuracy) / (0.842 - 0.502) + 0.4 * cost
        for number, accuracy, cost in (
            (0, 0.842, 1),
            (1, 0.835, 0.5),
            (2, 0.83, 0.4),
            (3, 0.78, 0.2),
        )
    }
    assert chosen.trial == min(by_hand, key=by_hand.__getitem__)
    assert chosen.score == pytest.approx(by_hand[chosen.trial])


def test_all_weight_on_one_objective_takes_its_best(front):
    assert select(front, weights={"accuracy": 1}).trial == 0
    assert select(front, weights={"energy_j": 1, "accuracy": 0}).trial == 3


def test_without_a_wish_the_recommended_point_is_taken(front):
    chosen = select(front)
    assert (chosen.trial, chosen.how) == (front.recommended.trial, "recommended")
    assert front.recommended.reason in chosen.sentences[0]
    doubted = front.model_copy(update={"recommended": None, "doubts": ("too few texts",)})
    with pytest.raises(UserError, match=r"nothing to choose by.*recommended: too few texts"):
        select(doubted)


def test_knee_and_starter(front):
    assert select(front, knee=True).trial == front.knee
    assert select(front, starter="half_depth").trial == 3


def test_a_starter_off_the_front_comes_with_a_warning(front):
    chosen = select(front, starter="uniform")
    assert chosen.trial == 4
    assert chosen.warnings[0].startswith("Trial 4 is not on the front")


def test_trades_say_what_one_more_millisecond_buys(front):
    chosen = select(front, maximum={"latency_ms": 6.5})
    dearer = next(t for t in chosen.trades if t.cost == "latency_ms" and t.side == "dearer")
    assert (dearer.trial, dearer.difference) == (1, pytest.approx(1.5))
    assert dearer.rate == pytest.approx(0.005 / 1.5)
    assert (
        "1.50 ms more latency (trial 1) buys 0.5 points of accuracy: "
        "0.33 points per ms, within noise." in chosen.sentences
    )
    assert (
        "16.0 mJ less energy (trial 3) costs 5.0 points of accuracy: 0.31 points per mJ."
        in chosen.sentences
    )


def test_the_ends_of_the_front_have_one_side_only(front):
    sides = {trade.side for trade in select(front, weights={"latency_ms": 1}).trades}
    assert sides == {"dearer"}


def test_ties_are_points_whose_intervals_overlap(front):
    chosen = explain(front, 1)
    assert chosen.tied_metric == (0, 2)
    assert chosen.tied == ()
    assert any(
        "within noise of that of trial 2, which costs 1.2× less" in s for s in chosen.sentences
    )
    assert explain(front, 3).tied_metric == ()


def test_ties_in_every_objective():
    wide = {"accuracy": (0.7, 0.9), "latency_ms": (1.0, 15.0), "energy_j": (0.01, 0.08)}
    study = study_of(
        trial(0, values(0.83, 0.5, 0.5), intervals=wide),
        trial(1, values(0.82, 0.4, 0.4), intervals=wide),
    )
    chosen = select(front_of(study), weights={"accuracy": 1})
    assert chosen.tied == (1,)
    assert any(
        s.startswith("Within noise of it in every objective: trial 1") for s in chosen.sentences
    )


def test_the_validation_metric_and_estimates_are_warned_of(front):
    warnings = " ".join(select(front, knee=True).warnings)
    assert "on 853 validation examples" in warnings
    assert "Energy is an estimate from cpu_time" in warnings


def test_selection_survives_json(front):
    chosen = select(front, knee=True)
    assert Selection.from_json(json.loads(json.dumps(chosen.to_json()))) == chosen


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"knee": True, "starter": "dense"}, "--knee and --starter exclude each other"),
        ({"maximum": {"speed": 1}}, "'speed' is not an objective of this study, allowed: accuracy"),
        ({"minimum": {"accuracy": 82}}, "accuracy = 82 is above 1, allowed: a fraction"),
        ({"weights": {"accuracy": -1}}, "must be 0 or more"),
        ({"weights": {"accuracy": 0}}, "not all 0"),
        ({"weights": {"size": 1}}, "'size' is not an objective"),
        ({"starter": "nobody"}, "no finished trial comes from starter 'nobody', allowed: dense"),
    ],
)
def test_what_cannot_be_asked_for(front, asked, message):
    with pytest.raises(UserError, match=message):
        select(front, **asked)


def test_an_empty_front_says_why():
    with pytest.raises(UserError, match=r"no point on its front yet \(0 trials finished\)"):
        select(front_of(study_of()), knee=True)
    infeasible = study_of(trial(0, values(0.5, 0.1, 0.1), violations={"accuracy": 0.2}))
    with pytest.raises(UserError, match=r"no feasible trial \(constraints: accuracy >= 0.6\)"):
        select(front_of(infeasible), maximum={"latency_ms": 5})


def test_a_front_of_useless_points_has_no_knee():
    useless = front_of(study_of(trial(0, values(0.55, 0.1, 0.1))))
    with pytest.raises(UserError, match=r"no point above 77.4 % accuracy, where a front ends"):
        select(useless, knee=True)


def test_a_model_at_chance_is_never_offered():
    made = study_of(trial(0, values(0.83, 0.5, 0.5)), trial(1, values(0.501, 0.05, 0.05)))
    with pytest.raises(UserError, match="the nearest is trial 0"):
        select(front_of(made), maximum={"latency_ms": 2})


def test_explaining_a_trial_without_result():
    study = synthetic.study()
    front = front_of(study, all_trials=True)
    with pytest.raises(UserError, match="41 has no result"):
        explain(front, 41)
    with pytest.raises(UserError, match="999 has no result"):
        explain(front, 999)


def test_bounds_are_read_from_the_command_line():
    assert parsed("--max", ["latency_ms=5", "energy_j=.1"]) == {"latency_ms": 5, "energy_j": 0.1}
    assert parsed("--weights", ["accuracy=.6, energy_j=.4"]) == {"accuracy": 0.6, "energy_j": 0.4}


def test_every_wrong_bound_is_named_at_once():
    with pytest.raises(UserError) as caught:
        parsed("--max", ["latency_ms", "energy_j=x", "a=nan", "b=1"])
    assert str(caught.value).splitlines() == [
        "--max: 'latency_ms' is wrong, allowed: NAME=NUMBER",
        "--max: 'energy_j=x' is wrong, allowed: NAME=NUMBER",
        "--max: 'a=nan' is wrong, allowed: NAME=NUMBER",
    ]
