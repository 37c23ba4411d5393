"""What a machine lacks for a study is said before anything is loaded or made."""

from __future__ import annotations

import os
import sys

import pytest
import torch

from pareto_prune import cli
from pareto_prune.core.errors import UserError
from pareto_prune.measure import engines
from pareto_prune.running.study_file import read_study
from pareto_prune.trials.bench import device_of
from tests.small_study import make_study

CORES = os.cpu_count() or 1


@pytest.mark.parametrize("device", ["cuda", "cuda:7"])
@pytest.mark.parametrize("engine", ["auto", "eager"])
@pytest.mark.parametrize("more", [[], ["--dry-run"]])
def test_a_gpu_that_is_not_there_is_one_line(tmp_path, monkeypatch, capsys, device, engine, more):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    path = make_study(tmp_path, measure={"device": device, "engine": engine})
    monkeypatch.setattr(sys, "argv", ["pareto-prune", "run", str(path), *more])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    [line] = capsys.readouterr().err.splitlines()[-1:]
    assert ended.value.code == 2
    assert "PyTorch sees no CUDA GPU" in line
    assert not list(tmp_path.glob("**/dense"))
    assert not (tmp_path / "cache").exists()


def test_a_gpu_that_only_the_engine_sees_cannot_be_trained_on(tmp_path, monkeypatch):
    from pareto_prune.measure.engines import onnxruntime

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(onnxruntime, "_providers", lambda: ["CUDAExecutionProvider"])
    config = read_study(make_study(tmp_path, measure={"device": "cuda", "engine": "onnxruntime"}))
    with pytest.raises(UserError, match=r"measure\.device: cuda:0: PyTorch sees no CUDA GPU"):
        device_of(config)


@pytest.mark.parametrize(
    ("tables", "where"),
    [
        ({"measure": {"device": "cpu", "threads": CORES + 1}}, "measure.threads"),
        (
            {"measure": {"device": "cpu"}, "search": {"deployment": {"threads": [1, CORES + 1]}}},
            "search.deployment.threads",
        ),
    ],
)
def test_more_threads_than_cores_are_refused(tmp_path, tables, where):
    config = read_study(make_study(tmp_path, **tables))
    with pytest.raises(UserError) as raised:
        device_of(config)
    assert str(raised.value) == (
        f"{where}: {CORES + 1} is more than the {CORES} cores of this machine, "
        f"allowed: at most {CORES}"
    )


def test_as_many_threads_as_cores_are_taken(tmp_path):
    config = read_study(make_study(tmp_path, measure={"device": "cpu", "threads": CORES}))
    assert device_of(config) == "cpu"
    assert engines.choose(config.measure)[2].threads == CORES
