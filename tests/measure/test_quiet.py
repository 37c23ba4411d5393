"""Locks between real processes. They talk through pipes; nobody waits for a time to pass."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pareto_prune.measure.quiet import VARIABLE, Quiet, quiet

PROCESS = """
import sys, threading
from pareto_prune.measure.quiet import quiet
locks = quiet(sys.argv[1])

def say(word):
    print(word, flush=True)

def steps():
    with locks.training() as next_step:
        while True:
            next_step()
            say("step")
            if sys.stdin.readline().strip() == "end":
                break
    say("ended")

def measure():
    say("waiting")
    with locks.measuring():
        say("measuring")
        sys.stdin.readline()
    say("done")

{"steps": steps, "measure": measure}[sys.argv[2]]()
sys.stdin.readline()
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(VARIABLE, str(tmp_path / "locks"))
    return tmp_path / "locks"


class Other:
    """Another process that trains or measures."""

    def __init__(self, device: str, does: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROCESS, device, does],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def hears(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, word: str = "go") -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()


@pytest.fixture
def start() -> Iterator[Any]:
    started: list[Other] = []

    def begin(does: str, device: str = "cpu") -> Other:
        started.append(Other(device, does))
        return started[-1]

    yield begin
    for other in started:
        other.kill()
        for pipe in (other.process.stdin, other.process.stdout):
            assert pipe is not None
            pipe.close()


def waits(action: Any) -> threading.Thread:
    """Begin something in a thread and see it wait."""
    thread = threading.Thread(target=action, daemon=True)
    thread.start()
    thread.join(0.2)
    assert thread.is_alive()
    return thread


def test_two_measurers_take_turns(start: Any) -> None:
    first, second = start("measure"), start("measure")
    words = {first.hears(), second.hears()}
    assert words == {"waiting"}
    order = [first, second]
    heard: list[Other] = []
    readers = [
        threading.Thread(target=lambda o=other: (o.hears(), heard.append(o)), daemon=True)
        for other in order
    ]
    for reader in readers:
        reader.start()
    until = time.monotonic() + 10
    while not heard and time.monotonic() < until:
        time.sleep(0.01)
    assert len(heard) == 1
    heard[0].tell()
    for reader in readers:
        reader.join(10)
    assert sorted(map(id, heard)) == sorted(map(id, order))


def test_another_process_waits_for_who_measures(start: Any) -> None:
    other = start("measure")
    assert other.hears() == "waiting"
    assert other.hears() == "measuring"
    mine = quiet("cpu")
    thread = waits(mine.pause)
    other.tell()
    thread.join(10)
    assert not thread.is_alive()


def test_who_is_killed_while_measuring_leaves_no_lock(start: Any) -> None:
    other = start("measure")
    assert [other.hears(), other.hears()] == ["waiting", "measuring"]
    thread = waits(quiet("cpu").pause)
    other.kill()
    thread.join(10)
    assert not thread.is_alive()
    with quiet("cpu").measuring():
        pass


def test_measuring_waits_for_the_step_under_way_and_no_other_begins(start: Any) -> None:
    trainer = start("steps")
    assert trainer.hears() == "step"
    measurer = start("measure")
    assert measurer.hears() == "waiting"
    mine = quiet("cpu")
    until = time.monotonic() + 10
    while mine._open_gate() and time.monotonic() < until:
        time.sleep(0.01)
    assert not mine._open_gate()
    trainer.tell()
    assert measurer.hears() == "measuring"
    measurer.tell()
    assert measurer.hears() == "done"
    assert trainer.hears() == "step"


def test_the_end_of_training_lets_measuring_begin(start: Any) -> None:
    trainer = start("steps")
    assert trainer.hears() == "step"
    trainer.tell("end")
    assert trainer.hears() == "ended"
    with quiet("cpu").measuring(patience=0):
        measurer = start("measure")
        assert measurer.hears() == "waiting"
        assert quiet("cpu")._depth == 1


def test_a_killed_trainer_holds_nobody_up(start: Any) -> None:
    trainer = start("steps")
    assert trainer.hears() == "step"
    trainer.kill()
    with quiet("cpu").measuring():
        pass


def test_measuring_does_not_wait_for_ever(start: Any) -> None:
    trainer = start("steps")
    assert trainer.hears() == "step"
    with quiet("cpu").measuring(patience=0.05):
        trainer.tell()
        thread = waits(trainer.hears)
    thread.join(10)
    assert not thread.is_alive()


def test_devices_do_not_wait_for_each_other(start: Any) -> None:
    other = start("measure", "GPU-1")
    assert [other.hears(), other.hears()] == ["waiting", "measuring"]
    quiet("cpu").pause()
    with quiet("GPU-2").measuring():
        pass


def test_who_measures_does_not_wait_for_himself() -> None:
    mine = quiet("cpu")
    with mine.training() as next_step:
        next_step()
        with mine.measuring(), mine.measuring():
            mine.pause()
            next_step()
            assert mine._depth == 2
        next_step()
    mine.pause()


def test_measuring_is_not_given_up_by_a_step_of_the_same_process(start: Any) -> None:
    mine = quiet("cpu")
    with mine.training() as next_step, mine.measuring():
        next_step()
        other = start("measure")
        assert other.hears() == "waiting"
        thread = waits(other.hears)
    thread.join(10)
    assert not thread.is_alive()


FORKING = """
import os, sys
from pareto_prune.measure.quiet import quiet
with quiet("cpu").measuring():
    child = os.fork()
    if child == 0:
        sys.stdin.readline()
        os._exit(0)
    print(child, flush=True)
    os.kill(os.getpid(), 9)
"""


def test_a_forked_child_does_not_keep_its_parents_lock_alive() -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", FORKING], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    parent.wait()
    os.kill(child, 0)
    with quiet("cpu").measuring():
        pass
    parent.communicate("end")


def test_files_of_another_user_serve(folder: Path) -> None:
    Quiet("cpu", folder)
    for path in folder.iterdir():
        path.chmod(0o444)
    with Quiet("cpu", folder).measuring():
        pass


def test_looking_at_the_gate_costs_microseconds() -> None:
    """A step of the smallest model takes 20 ms; the look is to take under 0.5 % of it."""
    mine = quiet("cpu")
    with mine.training() as next_step:
        next_step()
        times = []
        for _ in range(200):
            began = time.perf_counter()
            next_step()
            times.append(time.perf_counter() - began)
    assert sorted(times)[100] < 100e-6
