"""Lock files in a folder that anybody may write to: traps are not stepped into, waits are told."""

import logging
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pareto_prune.core import cache, locks
from pareto_prune.core.errors import UserError
from pareto_prune.measure.quiet import Quiet

HOLDER = """
import fcntl, os, sys
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT, 0o644)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("holds", flush=True)
sys.stdin.readline()
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder for locks as root makes it for all users."""
    folder = tmp_path / "locks"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.fixture
def private(tmp_path: Path) -> Path:
    """A file that nobody else is to read."""
    path = tmp_path / "private"
    path.write_text("a secret")
    path.chmod(0o600)
    return path


def untouched(path: Path) -> bool:
    return (path.read_text(), path.stat().st_mode & 0o777) == ("a secret", 0o600)


@pytest.mark.parametrize("name", ["cpu.gate", "cpu.steps"])
def test_a_symbolic_link_is_not_followed(folder: Path, private: Path, name: str) -> None:
    (folder / name).symlink_to(private)
    with pytest.raises(UserError, match=f"{name}: cannot be locked") as raised:
        Quiet("cpu", folder)
    assert len(raised.value.problems) == 1
    assert "PARETO_PRUNE_LOCKS" in str(raised.value)
    assert untouched(private)


def test_a_symbolic_link_makes_no_file(folder: Path, tmp_path: Path) -> None:
    (folder / "cpu.gate").symlink_to(tmp_path / "new")
    with pytest.raises(UserError):
        Quiet("cpu", folder)
    assert not (tmp_path / "new").exists()


def test_a_file_with_another_name_is_not_touched(folder: Path, private: Path) -> None:
    (folder / "cpu.gate").hardlink_to(private)
    with pytest.raises(UserError, match="not a file with this name alone"):
        Quiet("cpu", folder)
    assert untouched(private)


@pytest.mark.parametrize("mode", [0o666, 0o444])
def test_a_pipe_holds_nobody_up(folder: Path, mode: int) -> None:
    os.mkfifo(folder / "cpu.gate")
    (folder / "cpu.gate").chmod(mode)
    with pytest.raises(UserError, match="not a file with this name alone"):
        Quiet("cpu", folder)


def test_the_folder_is_not_a_link(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(UserError, match="cannot be locked"):
        Quiet("cpu", tmp_path / "link")
    assert not list(folder.iterdir())


def test_a_folder_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(folder, 4242, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(UserError, match="is a folder of user"):
        Quiet("cpu", folder)
    assert not list(folder.iterdir())


@pytest.mark.parametrize("mode", [0o777, 0o775])
def test_a_folder_in_which_others_may_replace_files_is_refused(folder: Path, mode: int) -> None:
    folder.chmod(mode)
    with pytest.raises(UserError, match="no sticky bit"):
        Quiet("cpu", folder)
    assert folder.stat().st_mode & 0o7777 == mode


def test_a_folder_of_ones_own_stays_as_it_is(folder: Path) -> None:
    folder.chmod(0o700)
    with Quiet("cpu", folder).measuring():
        pass
    assert folder.stat().st_mode & 0o7777 == 0o700


def test_what_is_made_serves_all_users_and_can_be_written_by_one(tmp_path: Path) -> None:
    before = os.umask(0o077)
    try:
        Quiet("cpu", tmp_path / "new/locks")
    finally:
        os.umask(before)
    assert (tmp_path / "new/locks").stat().st_mode & 0o7777 == 0o1777
    modes = {path.stat().st_mode & 0o777 for path in (tmp_path / "new/locks").iterdir()}
    assert modes == {0o644}


def test_a_folder_that_cannot_be_made_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be locked: File exists") as raised:
        Quiet("cpu", tmp_path / "file/locks")
    assert "\n" not in str(raised.value)


def test_a_device_whose_name_is_a_path_stays_in_the_folder(folder: Path) -> None:
    Quiet("../../etc/gpu", folder)
    assert {path.parent for path in folder.iterdir()} == {folder}


def held(path: Path) -> "subprocess.Popen[str]":
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "holds\n"
    return process


def in_cache(folder: Path) -> None:
    with cache.locked(folder / "dense"):
        pass


def at_the_gate(folder: Path) -> None:
    Quiet("cpu", folder).pause()


def measuring(folder: Path) -> None:
    with Quiet("cpu", folder).measuring():
        pass


@pytest.mark.parametrize(
    ("wait", "name"),
    [(in_cache, "dense.lock"), (at_the_gate, "cpu.gate"), (measuring, "cpu.gate")],
)
def test_who_waits_says_for_whom_and_goes_on(
    folder: Path, wait, name: str, caplog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "FIRST_WORD_SECONDS", 0.05)
    other = held(folder / name)
    try:
        waiting = threading.Thread(target=wait, args=(folder,), daemon=True)
        waiting.start()
        waiting.join(0.6)
        assert waiting.is_alive()
    finally:
        other.communicate("end\n")
    waiting.join(10)
    assert not waiting.is_alive()
    said = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert 2 <= len(said) <= 5
    assert all(str(folder / name) in line for line in said)
    who = f"process {other.pid} of user" if sys.platform == "linux" else "another process"
    assert all(who in line for line in said)
    assert not [one for one in threading.enumerate() if one.name == "waiting"]


@pytest.mark.skipif(sys.platform != "linux", reason="others do not tell who holds a lock")
def test_a_process_that_is_stopped_holds_nobody_up_who_makes_an_entry(
    folder: Path, caplog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(locks, "FIRST_WORD_SECONDS", 0.05)
    other = held(folder / "dense.lock")
    made = threading.Event()

    def make() -> None:
        with cache.made_once(folder / "dense"):
            made.set()

    try:
        waiting = threading.Thread(target=make, daemon=True)
        waiting.start()
        assert not made.wait(0.3)
        os.kill(other.pid, signal.SIGSTOP)
        assert made.wait(10)
        strict = threading.Thread(target=in_cache, args=(folder,), daemon=True)
        strict.start()
        strict.join(0.3)
        assert strict.is_alive()
        assert "(stopped)" in caplog.records[-1].getMessage()
    finally:
        os.kill(other.pid, signal.SIGCONT)
        other.communicate("end\n")
    strict.join(10)
    assert not strict.is_alive()


def test_a_lock_that_is_free_is_taken_without_a_word(folder: Path, caplog) -> None:
    measuring(folder)
    assert not caplog.records
