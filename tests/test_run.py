"""Whole studies at a tiny scale: from a study file to a front, a page and a model that loads."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import pareto_prune
from pareto_prune import api
from pareto_prune.core.errors import MismatchError, RepeatedFailureError, TrialError, UserError
from pareto_prune.core.records import TrialState
from pareto_prune.export.kept_models import store as kept_models
from pareto_prune.export.manifest import Manifest
from pareto_prune.pruning.strategies.layer_wise import LayerWise
from pareto_prune.running.study_file import read_study, with_limits
from pareto_prune.storage import open_storage
from pareto_prune.trials import bench
from tests.small_study import ScriptedMeasurer, make_study, model_of


@pytest.fixture
def scripted(monkeypatch):
    """Measure by the script instead of the clock."""
    monkeypatch.setattr(bench, "_measurer", _scripted)


def _scripted(_config, dense, _data, _progress):
    return ScriptedMeasurer(dense.model)


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path}/study.db"


@pytest.fixture(autouse=True)
def no_grace(monkeypatch):
    """Models that left the front go at once."""
    monkeypatch.setattr(kept_models, "GRACE_SECONDS", -3600.0)


def trials_of(url):
    return open_storage(url).open_study("small").read().trials


@pytest.mark.usefixtures("scripted")
def test_a_study_runs_to_its_front(tmp_path, url):
    outcome = api.run(make_study(tmp_path), url, output=tmp_path / "out")
    trials = trials_of(url)
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    dense = trials[0].result
    assert dense.candidate.starter == "dense"
    assert dense.values["latency_ms"] == pytest.approx(10.0)
    assert outcome.stopped_by is None
    assert outcome.front.reference["accuracy"] > 0.9
    assert outcome.page.read_text(encoding="utf-8").startswith("<!doctype html>")
    members = {str(point.number) for point in outcome.front.members}
    kept = [path.name for path in (tmp_path / "out/small/trials").iterdir()]
    assert sorted(name.partition("-")[0] for name in kept) == sorted(members)


@pytest.mark.usefixtures("scripted")
def test_the_dense_model_is_not_measured_a_second_time(tmp_path, url, monkeypatch):
    def refused(*_, **__):
        raise AssertionError("measured again")

    monkeypatch.setattr(ScriptedMeasurer, "measure", refused)
    api.run(make_study(tmp_path, limits={"trials": 1}), url, output=tmp_path / "out")
    study = open_storage(url).open_study("small").read()
    (dense,) = study.trials
    assert dense.state is TrialState.COMPLETE
    assert dense.result.quality == study.reference.quality
    assert dense.result.measurement == study.reference.measurement


@pytest.mark.usefixtures("scripted")
def test_a_result_holds_all_that_was_found(tmp_path, url):
    api.run(make_study(tmp_path), url, output=tmp_path / "out")
    for trial in trials_of(url)[1:]:
        result = trial.result
        assert result.steps == 3
        assert result.rungs[0].step == 0
        assert set(result.values) >= {"accuracy", "latency_ms", "energy_j", "parameters", "bytes"}
        assert result.intervals["latency_ms"][0] < result.values["latency_ms"]
        assert set(result.timings) >= {"prune", "measure", "finetune", "evaluate", "total"}
        stages = sum(s for name, s in result.timings.items() if name != "total")
        assert stages == pytest.approx(result.timings["total"])
        assert result.environment is not None


@pytest.mark.usefixtures("scripted")
def test_run_again_goes_on_and_repeats_nothing(tmp_path, url):
    study = make_study(tmp_path, limits={"trials": 2})
    api.run(study, url, output=tmp_path / "out")
    before = trials_of(url)
    api.run(study, url, output=tmp_path / "out")
    assert trials_of(url) == before
    api.run(with_limits(read_study(study), 3, None), url, output=tmp_path / "out")
    after = trials_of(url)
    assert after[:2] == before
    assert [trial.number for trial in after] == [0, 1, 2]


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
def test_a_copy_goes_on_with_the_dense_model_and_a_page_of_its_own(tmp_path, url):
    study = make_study(tmp_path, limits={"trials": 2})
    page = api.run(study, url, output=tmp_path / "out").page
    open_storage(url).copy("small", "copied")
    study.write_text(study.read_text().replace('name = "small"', 'name = "copied"'))
    again = api.run(with_limits(read_study(study), 3, None), url, output=tmp_path / "out")
    assert again.stopped_by is None
    assert again.page == tmp_path / "out/copied/report.html"
    assert api.page_of("copied", url, tmp_path / "out") == again.page != page
    assert [trial.state for trial in trials_of(url)] == [TrialState.COMPLETE] * 2
    copied = open_storage(url).open_study("copied")
    assert [trial.state for trial in copied.read().trials] == [TrialState.COMPLETE] * 3
    number = again.front.members[-1].number
    assert api.export("copied", number, tmp_path / "to", storage=url).is_dir()


@pytest.mark.usefixtures("scripted")
def test_same_seed_same_candidates(tmp_path):
    study = make_study(tmp_path)
    found, roots = [], []
    for name in ("one", "two"):
        url = f"sqlite:///{tmp_path}/{name}.db"
        page = api.run(study, url, output=tmp_path / "out").page
        assert api.page_of("small", url) == page
        trials = trials_of(url)
        found.append([(t.candidate, t.result.plan_digest, t.result.values) for t in trials])
        roots.append(Path(open_storage(url).open_study("small").artifacts))
    assert found[0] == found[1]
    assert roots == [tmp_path / "out/small", roots[1]]
    assert roots[1].parent == roots[0], "each has a place of its own in one output folder"
    assert all((root / "dense").is_dir() and any((root / "trials").iterdir()) for root in roots)


@pytest.mark.usefixtures("scripted")
def test_a_changed_study_file_is_refused_with_the_difference(tmp_path, url):
    api.run(make_study(tmp_path, limits={"trials": 1}), url, output=tmp_path / "out")
    before = trials_of(url)
    changed = make_study(tmp_path, limits={"trials": 1}, finetune={"steps": 4})
    with pytest.raises(MismatchError, match=r"finetune\.steps: 4, it was started with 3"):
        api.run(changed, url, output=tmp_path / "out")
    assert trials_of(url) == before


@pytest.mark.usefixtures("scripted")
def test_a_failed_trial_is_recorded_and_the_study_goes_on(tmp_path, url, monkeypatch):
    real, calls = LayerWise.prune, []

    def sometimes(self, model, candidate, context):
        calls.append(candidate)
        if len(calls) == 1:
            raise TrialError("nan_loss", "the loss is nan at step 1")
        return real(self, model, candidate, context)

    monkeypatch.setattr(LayerWise, "prune", sometimes)
    study = make_study(tmp_path, search={"strategies": ["layer_wise"]})
    api.run(study, url, output=tmp_path / "out")
    states = [trial.state for trial in trials_of(url)]
    assert states.count(TrialState.FAILED) == 1
    [failed] = [t for t in trials_of(url) if t.state is TrialState.FAILED]
    assert failed.result.failure.kind == "nan_loss"
    assert len(states) == 4


@pytest.mark.usefixtures("scripted")
def test_three_failures_alike_stop_the_run(tmp_path, url, monkeypatch):
    def always(self, model, candidate, context):
        raise MemoryError("no room")

    monkeypatch.setattr(LayerWise, "prune", always)
    study = make_study(tmp_path, search={"strategies": ["layer_wise"]}, limits={"trials": 9})
    with pytest.raises(RepeatedFailureError, match="out_of_memory: no room"):
        api.run(study, url, output=tmp_path / "out")
    assert [trial.state for trial in trials_of(url)[1:]] == [TrialState.FAILED] * 3


@pytest.mark.usefixtures("scripted")
def test_a_trial_past_its_time_limit_fails_in_this_process(tmp_path, url):
    study = make_study(tmp_path, limits={"trials": 9, "trial_time": "0.001s"})
    with pytest.raises(RepeatedFailureError, match=r"time_limit: took longer than 0\.001s"):
        api.run(study, url, output=tmp_path / "out")
    assert [trial.state for trial in trials_of(url)] == [TrialState.FAILED] * 3


@pytest.mark.usefixtures("scripted")
def test_an_exported_model_loads_and_scores_the_same(tmp_path, url):
    import torch

    outcome = api.run(make_study(tmp_path), url, output=tmp_path / "out")
    for point in outcome.front.members:
        folder = api.export("small", point.number, tmp_path / f"to-{point.number}", storage=url)
        model = pareto_prune.load(folder)
        assert sum(p.numel() for p in model.parameters()) == point.parameters
        kept = pareto_prune.load(model_of(tmp_path / "out/small/trials", point.number))
        ids = torch.tensor([[2, 5, 6, 3]])
        assert torch.equal(model(input_ids=ids).logits, kept(input_ids=ids).logits)


@pytest.mark.usefixtures("scripted")
def test_onnx_is_compared_on_the_texts_of_the_study(tmp_path, url):
    outcome = api.run(make_study(tmp_path), url, output=tmp_path / "out")
    number = outcome.front.members[0].number
    whole = api.export("small", number, tmp_path / "whole", "onnx", url)
    check = Manifest.read(whole).check
    assert (check.examples, check.metric) == (24, None)
    assert check.logits < 1e-4
    rounded = Manifest.read(
        api.export("small", number, tmp_path / "int8", "onnx", url, dtype="int8")
    )
    assert (rounded.dtype, rounded.check.metric, rounded.check.scored) == ("int8", "accuracy", 24)
    (tmp_path / "data.csv").unlink()
    alone = api.export("small", number, tmp_path / "alone", "onnx", url)
    assert Manifest.read(alone).check.examples == 0
    with pytest.raises(UserError, match="dtype: 'int8' is wrong"):
        api.export("small", number, tmp_path / "to", storage=url, dtype="int8")
    with pytest.raises(UserError, match=r"--format: unknown exporter 'onyx' .*did you mean 'onnx'"):
        api.export("small", number, tmp_path / "to", "onyx", url)


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
@pytest.mark.parametrize(
    ("number", "said"), [(99, "there is no trial 99"), (1, "weights are not kept")]
)
def test_what_cannot_be_exported_says_what_can(tmp_path, url, number, said):
    api.run(make_study(tmp_path), url, output=tmp_path / "out")
    if number == 1:
        import shutil

        for kept in (tmp_path / "out/small/trials").glob("1-*"):
            shutil.rmtree(kept)
    with pytest.raises(UserError, match=said) as raised:
        api.export("small", number, tmp_path / "to", storage=url)
    assert "on the front: " in str(raised.value)
    assert not (tmp_path / "to").exists()


@pytest.mark.usefixtures("scripted")
def test_a_damaged_model_is_noticed_at_export(tmp_path, url):
    outcome = api.run(make_study(tmp_path), url, output=tmp_path / "out")
    number = outcome.front.members[0].number
    weights = model_of(tmp_path / "out/small/trials", number) / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    with pytest.raises(UserError, match="SHA-256"):
        api.export("small", number, tmp_path / "to", storage=url)
    assert not (tmp_path / "to").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("scripted")
def test_cross_validation_takes_the_mean_of_the_folds(tmp_path, url):
    study = make_study(tmp_path, search={"strategies": ["l1"], "folds": 2}, limits={"trials": 2})
    api.run(study, url, output=tmp_path / "out")
    result = trials_of(url)[1].result
    assert result.quality.examples == 192
    assert result.intervals["accuracy"][0] <= result.values["accuracy"]
    assert (tmp_path / "out/small/dense-fold-1").is_dir()


def environment(tmp_path):
    return {
        **os.environ,
        "PARETO_PRUNE_CACHE": str(tmp_path / "cache"),
        "PARETO_PRUNE_STORAGE": f"sqlite:///{tmp_path}/study.db",
        "OMP_NUM_THREADS": "1",
    }


def command(*arguments):
    return [sys.executable, "-c", "from pareto_prune.cli import main; main()", *arguments]


def scripted_command(*arguments):
    """Return the same, with costs by the script instead of the clock."""
    patched = "from pareto_prune.trials import bench; from tests.test_run import _scripted"
    main = "from pareto_prune.cli import main; bench._measurer = _scripted; main()"
    return [sys.executable, "-c", f"{patched}; {main}", *arguments]


@pytest.mark.slow
def test_ctrl_c_leaves_the_study_whole_and_run_goes_on(tmp_path, url):
    study = make_study(tmp_path, finetune={"steps": 60}, limits={"trials": 2})
    run = scripted_command("run", str(study), "--output", str(tmp_path / "out"))
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            run, env=environment(tmp_path), stderr=file, stdout=subprocess.DEVNULL
        )
        _wait_until(lambda: "trial 0" in log.read_text(), process)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=120) == 130
    trials = trials_of(url)
    assert "Traceback" not in log.read_text()
    assert trials[0].state is TrialState.COMPLETE
    assert all(trial.state is not TrialState.RUNNING for trial in trials)
    done = subprocess.run(run, env=environment(tmp_path), capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert trials_of(url)[0] == trials[0]
    assert [trial.state for trial in trials_of(url)] == [TrialState.COMPLETE] * 2


def _wait_until(happened, process):
    deadline = time.monotonic() + 240
    while not happened():
        assert process.poll() is None, "ended by itself"
        assert time.monotonic() < deadline, "did not happen"
        time.sleep(0.05)


@pytest.mark.slow
def test_the_command_line_from_run_to_export(tmp_path):
    study = make_study(tmp_path, limits={"trials": 2})

    def call(*arguments):
        return subprocess.run(
            command(*arguments), env=environment(tmp_path), capture_output=True, text=True
        )

    ran = call("run", str(study), "--output", str(tmp_path / "out"))
    assert ran.returncode == 0, ran.stderr
    assert "dense" in ran.stdout
    assert "report.html" in ran.stdout
    front = json.loads(call("front", "small", "--json").stdout)
    assert front["reference"]["latency_ms"] > 0
    status = json.loads(call("status", "small", "--json").stdout)
    assert status["states"] == {"complete": 2}
    assert json.loads(call("studies", "--json").stdout)[0]["name"] == "small"
    chosen = json.loads(call("select", "small", "--knee", "--json").stdout)
    number = str(chosen["point"]["number"])
    to = tmp_path / "exported"
    exported = call("export", "small", number, "--to", str(to), "--format", "huggingface")
    assert exported.returncode == 0, exported.stderr
    assert Path(exported.stdout.strip()) == to
    assert pareto_prune.load(to).config.hidden_size == 32
    refused = call("export", "small", "--to", str(tmp_path / "best"))
    assert refused.returncode == call("select", "small").returncode == 2
    [line] = refused.stderr.strip().splitlines()[-1:]
    assert "none is recommended" in line
    assert "allowed: the number of a trial, or dense; see: front small" in line
