"""Every command of the documents runs, on a small study; the documented strategy prunes."""

from __future__ import annotations

import csv
import importlib
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pareto_prune import api, cli
from pareto_prune.export.deployed import _measuring
from pareto_prune.pruning.strategies import strategies
from pareto_prune.pruning.surgery import cut_copy, plan_of
from pareto_prune.trials import bench
from tests.deployed.test_scoring import Scripted
from tests.pruning.fakes import candidate, fake_context
from tests.small_study import ScriptedMeasurer, make_study
from tests.tasks.words import sentiment
from tests.tiny import NEURONS, tiny_model

DOCS = Path(__file__).parents[1] / "docs"


def commands(page):
    """Return the command lines of a page, without their comments."""
    text = (DOCS / page).read_text(encoding="utf-8")
    blocks = re.findall(r"```console\n(.*?)```", text, re.DOTALL)
    lines = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("$ ")]
    assert lines
    return lines


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """An empty folder with the small study's file, model and data in it, as the pages name them."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("PARETO_PRUNE_STORAGE", raising=False)
    monkeypatch.setattr(bench, "_measurer", lambda _c, dense, *_: ScriptedMeasurer(dense.model))
    monkeypatch.setattr(_measuring, "Measurer", Scripted)
    text = make_study(tmp_path).read_text().replace('name = "small"', 'name = "mine"')
    (tmp_path / "mine.toml").write_text(text)
    (tmp_path / "texts.txt").write_text("the film was good\nbad\n")
    rows = sentiment(40)
    with (tmp_path / "labelled.csv").open("w", newline="") as file:
        csv.writer(file).writerow(["text", "label"])
        csv.writer(file).writerows(zip(rows.texts[0], rows.labels, strict=True))
    return tmp_path


def run(line, monkeypatch):
    """Run a command line in this process, or another one where it is not ours; its exit code."""
    words = shlex.split(line)
    if words[0] == "python":
        return subprocess.run([sys.executable, *words[1:]], check=False).returncode
    monkeypatch.setattr(sys, "argv", words)
    with pytest.raises(SystemExit) as ended:
        cli.main()
    return ended.value.code or 0


@pytest.mark.slow
@pytest.mark.usefixtures("folder")
@pytest.mark.parametrize("page", ["writing-a-study.md", "measuring.md"])
def test_the_commands_of_a_page_run(page, monkeypatch, capsys):
    for line in commands(page):
        assert run(line, monkeypatch) == 0, line + capsys.readouterr().err


@pytest.mark.slow
def test_the_commands_of_deploying_run(folder, monkeypatch, capsys):
    outcome = api.run(folder / "mine.toml")
    best = max(outcome.front.members, key=lambda point: point.values["accuracy"]).number
    for line in commands("deploying.md"):
        line = line.replace("mine 4", f"mine {best}")
        command, _, source = line.partition(" < ")
        if source:
            with (folder / source).open() as file:
                monkeypatch.setattr(sys, "stdin", file)
                code = run(command, monkeypatch)
        else:
            code = run(line, monkeypatch)
        assert code == 0, line + capsys.readouterr().err
    assert (folder / "smaller-model-2" / "plan.json").is_file()


def test_the_study_file_of_the_page_runs(folder):
    text = (DOCS / "writing-a-study.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (folder / "theirs.toml").write_text(block)
    config = api.configuration(folder / "theirs.toml")
    assert (config.name, config.data.max_length) == ("mine", 16)
    shutil.rmtree(folder / "model")


def test_the_documented_strategy_prunes(tmp_path, monkeypatch):
    text = (DOCS / "adding-a-strategy.md").read_text(encoding="utf-8")
    [block] = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    (tmp_path / "random_heads.py").write_text(block)
    monkeypatch.syspath_prepend(tmp_path)
    strategies.names()
    importlib.import_module("random_heads")
    try:
        dense = tiny_model()
        context = fake_context(dense)
        made = strategies.create("random_heads", {"at_least": 2})
        tried = candidate("random_heads", dense, sublayers=(0.9, 0.0) * 3)
        pruned = made.prune(cut_copy(dense, plan_of(dense)), tried, context)
        assert plan_of(pruned.model) == pruned.plan
        assert [len(layer.heads) for layer in pruned.plan.layers] == [2, 2, 2]
        assert all(len(layer.neurons) == NEURONS for layer in pruned.plan.layers)
    finally:
        strategies._members.pop("random_heads", None)
        del sys.modules["random_heads"]
