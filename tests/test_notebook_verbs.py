"""The verbs for notebooks: their documentation runs, and fronts draw."""

from __future__ import annotations

import doctest
import os
import subprocess
import sys

import pytest

import pareto_prune
from pareto_prune import api
from pareto_prune.core.errors import TrialError, UserError
from pareto_prune.running.study_file import read_study
from pareto_prune.trials import bench
from tests.small_study import ScriptedMeasurer, make_study


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder in which the small study has run."""
    root = tmp_path_factory.mktemp("verbs")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARETO_PRUNE_CACHE", str(root / "cache"))
        patch.delenv("PARETO_PRUNE_STORAGE", raising=False)
        patch.setattr(bench, "_measurer", lambda _c, dense, *_: ScriptedMeasurer(dense.model))
        patch.chdir(root)
        make_study(root)
        pareto_prune.run("small.toml")
        yield root


@pytest.mark.slow
def test_the_documentation_runs(folder):
    ran = doctest.testmod(pareto_prune, optionflags=doctest.ELLIPSIS)
    assert ran.attempted > 20
    assert ran.failed == 0


def test_front_stays_a_verb_whatever_is_imported(folder):
    import pareto_prune.results.front
    from pareto_prune import front

    assert pareto_prune.front is front
    assert callable(pareto_prune.front)
    assert front("small").attrs["study"] == "small"


def test_a_frame_holds_what_the_front_holds(folder):
    found, table = api.front("small"), pareto_prune.front("small")
    assert table.index.tolist() == [point.number for point in found.members]
    for point in found.members:
        row = table.loc[point.number]
        assert row.latency_ms == point.values["latency_ms"]
        assert (row.latency_ms_low, row.latency_ms_high) == point.intervals["latency_ms"]
        assert row.latency_ms_relative == point.relative["latency_ms"]
        assert (row.strategy, row.parameters) == (point.strategy, point.parameters)
    assert table.attrs["hypervolume"] == found.hypervolume
    assert found.recommended is None  # too few validation texts for a star
    assert table.attrs["recommended"] is None


def test_figures_take_names_fronts_and_frames(folder):
    outcome = pareto_prune.run("small.toml")
    traces = [
        pareto_prune.plot(given).data[0].to_plotly_json()
        for given in ("small", outcome.front, pareto_prune.front("small"))
    ]
    assert len({str(trace) for trace in traces}) == 1
    figure = pareto_prune.plot("small")
    assert list(figure.data[0].x) == sorted(pareto_prune.front("small").latency_ms)
    assert all(gap > 0 for gap in figure.data[0].error_x.array)
    with pytest.raises(UserError, match="'watts' is not a cost of this study, allowed: latency_ms"):
        pareto_prune.plot("small", cost="watts")
    with pytest.raises(UserError, match="no front to draw"):
        pareto_prune.plot([])


def test_optuna_users_get_candidates_of_the_study(folder):
    import optuna

    config = read_study(folder / "small.toml")
    constrained = config.model_copy(update={"constraints": {"latency_ms": "<= 0.001"}})
    pruned = pareto_prune.objective(constrained)
    study = optuna.create_study(directions=pruned.directions)
    study.optimize(pruned, n_trials=1, catch=TrialError)
    [trial] = study.trials
    assert trial.user_attrs["strategy"] in config.search.strategies
    assert trial.user_attrs["violations"]["latency_ms"] > 0
    assert trial.values[1] < pruned.reference.measurement.readings["latency_ms"].value


def test_studies_with_other_objectives_are_not_laid_over_each_other(folder):
    table = pareto_prune.front("small")
    other = pareto_prune.front("small")
    other.attrs["objectives"] = other.attrs["objectives"][:2]
    with pytest.raises(UserError, match="other objectives"):
        pareto_prune.plot([table, other])


def test_importing_the_package_loads_nothing_heavy():
    code = (
        "import sys, pareto_prune; heavy = {'torch', 'pandas', 'plotly', 'optuna', 'pydantic'}; "
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ})
