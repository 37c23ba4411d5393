"""The disk is full when a model is to be kept: that costs the model, not the trial."""

from __future__ import annotations

import contextlib

import pytest

from pareto_prune import api
from pareto_prune.core.errors import UserError
from pareto_prune.core.records import TrialState
from pareto_prune.export.kept_models.store import Artifacts
from pareto_prune.storage import open_storage
from pareto_prune.trials import bench
from tests.full_disk import full_disk
from tests.launch import small
from tests.small_study import make_study
from tests.storage.conftest import postgres  # noqa: F401

_keep = Artifacts.keep


def keep_on_full_disk(self, number, *arguments):
    """Keep a model; there is no room for that of the second trial."""
    with full_disk() if number == 1 else contextlib.nullcontext():
        return _keep(self, number, *arguments)


@pytest.mark.slow
def test_a_full_disk_costs_the_model_and_not_the_trial(tmp_path, monkeypatch, postgres):  # noqa: F811
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bench, "_measurer", small.scripted)
    monkeypatch.setattr(Artifacts, "keep", keep_on_full_disk)
    url = postgres.database("full_disk")
    study = make_study(tmp_path, limits={"trials": 2})
    outcome = api.run(study, url, output=tmp_path / "out")
    assert outcome.stopped_by is None
    stored = open_storage(url).open_study("small")
    trials = stored.read().trials
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 2
    assert trials[0].result.artifact is not None
    assert trials[1].result.artifact is None
    assert not list((tmp_path / "out/small/trials").glob("1*"))
    assert [path for path in (tmp_path / "out").rglob("*") if path.name.startswith(".")] == []
    assert [event.kind for event in stored.events()] == ["not_kept"]
    assert "the model of trial 1 is not kept" in stored.events()[0].text
    with pytest.raises(UserError, match="confirm small 1"):
        api.export("small", 1, tmp_path / "to", storage=url)
