"""What the machine may be like: another system, no home, a full or closed disk, few characters."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pareto_prune.cli import _app
from pareto_prune.cli._errors import told
from pareto_prune.core import cache, system
from pareto_prune.core.errors import UserError
from pareto_prune.core.version import __version__
from pareto_prune.measure import environment

ROOT = Path(__file__).parents[1]
UNDER = """
import platform, sys
platform.system = lambda name=sys.argv[1]: name
for name in ("fcntl", "pwd", "resource", "termios"):
    sys.modules[name] = None
sys.argv = ["pareto-prune", *sys.argv[2:]]
from pareto_prune.cli import main
main()
"""
VERBS = {
    "validate": ["study.toml"],
    "run": ["study.toml"],
    "front": ["name"],
    "doctor": [],
    "list": ["strategies"],
}


def command(*arguments: str, code: str | None = None, **environment: str):
    start = ["-m", "pareto_prune.cli"] if code is None else ["-c", code]
    return subprocess.run(
        [sys.executable, *start, *arguments],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
    )


@pytest.mark.parametrize("verb", list(VERBS))
def test_every_verb_says_which_systems_there_are(verb):
    ended = command("Windows", verb, *VERBS[verb], code=UNDER)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        "Windows is not supported, allowed: Linux or macOS; on Windows, Linux in WSL 2\n"
    )


@pytest.mark.parametrize("name", ["Linux", "Darwin"])
def test_these_systems_are_supported(monkeypatch, name):
    monkeypatch.setattr("platform.system", lambda: name)
    system.check()


def test_cores_are_counted_where_nothing_says_which_may_be_used(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    assert environment.usable_cores() == 6
    found = [path for path in (ROOT / "pareto_prune").rglob("*.py") if _asks(path)]
    assert [path.name for path in found] == ["environment.py"]


def _asks(path: Path) -> bool:
    return "sched_getaffinity" in path.read_text()


def test_the_version_needs_no_command():
    ended = command("--version")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, f"{__version__}\n", "")


def test_a_user_without_a_home_is_told_of_the_cache(monkeypatch):
    def nowhere() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("PARETO_PRUNE_CACHE", raising=False)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(UserError, match=r"no home, allowed: .* PARETO_PRUNE_CACHE"):
        cache.root()


@pytest.mark.parametrize("enter", [cache.locked, cache.replacing])
def test_a_cache_that_cannot_be_made_is_one_line(monkeypatch, tmp_path, enter):
    (tmp_path / "home").write_text("no folder")
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "home/cache"))
    with pytest.raises(UserError, match=r"home/cache/x: cannot be made: .*PARETO_PRUNE_CACHE"):
        enter(cache.root() / "x/y").__enter__()
    with pytest.raises(OSError, match="home"):
        enter(tmp_path / "home/elsewhere/y").__enter__()


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, "free space"),
        (errno.EDQUOT, "free space"),
        (errno.EACCES, "the right to write"),
        (errno.EROFS, "the right to write"),
        (errno.ENOTDIR, "another place"),
        (errno.EBUSY, "another place"),
        (errno.EXDEV, "another place"),
        (errno.ELOOP, "another place"),
    ],
)
def test_what_the_file_system_refuses_is_one_line(number, advice):
    [line], code = told(OSError(number, os.strerror(number), "/data/kept"))
    assert code == 2
    assert line.startswith(f"/data/kept: {os.strerror(number)}, allowed: ")
    assert advice in line
    [line], code = told(Exception(f"I/O error: {os.strerror(number)} (os error {number})"))
    assert (code, advice in line) == (2, True)


@pytest.mark.parametrize("error", [OSError("odd"), OSError(errno.EIO, "I/O"), ValueError("odd")])
def test_what_nobody_expected_says_so(error):
    [line], code = told(error)
    assert (code, line.endswith("(not expected; --debug shows where)")) == (1, True)


def test_an_export_that_cannot_be_written_is_one_line(tmp_path, monkeypatch, capsys):
    from pareto_prune import api, cli

    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(tmp_path / "kept"))

    monkeypatch.setattr(api, "export", full)
    monkeypatch.setattr(sys, "argv", ["pareto-prune", "export", "a", "0", "--to", "kept"])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    assert ended.value.code == 2
    assert "No space left on device" in capsys.readouterr().err


ODD = """
import sys
from pareto_prune.cli import _app, main
@_app.app.command()
def odd():
    from rich.table import Table
    table = Table("★")
    table.add_row("−1 ≈ é")
    _app.show(table)
    print("★ plain")
    print("★", file=sys.stderr)
    _app.print_json('{"★": "é 😀"}')
main()
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_what_a_terminal_cannot_show_is_no_error(encoding):
    ended = subprocess.run(
        [sys.executable, "-c", ODD, "odd"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.decode(encoding).splitlines()
    assert json.loads(lines[-1]) == {"★": "é 😀"}
    assert lines[-2] == ("★ plain" if encoding == "utf-8" else "? plain")


def test_json_that_can_be_shown_is_shown_as_it_is(capsys):
    _app.print_json('{"★": 1}')
    assert capsys.readouterr().out == '{"★": 1}\n'
