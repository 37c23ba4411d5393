"""The traps of a stock NSGA-II in a study of many workers: it falls into each, ours into none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import optuna
import pytest
from optuna.samplers import NSGAIISampler
from optuna.trial import create_trial

from pareto_prune.core.records import TrialState
from pareto_prune.search.past import Past
from pareto_prune.search.samplers import Request, samplers
from pareto_prune.search.samplers._ranking import Ranking
from tests.samplers.histories import SPACE, complete, drawn, history_of, random_history, searched
from tests.storage.scripted import values_of

DISTRIBUTIONS = SPACE.distributions()
GENERATION, PARENTS = "NSGAIISampler:generation", "NSGAIISampler:parent:"
BEST = {"accuracy": 0.99, "latency_ms": 0.1, "energy_j": 0.001}
NSGA2 = samplers.create("nsga2")


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    level = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    yield
    optuna.logging.set_verbosity(level)


def stock(population: int = 6, seed: int = 0) -> optuna.Study:
    return optuna.create_study(
        directions=["maximize", "minimize", "minimize"],
        sampler=NSGAIISampler(population_size=population, seed=seed),
    )


def run_stock(study: optuna.Study, trials: int) -> None:
    for _ in range(trials):
        trial = study.ask(DISTRIBUTIONS)
        study.tell(trial, list(values_of(SPACE.to_candidate(trial.params)).values()))


def ever_parents(study: optuna.Study) -> set[int]:
    """Return the ids of all trials that a generation was ever bred from."""
    sets = [
        value
        for key, value in study._storage.get_study_system_attrs(study._study_id).items()
        if key.startswith(PARENTS)
    ]
    assert len(sets) >= 3
    return set().union(*sets)


def is_parent(history: Any, number: int) -> bool:
    elite = Ranking(history, 12).elite()
    return number in history.numbers[elite.rows].tolist()


def late(history: Any, **changes: Any) -> None:
    """Let trial 3 of a history end last, dominating everything."""
    history.update([complete(3, drawn(SPACE, 3), **({"values": BEST} | changes))])


def random_but_third(state: TrialState = TrialState.RUNNING) -> Any:
    pasts = [complete(n, drawn(SPACE, n)) for n in range(60) if n != 3]
    return history_of([Past(3, state, drawn(SPACE, 3)), *pasts])


def test_a_straggler_is_a_parent() -> None:
    study = stock()
    straggler = study.ask(DISTRIBUTIONS)
    run_stock(study, 30)
    study.tell(straggler, list(BEST.values()))
    run_stock(study, 40)
    assert straggler._trial_id not in ever_parents(study)

    history = random_but_third()
    assert not is_parent(history, 3)
    late(history)
    assert is_parent(history, 3)


def test_a_retried_trial_is_a_parent() -> None:
    study = stock()
    killed = study.ask(DISTRIBUTIONS)
    run_stock(study, 30)
    frozen = study.trials[killed.number]
    study.tell(killed, state=optuna.trial.TrialState.FAIL)
    fixed = {"fixed_params": frozen.params}
    study.add_trial(
        create_trial(
            state=optuna.trial.TrialState.WAITING, system_attrs=frozen.system_attrs | fixed
        )
    )
    retried = study.ask(DISTRIBUTIONS)
    assert retried.params == killed.params
    study.tell(retried, list(BEST.values()))
    run_stock(study, 40)
    assert retried._trial_id not in ever_parents(study)

    history = random_but_third(TrialState.WAITING)
    history.update([Past(3, TrialState.RUNNING, drawn(SPACE, 3))])
    late(history)
    assert is_parent(history, 3)


def test_a_trial_put_in_by_hand_is_a_parent() -> None:
    study = stock()
    params = drawn(SPACE, 0)
    added = create_trial(params=params, distributions=DISTRIBUTIONS, values=list(BEST.values()))
    study.add_trial(added)
    study.enqueue_trial(drawn(SPACE, 1))
    enqueued = study.ask(DISTRIBUTIONS)
    study.tell(enqueued, [value * 0.999 for value in BEST.values()])
    run_stock(study, 40)
    assert not {0, enqueued._trial_id} & ever_parents(study)

    history = random_history(60)
    history.update([complete(60, params, values=BEST)])
    assert is_parent(history, 60)


def test_a_gene_that_one_trial_lacks_is_still_evolved() -> None:
    study = stock()
    gene = "sublayer_03"
    without = {name: d for name, d in DISTRIBUTIONS.items() if name != gene}
    first = study.ask(without)
    study.tell(first, [0.5, 50.0, 50.0])
    run_stock(study, 30)
    frozen = study._storage.get_trial(study.ask(DISTRIBUTIONS)._trial_id)
    assert gene not in study.sampler.infer_relative_search_space(study, frozen)

    poor = {name: value for name, value in drawn(SPACE, 0).items() if name != gene}
    alike = [complete(n, drawn(SPACE, n) | {gene: 0.5}) for n in range(1, 60)]
    history = history_of([Past(0, TrialState.COMPLETE, poor, {"accuracy": 0.1}), *alike])
    still = samplers.create("nsga2", {"shift": 0.0}, "sampler")
    children = [still.ask(history, Request(n, 150)).params[gene] for n in range(60, 120)]
    assert np.mean([abs(float(child) - 0.5) < 0.25 for child in children]) > 0.9  # drawn: 0.53


def test_a_trial_stopped_early_teaches() -> None:
    study = stock()
    stopped = study.ask(DISTRIBUTIONS)
    study.tell(stopped, state=optuna.trial.TrialState.PRUNED)
    run_stock(study, 40)
    assert stopped._trial_id not in ever_parents(study)

    history = random_but_third()
    late(history, state=TrialState.STOPPED)
    assert is_parent(history, 3)


def test_a_failed_trial_is_not_tried_again() -> None:
    """Ours knows that it was tried, and never breeds from it; the stock sampler never looks."""
    history = random_but_third()
    late(history, state=TrialState.FAILED)
    assert not is_parent(history, 3)
    assert history.taken(drawn(SPACE, 3))


def test_duplicates_are_rejected() -> None:
    study = stock(12)
    run_stock(study, 300)
    stocks = [tuple(sorted(trial.params.items())) for trial in study.trials]
    assert len(set(stocks)) < 300

    ours = [SPACE.signature(past.params or {}) for past in searched(NSGA2, 300)]
    assert len(set(ours)) == 300


def test_many_workers_do_not_hold_the_search_back() -> None:
    """With eight trials in flight a stock generation has more than its population."""
    study = stock(4)
    flying = [study.ask(DISTRIBUTIONS) for _ in range(8)]
    for _ in range(60):
        done = flying.pop(0)
        study.tell(done, list(values_of(SPACE.to_candidate(done.params)).values()))
        flying.append(study.ask(DISTRIBUTIONS))
    generations = [trial.system_attrs[GENERATION] for trial in study.trials]
    sizes = np.bincount(generations)
    assert sizes[:3].mean() > 4 + 3

    history = random_history(60)
    before = set(Ranking(history, 12).elite().rows.tolist())
    history.update([complete(60, drawn(SPACE, 60), values=BEST)])
    assert 60 in Ranking(history, 12).elite().rows.tolist()
    assert 60 not in before


def test_workers_of_one_seed_propose_different_candidates() -> None:
    twins = [stock(seed=7).ask(DISTRIBUTIONS).params for _ in range(2)]
    assert twins[0] == twins[1]

    history = random_history(60)
    proposals = [NSGA2.ask(history, Request(number, 150, 7)).params for number in (60, 61)]
    assert proposals[0] != proposals[1]
