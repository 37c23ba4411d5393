"""The live display on a scripted clock, on a made-up terminal and in a log."""

from __future__ import annotations

import io
import os
import pty
import signal
import subprocess
import sys
import threading

import pytest
from rich.console import Console

from pareto_prune.core.progress import Progress
from pareto_prune.core.records import Candidate, Trial, TrialState
from pareto_prune.results.front import front_of
from pareto_prune.running.display import Display
from pareto_prune.running.display.lines import trial_line
from tests import synthetic
from tests.results.test_front import values
from tests.synthetic import study_of, trial


class Hands:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def console(terminal: bool, width: int = 100) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=terminal, width=width, height=20, color_system=None
    )


def log(console: Console) -> list[str]:
    return console.file.getvalue().splitlines()


def threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "display"]


CANDIDATE = Candidate(strategy="balanced", importance="obs")


def test_it_is_a_progress():
    watcher: Progress = Display(console(False))
    watcher.stage("dense model", 10)


def test_a_log_has_stages_and_trials_a_line_each():
    clock, out = Hands(), console(False)
    study = synthetic.study()
    with Display(out, clock=clock) as display:
        display.stage("dense model", 500)
        clock.now = 65
        display.stage("calibration")
        clock.now = 75
        display.trial_started(17, 40, CANDIDATE)
        display.stage("fine-tune", 60)
        display.advance(60)
        clock.now = 90
        display.trial_finished(study.trials[17], front_of(study))
    assert log(out) == [
        "[  0:00] dense model (500 steps)",
        "[  1:05] dense model: done in 65 s",
        "[  1:05] calibration",
        "[  1:15] calibration: done in 10 s",
        "[  1:30] trial 17/40  balanced/obs          83.9 %  latency 0.55×  energy ≈0.41×"
        "  on the front",
    ]


def test_a_log_shows_signs_of_life_every_half_minute_of_steps():
    clock, out = Hands(), console(False)
    with Display(out, clock=clock) as display:
        display.stage("dense model", 100)
        for _ in range(100):
            clock.now += 1
            display.advance()
    beats = [line for line in log(out) if line.endswith("steps")]
    assert beats == [
        f"[  {t // 60}:{t % 60:02d}] dense model: {t} of 100 steps" for t in (30, 60, 90)
    ]


def test_a_log_has_no_control_characters():
    out = console(False)
    with Display(out) as display:
        display.stage("a\x1b[31m\rb")
        display.note("[red]note[/]\x07")
    assert "\x1b" not in out.file.getvalue()
    assert "[red]note[/]" in out.file.getvalue()


@pytest.mark.parametrize(
    ("made", "ending"),
    [
        (trial(0, values(0.82, 0.5, 0.5)), "on the front"),
        (trial(0, values(0.82, 1.2, 1.2)), "dominated"),
        (trial(0, values(0.5, 0.1, 0.1), violations={"accuracy": 1.0}), "breaks a constraint"),
        (
            trial(0, values(0.7, 0.5, 0.5), state=TrialState.STOPPED, stop_reason="at step 15"),
            "stopped early at step 15",
        ),
        (Trial(number=0, state=TrialState.FAILED, candidate=CANDIDATE), "failed"),
    ],
)
def test_each_trial_says_where_it_stands(made, ending):
    assert trial_line(made, front_of(study_of(made))).plain.endswith(f"  {ending}")


def test_a_failed_trial_says_why():
    study = synthetic.study()
    failed = next(t for t in study.trials if t.state is TrialState.FAILED)
    line = trial_line(failed, front_of(study)).plain
    assert line.endswith("failed: nan_loss: the loss is not a number at step 12")


def render(display: Display) -> str:
    out = console(False, width=120)
    out.print(display._view._render())
    return out.file.getvalue()


