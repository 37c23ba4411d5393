"""The history: what it takes in, what counts as tried."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.core.objectives import OBJECTIVES as OBJECTIVES_BY_NAME
from pareto_prune.core.records import TrialState
from pareto_prune.results.yardstick import Yardstick
from pareto_prune.search.past import Past
from pareto_prune.search.samplers._history import History
from tests.samplers.histories import OBJECTIVES, SPACE, complete, drawn, history_of


@given(st.integers(0, 10_000))
def test_rows_and_parameters_are_one_another(seed: int) -> None:
    history = History(SPACE, OBJECTIVES)
    params = drawn(SPACE, seed)
    again = history.decode(history.encode(params))
    assert again.keys() == params.keys()
    for gene in SPACE.genes:
        if gene.choices:
            assert again[gene.name] == params[gene.name]
        else:
            assert again[gene.name] == pytest.approx(params[gene.name])


def test_values_are_minimised_and_in_the_studys_order() -> None:
    history = history_of(
        [complete(0, drawn(SPACE, 0), values={"energy_j": 3.0, "accuracy": 0.9, "latency_ms": 2.0})]
    )
    assert history.values.tolist() == [[-0.9, 2.0, 3.0]]


def test_a_trial_is_followed_from_nothing_to_its_end() -> None:
    params = drawn(SPACE, 0)
    history = history_of([Past(0, TrialState.RUNNING)])
    assert history.unfinished == {0}
    assert not history.taken(params)
    history.update([Past(0, TrialState.RUNNING, params)])
    assert history.taken(params)
    assert history.scored == []
    history.update([complete(0, params)])
    assert history.unfinished == set()
    assert history.scored == [0]
    assert len(history) == 1


def test_a_trial_that_got_another_candidate_gives_the_old_one_back() -> None:
    old, new = drawn(SPACE, 0), drawn(SPACE, 1)
    history = history_of([Past(0, TrialState.WAITING, old)])
    history.update([Past(0, TrialState.RUNNING, new)])
    assert not history.taken(old)
    assert history.taken(new)


def test_a_finished_trial_never_changes() -> None:
    history = history_of([complete(0, drawn(SPACE, 0))])
    history.update([complete(0, drawn(SPACE, 1))])
    assert history.taken(drawn(SPACE, 0))
    assert not history.taken(drawn(SPACE, 1))
    assert history.scored == [0]


def test_numbers_may_come_in_any_order() -> None:
    history = history_of(complete(number, drawn(SPACE, number)) for number in (4, 0, 2))
    assert history.last == 4
    assert history.numbers.tolist() == [4, 0, 2]


def test_arrays_grow() -> None:
    history = history_of(complete(number, drawn(SPACE, number)) for number in range(200))
    assert history.genes.shape == (200, len(SPACE.genes))
    assert np.isfinite(history.values).all()
    assert history.decode(history.genes[150]).keys() == drawn(SPACE, 150).keys()


@pytest.mark.parametrize(
    ("change", "scored"),
    [
        ({}, True),
        ({"state": TrialState.STOPPED}, True),
        ({"state": TrialState.FAILED}, False),
        ({"values": None}, False),
        ({"values": {"accuracy": math.nan, "latency_ms": 1.0, "energy_j": 1.0}}, False),
        ({"values": {"accuracy": 0.5, "latency_ms": math.inf, "energy_j": 1.0}}, False),
        ({"values": {"accuracy": 0.5}}, False),
    ],
)
def test_who_teaches(change: dict[str, object], scored: bool) -> None:
    history = history_of([complete(0, drawn(SPACE, 0), **change)])
    assert history.scored == ([0] if scored else [])
    assert history.taken(drawn(SPACE, 0))


@pytest.mark.parametrize(("given_", "kept"), [(-1.0, 0.0), (0.5, 0.5), (math.nan, math.inf)])
def test_violations_count_from_0(given_: float, kept: float) -> None:
    assert history_of([complete(0, drawn(SPACE, 0), violation=given_)]).violations[0] == kept


def test_what_a_strategy_does_not_read_makes_no_other_candidate() -> None:
    params = drawn(SPACE, 0) | {"strategy": "l1"}
    history = history_of([complete(0, params)])
    assert history.taken(params | {"importance": "l2"})
    assert not history.taken(params | {"strategy": "l2"})


def test_what_a_model_came_out_as_is_known_by_gene() -> None:
    """Half the heads and a quarter of the neurons everywhere, at a third of both dense costs."""
    kept = tuple(units // (2 if index % 2 == 0 else 4) for index, units in enumerate(SPACE.units))
    values = {"accuracy": 0.8, "latency_ms": 4.0, "energy_j": 0.1}
    dense = {"accuracy": 0.9, "latency_ms": 16.0, "energy_j": 0.24}
    measure = Yardstick(tuple(OBJECTIVES_BY_NAME[name] for name in OBJECTIVES), dense, 0.5)
    history = History(SPACE, OBJECTIVES, measure=measure)
    history.update([Past(0, TrialState.COMPLETE, drawn(SPACE, 0), values, kept=kept)])
    found = {gene.name: value for gene, value in zip(SPACE.genes, history.realised[0], strict=True)}
    share = {gene.name: gene.share for gene in SPACE.genes}
    assert found["cost_target"] == pytest.approx(share["cost_target"]((0.25 + 0.1 / 0.24) / 2))
    assert found["sublayer_00"] == pytest.approx(share["sublayer_00"](0.5))
    assert found["sublayer_05"] == pytest.approx(share["sublayer_05"](0.75))
    assert np.isnan(found["strategy"])
    assert np.isnan(history_of([Past(0, TrialState.RUNNING)]).realised).all()
