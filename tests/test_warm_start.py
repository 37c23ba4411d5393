"""Starting from the front of another study."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pareto_prune import api
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import MismatchError, UserError
from pareto_prune.core.records import Candidate, Study, Trial
from pareto_prune.inputs.checkpoint import Checkpoint
from pareto_prune.models.families import architecture
from pareto_prune.running.study_file import read_study
from pareto_prune.search.warm_start import warm_candidates
from pareto_prune.storage import open_storage
from pareto_prune.trials import bench
from tests import synthetic
from tests.small_study import ScriptedMeasurer, make_study
from tests.synthetic import study_of, trial
from tests.tiny import tiny_model


def member(number: int, accuracy: float, cost: float, **fields: Any) -> Trial:
    """A trial of the front: the better, the dearer."""
    made = trial(number, {"accuracy": accuracy, "latency_ms": 15 * cost, "energy_j": 0.08 * cost})
    given = {"strategy": "l1", "importance": "obs", "sublayers": (cost,) * 12} | fields
    candidate = Candidate(**given)
    return made.model_copy(update={"candidate": candidate})


def source(*more: Trial) -> Study:
    dense = trial(0, dict(synthetic.DENSE_VALUES), starter="dense")
    return study_of(dense, member(1, 0.80, 0.5), member(2, 0.82, 0.7), *more, name="other")


def config(**tables: Any) -> StudyConfig:
    given = {"name": "new", "model": {"path": "m"}, "data": {"path": "d"}} | tables
    return StudyConfig.from_json(given)


DENSE = synthetic.dense_architecture()


def test_the_front_comes_after_dense_and_before_the_other_starters() -> None:
    found = warm_candidates(source(), config(), DENSE)
    assert [one.starter for one in found[:4]] == ["dense", "from other", "from other", "balanced"]
    assert [one.sublayers[0] for one in found[1:3]] == [0.7, 0.5]


def test_what_the_study_cannot_hold_is_left_out() -> None:
    other = source(
        member(3, 0.83, 0.8, strategy="adaptive"), member(4, 0.81, 0.6, importance="random")
    )
    found = warm_candidates(other, config(), DENSE)
    assert sum(one.starter == "from other" for one in found) == 2


def test_deployment_knobs_come_along_only_where_they_are_searched() -> None:
    other = source(member(3, 0.83, 0.8, deployment={"dtype": "int8"}))
    assert all(not one.deployment for one in warm_candidates(other, config(), DENSE))
    knobs = {"deployment": {"dtype": ["float32", "int8"]}}
    found = warm_candidates(other, config(search=knobs), DENSE)
    assert {"dtype": "int8"} in [one.deployment for one in found]
    knobs = {"deployment": {"dtype": ["float32", "float16"]}}
    known = [one.starter for one in warm_candidates(other, config(search=knobs), DENSE)]
    assert known.count("from other") == 2


def test_the_vocabulary_is_what_the_new_study_keeps() -> None:
    other = source(member(3, 0.83, 0.8, vocabulary="seen"), member(4, 0.81, 0.6, vocabulary=0.3))

    def kept(**search: Any) -> list[Any]:
        found = warm_candidates(other, config(search=search), DENSE)
        return [one.vocabulary for one in found if one.starter == "from other"]

    assert set(kept()) == {1.0}
    assert set(kept(vocabulary="seen")) == {"seen"}
    assert set(kept(vocabulary={"low": 0.2, "high": 0.6})) == {0.3, 0.6, 1.0}


def test_a_long_front_gives_at_most_a_first_population_with_both_ends() -> None:
    many = [member(number, 0.78 + number / 1000, 0.1 + number / 70) for number in range(3, 53)]
    found = warm_candidates(source(*many), config(), DENSE)
    known = [one.sublayers[0] for one in found if one.starter == "from other"]
    assert len(known) == 12
    assert known == sorted(known, reverse=True)
    assert known[-1] == pytest.approx(0.1 + 3 / 70)


def test_a_study_of_another_shape_is_refused() -> None:
    with pytest.raises(MismatchError, match=r"--from other: .*6 layers.* there, 4 layers.* here"):
        warm_candidates(source(), config(), synthetic.dense_architecture(4))


def test_a_study_without_a_front_is_refused() -> None:
    bare = study_of(trial(0, dict(synthetic.DENSE_VALUES), starter="dense"))
    with pytest.raises(UserError, match="no point on its front"):
        warm_candidates(bare, config(), DENSE)
    with pytest.raises(UserError, match="no dense model yet"):
        warm_candidates(bare.model_copy(update={"reference": None}), config(), DENSE)


@pytest.mark.parametrize("name", ["bert", "distilbert", "gpt2"])
def test_a_checkpoint_knows_its_shape_without_weights(name: str, tmp_path: Path) -> None:
    model = tiny_model(name)
    model.config.save_pretrained(tmp_path)
    assert Checkpoint(str(tmp_path)).architecture() == architecture(model)


@pytest.mark.slow
def test_a_study_starts_from_another_and_measures_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bench, "_measurer", lambda _c, dense, *_: ScriptedMeasurer(dense.model))
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    url, out = f"sqlite:///{tmp_path}/study.db", tmp_path / "out"
    first = read_study(make_study(tmp_path, limits={"trials": 3}))
    api.run(first, url, output=out)
    members = api.front("small", url).members
    with pytest.raises(UserError, match="--from small: a study cannot start from itself"):
        api.run(first, url, output=out, start_from="small")
    second = first.model_copy(update={"name": "second"})
    api.run(second, url, output=out, start_from="small")
    trials = open_storage(url).open_study("second").read().trials
    known = [t for t in trials if t.candidate and t.candidate.starter == "from small"]
    assert trials[0].candidate is not None
    assert trials[0].candidate.starter == "dense"
    assert len(known) == min(2, sum(point.starter != "dense" for point in members))
    assert all(one.result is not None and one.result.values for one in known)
    api.run(second, url, output=out, start_from="small")
    assert open_storage(url).open_study("second").read().trials == trials


def test_a_run_ends_at_a_plateau(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pareto_prune.running import run_study as running

    monkeypatch.setattr(bench, "_measurer", lambda _c, dense, *_: ScriptedMeasurer(dense.model))
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(running, "plateaued", _three_trials)
    url = f"sqlite:///{tmp_path}/study.db"
    study = make_study(tmp_path, limits={"trials": 9, "plateau": 3})
    outcome = api.run(study, url, output=tmp_path / "out")
    assert outcome.stopped_by == "3 of 9 trials: the hypervolume does not rise any more"
    assert len(open_storage(url).open_study("small").read().trials) == 3
    again = api.run(study, url, output=tmp_path / "out")
    assert again.stopped_by == outcome.stopped_by


def _three_trials(study: Study, trials: int | None) -> bool:
    assert trials == 3
    return len([trial for trial in study.trials if trial.state.finished]) >= 3