def test_a_terminal_shows_stage_trial_best_front_volume_and_time_left():
    clock = Hands()
    study = synthetic.study()
    display = Display(console(True), clock=clock)
    display.trial_started(17, 50, CANDIDATE)
    clock.now = 30
    display.trial_finished(study.trials[17], front_of(study))
    display.trial_started(41, 50, CANDIDATE)
    display.stage("fine-tune", 60)
    display.advance(15)
    text = render(display)
    display.__exit__(None, None, None)
    for part in (
        "trial 41 of 50, balanced/obs · fine-tune", "15/60", "best 83.9 % 1.8× faster",
        "front 8", "hypervolume 0.077", "5 min left",
    ):  # fmt: skip
        assert part in text


def test_time_left_is_bounded_by_the_time_limit_and_counts_down():
    clock = Hands()
    study = synthetic.study()
    display = Display(console(True), clock=clock, time_limit=120)
    display.trial_started(0, 50, CANDIDATE)
    clock.now = 30
    display.trial_finished(study.trials[17], front_of(study))
    assert "2 min left" in render(display)
    clock.now = 80
    assert "40 s left" in render(display)
    display.__exit__(None, None, None)


def test_the_spinner_moves_by_itself():
    display = Display(console(True))
    with display:
        first = display._console.file.getvalue()
        moved = threading.Event()
        refresh = display._view._live.refresh
        display._view._live.refresh = lambda: (refresh(), moved.set())
        assert moved.wait(3)
        assert len(display._console.file.getvalue()) > len(first)


def test_no_thread_is_alive_while_it_is_quiet():
    out = console(True)
    with Display(out) as display:
        assert threads() == ["display"]
        display.stage("measure")
        display.quiet()
        assert threads() == []
        before = out.file.getvalue()
        display.note("kept until later")
        display.advance()
        assert out.file.getvalue() == before
        assert "the display rests" in before
        display.stage("fine-tune", 60)
        assert threads() == ["display"]
        assert "kept until later" in out.file.getvalue()
    assert threads() == []


def test_a_trial_that_ends_while_measuring_is_shown():
    out = console(True)
    study = synthetic.study()
    with Display(out) as display:
        display.trial_started(17, 40, CANDIDATE)
        display.quiet()
        display.trial_finished(study.trials[17], front_of(study))
        assert threads() == ["display"]
        assert "on the front" in out.file.getvalue()


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("quiet", [False, True])
def test_the_terminal_is_restored_on_exceptions(error, quiet):
    out = console(True)

    def work() -> None:
        with Display(out) as display:
            display.stage("x")
            if quiet:
                display.quiet()
            raise error

    with pytest.raises(error):
        work()
    text = out.file.getvalue()
    assert text.rindex("\x1b[?25h") > text.rindex("\x1b[?25l")
    assert threads() == []


def test_a_terminal_that_is_gone_does_not_end_the_work():
    out = console(False)
    with Display(out) as display:
        display.stage("x")
        out.file.close()
        display.stage("y", 3)
        display.advance()
        display.note("z")


def test_ctrl_c_in_a_real_terminal_leaves_the_cursor_visible():
    code = (
        "from pareto_prune.running.display import Display\n"
        "import signal\n"
        "with Display() as d:\n"
        "    d.stage('working', 10)\n"
        "    d.note('ready')\n"
        "    signal.pause()\n"
    )
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True,
        env=os.environ | {"TERM": "xterm"},
    )  # fmt: skip
    os.close(theirs)
    seen = read_until(ours, b"ready")
    process.send_signal(signal.SIGINT)
    seen += read_until(ours, None)
    os.close(ours)
    assert process.wait(20) != 0
    assert b"KeyboardInterrupt" in seen
    assert seen.rindex(b"\x1b[?25h") > seen.rindex(b"\x1b[?25l")


def read_until(descriptor: int, mark: bytes | None) -> bytes:
    seen = b""
    while mark is None or mark not in seen:
        try:
            part = os.read(descriptor, 4096)
        except OSError:
            return seen
        if not part:
            return seen
        seen += part
    return seen
