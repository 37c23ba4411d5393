"""Early stopping in whole studies at a tiny scale, measured by a script."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pareto_prune import api
from pareto_prune.core.errors import TrialError
from pareto_prune.core.records import Quality, Trial, TrialState
from pareto_prune.models.families import architecture
from pareto_prune.pruning.strategies.layer_wise import LayerWise
from pareto_prune.storage import open_storage
from pareto_prune.trials import bench, deployment
from tests.small_study import ScriptedMeasurer, make_study


@pytest.fixture(autouse=True)
def scripted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure by the script instead of the clock."""
    monkeypatch.setattr(bench, "_measurer", lambda _c, dense, *_: ScriptedMeasurer(dense.model))
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))


def run(folder: Path, **tables: dict[str, Any]) -> tuple[Trial, ...]:
    url = f"sqlite:///{folder}/study.db"
    given: dict[str, Any] = {"search": {"strategies": ["layer_wise"]}} | tables
    api.run(make_study(folder, **given), url, output=folder / "out")
    return open_storage(url).open_study("small").read().trials


def test_what_the_tables_rule_out_is_neither_cut_nor_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def never(*_: Any) -> None:
        raise TrialError("cut", "it was cut")

    monkeypatch.setattr(LayerWise, "prune", never)
    early = {"audit": 0.0}
    trials = run(tmp_path, constraints={"latency_ms": "<= 0.001"}, early_stopping=early)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] + [TrialState.STOPPED] * 3
    for trial in trials[1:]:
        assert trial.result is not None
        assert trial.result.stop_reason == "latency_ms, as predicted, is not <= 0.001"
        assert trial.result.values == {}
        assert trial.result.predicted["latency_ms"] > 0.001
        assert trial.result.violations["latency_ms"] > 0
        assert trial.result.architecture is not None
        assert trial.result.steps == 0
        assert trial.result.artifact is None
    status = api.status("small", f"sqlite:///{tmp_path}/study.db")
    assert status.early_stopping is not None
    assert status.early_stopping.stopped == 3


def test_audited_trials_run_on_and_say_why_they_would_not_have(tmp_path: Path) -> None:
    early = {"audit": 1.0}
    trials = run(tmp_path, constraints={"latency_ms": "<= 0.001"}, early_stopping=early)
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    for trial in trials[1:]:
        assert trial.result is not None
        assert trial.result.audited
        assert trial.result.stop_reason is not None
        assert trial.result.steps == 3
    found = api.status("small", f"sqlite:///{tmp_path}/study.db").early_stopping
    assert found is not None
    assert (found.stopped, found.audited, found.wrong) == (0, 3, ())


def test_the_same_plan_is_neither_trained_nor_scored_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Candidates that differ on paper may keep the same units: here every one keeps the same."""
    monkeypatch.setattr(LayerWise, "_sparsities", lambda _, tried: [0.5] * len(tried.sublayers))
    trials = run(tmp_path, early_stopping={"audit": 0.0}, search={"strategies": ["layer_wise"]})
    dense, first, *others = trials
    assert (dense.state, first.state) == (TrialState.COMPLETE, TrialState.COMPLETE)
    assert others
    assert first.result is not None
    for trial in others:
        assert trial.state is TrialState.STOPPED
        assert trial.result is not None
        assert trial.result.stop_reason == "the same plan was tried before"
        assert trial.result.optimistic == first.result.values["accuracy"]
        assert trial.result.values["latency_ms"] == first.result.values["latency_ms"]
        assert trial.result.steps == 0
        assert trial.result.rungs == ()


def cheap_is_better(model: Any, split: Any, task: Any) -> Quality:
    """The metric of a model: 90 % for one that lost over half of its units, else 55 %."""
    shape = architecture(model)
    metric = 0.9 if shape.heads + shape.neurons < 80 else 0.55
    return Quality(metrics={"accuracy": metric}, examples=len(split), loss=0.5)


def test_hopeless_trials_end_at_a_rung_and_keep_no_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is dear and bad is dominated by what is cheap and good, once one of those is there."""
    monkeypatch.setattr(deployment, "logits_of", lambda model, _split: model)
    monkeypatch.setattr(deployment, "with_outcomes", cheap_is_better)
    early = {"after": 1, "quantile": 0.0, "audit": 0.0, "rungs": [0.5], "rung_cost": 100.0}
    trials = run(
        tmp_path,
        early_stopping=early,
        finetune={"steps": 4, "batch": 8},
        limits={"trials": 10},
        search={"strategies": ["layer_wise", "l1"], "importances": ["l2"]},
    )
    stopped = [trial for trial in trials if trial.state is TrialState.STOPPED]
    complete = [trial for trial in trials if trial.state is TrialState.COMPLETE]
    assert len(stopped) >= 2
    assert len(stopped) + len(complete) == 10
    for trial in stopped:
        result = trial.result
        assert result is not None
        assert result.stop_reason is not None
        assert "dominated" in result.stop_reason
        assert result.steps == result.rungs[-1].step < 4
        assert result.values["accuracy"] == result.rungs[-1].quality.metrics["accuracy"]
        assert result.values["accuracy"] <= (result.optimistic or 0.0)
        assert not list((tmp_path / "out/small/trials").glob(f"{trial.number}-*"))
    rungs = [[rung.step for rung in t.result.rungs] for t in complete[1:] if t.result]
    assert rungs == [[0, 2]] * len(rungs)
    page = (tmp_path / "out/small/report.html").read_text(encoding="utf-8")
    assert "dominated before training" in page or "dominated at 50%" in page


def test_a_study_without_early_stopping_stops_nothing(tmp_path: Path) -> None:
    early = {"enabled": False}
    trials = run(tmp_path, constraints={"latency_ms": "<= 0.001"}, early_stopping=early)
    assert {trial.state for trial in trials} == {TrialState.COMPLETE}
    assert all(t.result is not None and t.result.stop_reason is None for t in trials)


@pytest.mark.parametrize(
    ("name", "options"),
    [("layer_wise", {}), ("l1", {}), ("l2", {"by": "sparsity"}), ("balanced", {})],
)
def test_a_shape_foretold_is_the_shape_that_is_cut(name: str, options: dict[str, Any]) -> None:
    import copy

    from pareto_prune.pruning.strategies import strategies
    from tests.pruning.fakes import candidate, fake_context
    from tests.tiny import tiny_model

    dense = tiny_model()
    strategy: Any = strategies.create(name, options)
    tried = candidate(name, dense, sublayers=(0.1, 0.3, 0.95, 0.6, 1.0, 1.0))
    context = fake_context(dense)
    foretold = strategy.shape(tried, context)
    pruned = strategy.prune(copy.deepcopy(dense), tried, context)
    assert foretold == architecture(pruned.model)


def test_a_threshold_foretells_no_shape() -> None:
    from pareto_prune.pruning.strategies import strategies
    from tests.pruning.fakes import candidate, fake_context
    from tests.tiny import tiny_model

    dense = tiny_model()
    strategy: Any = strategies.create("l1", {"by": "threshold"})
    assert strategy.shape(candidate("l1", dense), fake_context(dense)) is None
