"""The notebooks run from top to bottom on a tiny study, and are stored without outputs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.small_study import make_study

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))

EXECUTE = """
import sys, nbclient, nbformat
book = nbformat.read(sys.argv[1], 4)
where = {"metadata": {"path": sys.argv[2]}}
nbclient.NotebookClient(book, timeout=600, kernel_name="python3", resources=where).execute()
nbformat.write(book, sys.argv[3])
"""
SCRIPTED = """
from pareto_prune.trials import bench
from tests.small_study import ScriptedMeasurer
bench._measurer = lambda _config, dense, *_: ScriptedMeasurer(dense.model)
"""
"""What the kernel runs first: costs by the script instead of the clock."""


def test_there_are_four():
    assert [path.stem[0] for path in NOTEBOOKS] == ["1", "2", "3", "4"]


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_are_stored_without_outputs(path):
    book = json.loads(path.read_text(encoding="utf-8"))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert code
    assert all(not cell["outputs"] and cell["execution_count"] is None for cell in code)


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_they_run_from_top_to_bottom(tmp_path, path):
    pytest.importorskip("nbclient")
    study = make_study(tmp_path)
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-scripted.py").write_text(SCRIPTED)
    environment = {
        **{name: value for name, value in os.environ.items() if name != "PARETO_PRUNE_STORAGE"},
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "JUPYTER_RUNTIME_DIR": str(tmp_path / "runtime"),
        "PARETO_PRUNE_CACHE": str(tmp_path / "cache"),
        "PARETO_PRUNE_STUDY": str(study),
        "PARETO_PRUNE_WORKERS": "1",
        "PYTHONPATH": str(ROOT),
    }
    done = tmp_path / "done.ipynb"
    command = [sys.executable, "-c", EXECUTE, str(path), str(tmp_path), str(done)]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-3000:]
    book = json.loads(done.read_text(encoding="utf-8"))
    code = [cell for cell in book["cells"] if cell["cell_type"] == "code"]
    assert all(cell["execution_count"] for cell in code)
    assert any(cell["outputs"] for cell in code)
