"""Placement: the widest gap of the curve is where the next candidate aims."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from pareto_prune.core.objectives import OBJECTIVES as BY_NAME
from pareto_prune.core.records import TrialState
from pareto_prune.results.yardstick import Yardstick
from pareto_prune.search.past import Past
from pareto_prune.search.samplers import Request, samplers
from pareto_prune.search.samplers._history import History
from tests.samplers.histories import OBJECTIVES, SPACE, drawn

DENSE = {"accuracy": 0.9, "latency_ms": 16.0, "energy_j": 0.16}
MEASURE = Yardstick(tuple(BY_NAME[name] for name in OBJECTIVES), DENSE, 0.5)


def aimed(number: int, target: float, cost: float | None = None, **changes: object) -> Past:
    """Return a trial of `balanced` that came out at a share of both dense costs."""
    share = target if cost is None else cost
    values = {
        "accuracy": 0.9 - 0.08 * np.log(1 / share) / np.log(16),
        "latency_ms": 16.0 * share,
        "energy_j": 0.16 * share,
    }
    params = drawn(SPACE, number) | {"strategy": "balanced", "cost_target": target}
    return Past(
        number, **({"state": TrialState.COMPLETE, "params": params, "values": values} | changes)
    )


def next_target(*pasts: Past, measure: Yardstick | None = MEASURE) -> tuple[str, float]:
    history = History(SPACE, OBJECTIVES, measure=measure)
    history.update(pasts)
    params = samplers.create("nsga2").ask(history, Request(len(pasts), 40, 0)).params
    return str(params["strategy"]), float(params["cost_target"])


def test_the_widest_gap_is_filled() -> None:
    """Between 0.4 and 0.1 lies a factor of four, elsewhere one of two at most."""
    costs = (0.7, 0.4, 0.1, 0.08)
    strategy, target = next_target(*(aimed(n, cost) for n, cost in enumerate(costs)))
    assert strategy == "balanced"
    assert 0.15 < target < 0.3


def test_what_is_under_way_counts_as_there() -> None:
    tried = [aimed(n, cost) for n, cost in enumerate((0.7, 0.4, 0.1, 0.08))]
    first = next_target(*tried)[1]
    running = aimed(4, first, state=TrialState.RUNNING, values=None)
    second = next_target(*tried, running)[1]
    assert abs(np.log(second / first)) > np.log(1.2)


def test_a_target_that_is_not_met_is_corrected() -> None:
    """All come out at half of what was asked for: to get to 0.2, 0.4 has to be asked for."""
    asked = (0.7, 0.68, 0.16)
    strategy, target = next_target(*(aimed(n, t, t / 2) for n, t in enumerate(asked)))
    assert strategy == "balanced"
    assert 0.25 < target < 0.5


def test_the_far_end_is_reached_for() -> None:
    _, target = next_target(aimed(0, 0.7), aimed(1, 0.5))
    assert target < 0.3


def test_other_genes_are_those_of_the_nearest_trial() -> None:
    history = History(SPACE, OBJECTIVES, measure=MEASURE)
    pasts = [aimed(n, cost) for n, cost in enumerate((0.7, 0.3, 0.09))]
    history.update(pasts)
    found = samplers.create("nsga2").ask(history, Request(3, 40, 0)).params
    others = [{k: v for k, v in past.params.items() if k != "cost_target"} for past in pasts]
    own = {k: v for k, v in found.items() if k != "cost_target"}
    assert any(own == pytest.approx(other) for other in others)


@pytest.mark.parametrize(
    "changes",
    [{"violation": 1.0}, {"state": TrialState.FAILED, "values": None}],
)
def test_nothing_is_put_nearest_to_what_failed_or_breaks_a_constraint(
    changes: dict[str, object],
) -> None:
    """The gap is where a trial did not count, but its middle is known to be of no use."""
    plain = [aimed(0, 0.7), aimed(1, 0.5), aimed(3, 0.08)]
    other = aimed(2, 0.2, **changes)
    target = next_target(*plain[:2], other, plain[2])[1]
    assert 0.08 < target < 0.127 or 0.316 < target < 0.5


def gone_on(trials: int, reached: Callable[[float], float], least: float = 0.0) -> list[Past]:
    """Return the trials of a study whose targets come out at ``reached``, ``least`` wanted."""
    history, found = History(SPACE, OBJECTIVES, measure=MEASURE), []
    for number in range(trials):
        request = Request(number, trials, 0)
        asked = (
            {"cost_target": (0.7, 0.5)[number]}
            if number < 2
            else (samplers.create("nsga2").ask(history, request).params)
        )
        trial = aimed(number, asked["cost_target"], reached(asked["cost_target"]))
        lacking = max(0.0, least - trial.values["accuracy"])
        found.append(replace(trial, violation=lacking))
        history.update(found[-1:])
    return found


def test_a_constraint_ends_it_where_it_begins() -> None:
    """All of twenty would lie in the one gap that no candidate can fill."""
    found = gone_on(20, lambda target: target, least=0.85)
    assert sum(trial.violation > 0 for trial in found) < 8
    assert min(t.values["latency_ms"] for t in found if t.violation == 0) < 16 * 0.2


def test_what_comes_out_in_steps_is_not_asked_for_over_and_over() -> None:
    """No target comes out between 0.25 and 0.4, however often the middle is aimed at."""
    steps = (0.25, 0.4, 0.65)
    found = gone_on(20, lambda target: min(steps, key=lambda step: abs(step - target)))
    targets = sorted(float(trial.params["cost_target"]) for trial in found)
    assert sum(np.diff(np.log(targets)) < 0.005) < 5


def test_without_a_dense_model_evolution_goes_on() -> None:
    tried = [aimed(n, cost) for n, cost in enumerate((0.7, 0.4, 0.1, 0.08))]
    unknown = Yardstick(MEASURE.objectives, {}, 0.5)
    assert next_target(*tried, measure=unknown) == next_target(*tried, measure=None)


def test_a_known_curve_is_left_to_evolution() -> None:
    """After sixty places along it none is worth one more."""
    tried = [aimed(n, float(cost)) for n, cost in enumerate(np.geomspace(0.7, 0.08, 60))]
    assert next_target(*tried) == next_target(*tried, measure=None)
