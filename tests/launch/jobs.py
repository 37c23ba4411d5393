"""What child processes run: importable, so that they can be given by name."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path

from pareto_prune.core.errors import StorageAwayError, TrialError, UserError
from pareto_prune.core.progress import Progress
from pareto_prune.core.records import TrialResult
from pareto_prune.running.assignment import Assignment, RunTrial
from tests.storage.scripted import result_of, run_scripted, rung_of


def prepare(progress: Progress) -> RunTrial:
    """Trials that say in which process they ran, with which variables."""

    def run(assignment: Assignment) -> TrialResult:
        assignment.report_rung(rung_of(0))
        told = {"pid": float(os.getpid()), "threads": float(os.environ["OMP_NUM_THREADS"])}
        return result_of(assignment.candidate, timings=told)

    return run


def prepare_dying(folder: str, how: str, progress: Progress) -> RunTrial:
    """Trials of which number 2 kills its process, once a folder."""

    def run(assignment: Assignment) -> TrialResult:
        if assignment.number == 2 and not (Path(folder) / "died").exists():
            (Path(folder) / "died").touch()
            if how == "exit":
                os._exit(7)
            os.kill(os.getpid(), getattr(signal, how))
        return run_scripted(assignment)

    return run


def prepare_failing(progress: Progress) -> RunTrial:
    """Trials that fail in their own ways."""

    def run(assignment: Assignment) -> TrialResult:
        if assignment.number % 2:
            raise TrialError("nan_loss", "step 3")
        return result_of(assignment.candidate, timings={"pid": float(os.getpid())})

    return run


def prepare_cut_off(progress: Progress) -> RunTrial:
    """Trials that find the database away."""

    def run(assignment: Assignment) -> TrialResult:
        raise StorageAwayError("storage: connection refused")

    return run


def prepare_hanging(progress: Progress) -> RunTrial:
    """Trials of which number 1 never ends and never checks."""

    def run(assignment: Assignment) -> TrialResult:
        if assignment.number == 1:
            threading.Event().wait()
        return run_scripted(assignment)

    return run


def prepare_long(folder: str, progress: Progress) -> RunTrial:
    """Trials that leave their process id and then wait for ever."""

    def run(assignment: Assignment) -> TrialResult:
        (Path(folder) / f"pid-{os.getpid()}").touch()
        os.write(sys.stderr.fileno(), b"running\n")
        threading.Event().wait()
        return run_scripted(assignment)

    return run


def prepare_gated(folder: str, progress: Progress) -> RunTrial:
    """Trials that leave the name of their node, and wait until the folder says go."""

    def run(assignment: Assignment) -> TrialResult:
        (Path(folder) / f"on-{os.environ.get('NODE', 'head')}").touch()
        while not (Path(folder) / "go").exists():
            time.sleep(0.05)
        return run_scripted(assignment)

    return run


def prepare_on_gpu(progress: Progress) -> RunTrial:
    """Trials that say which GPU they see."""

    def run(assignment: Assignment) -> TrialResult:
        told = {"gpu": float(os.environ["CUDA_VISIBLE_DEVICES"])}
        return result_of(assignment.candidate, timings=told)

    return run


def prepare_alike(progress: Progress) -> RunTrial:
    """Trials that all fail in one way."""

    def run(assignment: Assignment) -> TrialResult:
        raise TrialError("nan_loss", "step 3")

    return run


def prepare_nothing(progress: Progress) -> RunTrial:
    """Preparing finds what only the user can change."""
    raise UserError("the data is gone")


def prepare_broken(progress: Progress) -> RunTrial:
    """Preparing fails."""
    raise ZeroDivisionError("in preparing")
