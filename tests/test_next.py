"""The last lines of a run can be typed where it ran."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from pareto_prune.cli._next import next_commands, program
from pareto_prune.core.defaults import DEFAULT_STORAGE
from pareto_prune.results.front import front_of
from tests import synthetic
from tests.synthetic import study_of


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program in the environment of a folder, which is where we are."""
    called = tmp_path / ".venv/bin/pareto-prune"
    called.parent.mkdir(parents=True)
    called.touch(mode=0o755)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", "/nowhere")
    monkeypatch.setattr(sys, "argv", [str(called)])
    return called


def test_a_program_that_is_not_on_the_path_is_named_by_its_place(
    installed: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert program() == ".venv/bin/pareto-prune"
    monkeypatch.chdir("/")
    assert program() == str(installed.relative_to("/"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(installed.parent))
    assert program() == "pareto-prune"
    other = tmp_path / "other/pareto-prune"
    other.parent.mkdir()
    other.touch(mode=0o755)
    monkeypatch.setenv("PATH", str(other.parent))
    assert program() == ".venv/bin/pareto-prune"


def test_a_module_is_called_by_its_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["/somewhere/pareto_prune/cli/__main__.py"])
    assert program().endswith(" -m pareto_prune.cli")


def test_two_commands_follow_a_run(installed: Path) -> None:
    front = front_of(synthetic.study())
    assert list(next_commands(front, DEFAULT_STORAGE)) == [
        ".venv/bin/pareto-prune select synthetic",
        ".venv/bin/pareto-prune export synthetic 17 --to synthetic-17",
    ]
    plain = front.model_copy(update={"recommended": None})
    first, second = next_commands(plain, "sqlite:///my studies.db")
    assert first == (
        ".venv/bin/pareto-prune select synthetic --knee --storage 'sqlite:///my studies.db'"
    )
    assert second.endswith(
        "export synthetic 27 --to synthetic-27 --storage 'sqlite:///my studies.db'"
    )
    assert "secret" not in "".join(next_commands(front, "postgresql+psycopg://me:secret@db/s"))
    assert list(next_commands(front_of(study_of()), DEFAULT_STORAGE)) == []
