"""deploy/slurm.sh, run by bash with stand-ins for Slurm's own commands."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from pareto_prune.core.records import TrialState
from pareto_prune.storage import open_storage
from tests.deploy.recipes import ROOT
from tests.small_study import make_study
from tests.storage.scripted import study_config

pytestmark = pytest.mark.slow

SCRIPT = ROOT / "deploy/slurm.sh"
DIRECTIVES = re.findall(r"^#SBATCH (.+)$", SCRIPT.read_text(), re.MULTILINE)


@pytest.fixture
def node(tmp_path):
    """A node: its commands in a folder, the secret beside; returns what starts the script."""
    commands = tmp_path / "bin"
    commands.mkdir()
    url = f"sqlite:///{tmp_path}/study.db"
    secret = tmp_path / "storage"
    secret.write_text(f"{url}\n")
    secret.chmod(0o600)

    def start(pareto_prune: str, *arguments: str) -> subprocess.Popen[str]:
        written = {
            "srun": 'exec "$@"',
            "scontrol": f'echo "$@" >{tmp_path}/told && echo asked >&2',
            "pareto-prune": f"exec {sys.executable} -m {pareto_prune}",
        }
        for name, line in written.items():
            (commands / name).write_text(f"#!/bin/sh\n{line}\n")
            (commands / name).chmod(0o755)
        slurm = {"SLURM_ARRAY_TASK_ID": "3", "SLURM_JOB_ID": "77"}
        ours = {"PARETO_PRUNE_STORAGE_FILE": str(secret), "PYTHONPATH": str(ROOT)}
        cache = {"PARETO_PRUNE_CACHE": str(tmp_path / "cache"), "OMP_NUM_THREADS": "1"}
        path = {"PATH": f"{commands}:{os.environ['PATH']}"}
        return subprocess.Popen(
            ["bash", SCRIPT, *arguments],
            cwd=tmp_path,
            env={**os.environ, **slurm, **ours, **cache, **path},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def test_it_is_bash():
    assert subprocess.run(["bash", "-n", SCRIPT], check=False).returncode == 0


def test_it_asks_for_an_array_that_is_queued_again():
    given = dict(one.lstrip("-").partition("=")[::2] for one in DIRECTIVES)
    assert re.fullmatch(r"0-\d+", given["array"])
    assert "requeue" in given
    assert given["signal"] == "B:USR1@120"
    assert given["gres"].startswith("gpu:")
    assert given["ntasks"] == given["nodes"] == "1"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_a_secret_that_others_may_read_is_refused(node, tmp_path, mode):
    (tmp_path / "storage").chmod(mode)
    ended = node("tests.deploy.main", "small.toml", "artifacts")
    out, err = ended.communicate()
    assert (ended.returncode, out) == (2, "")
    assert err == f"{tmp_path}/storage: others may read it, allowed: chmod 600\n"
    assert not (tmp_path / "study.db").exists()


def test_it_runs_a_study(node, tmp_path):
    make_study(tmp_path, limits={"trials": 2})
    ended = node('tests.deploy.main "$@"', "small.toml", str(tmp_path / "artifacts"))
    _, err = ended.communicate()
    assert ended.returncode == 0, err
    study = open_storage(f"sqlite:///{tmp_path}/study.db").open_study("small")
    assert study.counts()[TrialState.COMPLETE] == 2
    assert study.artifacts == str(tmp_path / "artifacts/small")
    assert (tmp_path / "pages/3/small/report.html").is_file()


def test_out_of_time_it_is_queued_again_with_its_trials_handed_back(node, tmp_path: Path):
    """Slurm sends USR1 before the end; once asked to queue the task again, it sends TERM."""
    url = f"sqlite:///{tmp_path}/study.db"
    study = open_storage(url).create(study_config(trials=6))
    running = f'tests.launch.main "$PARETO_PRUNE_STORAGE" {tmp_path}'
    task = node(running, "small.toml", "artifacts")
    assert task.stderr is not None
    assert [task.stderr.readline() for _ in range(2)] == ["running\n", "running\n"]
    task.send_signal(signal.SIGUSR1)
    assert task.stderr.readline() == "asked\n"
    assert (tmp_path / "told").read_text() == "requeue 77\n"
    assert study.counts()[TrialState.RUNNING] == 2
    task.send_signal(signal.SIGTERM)
    _, err = task.communicate()
    assert task.returncode == 130, err
    assert study.counts()[TrialState.WAITING] == 2
    assert study.counts()[TrialState.RUNNING] == 0
