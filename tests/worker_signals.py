"""What signals do to a worker's loop; run by ``test_worker.py`` in a process of its own."""

from __future__ import annotations

import signal

import pytest

from pareto_prune.core.records import TrialResult, TrialState
from pareto_prune.running.assignment import Assignment
from pareto_prune.running.interruptions import Interruptions
from pareto_prune.running.worker import work
from pareto_prune.running.worker_events import WorkerEvent
from pareto_prune.storage import StoredStudy
from tests.storage.scripted import result_of, run_scripted
from tests.test_worker import SPACE, counts, folder, kinds, study

__all__ = ["folder", "study"]


def test_a_keyboard_interrupt_hands_back_and_goes_through(study: StoredStudy) -> None:
    events: list[WorkerEvent] = []

    def run(assignment: Assignment) -> TrialResult:
        if assignment.number == 2:
            signal.raise_signal(signal.SIGINT)
        return result_of(assignment.candidate)

    with pytest.raises(KeyboardInterrupt):
        work(study, run, SPACE, on_event=events.append)
    assert kinds(events)[-1] == "handed_back"
    assert counts(study) == {TrialState.COMPLETE: 2, TrialState.WAITING: 1}


def test_a_signal_during_a_tell_waits_for_its_end(
    study: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = study.tell

    def interrupted(*given):
        signal.raise_signal(signal.SIGTERM)
        return tell(*given)

    monkeypatch.setattr(study, "tell", interrupted)
    events: list[WorkerEvent] = []
    with pytest.raises(KeyboardInterrupt):
        work(study, run_scripted, SPACE, on_event=events.append)
    assert kinds(events) == ["claimed", "rung", "told"]
    assert counts(study) == {TrialState.COMPLETE: 1}


def test_a_second_signal_gets_through_a_shield() -> None:
    reached: list[str] = []

    def twice() -> None:
        with Interruptions() as interruptions, interruptions.shield():
            signal.raise_signal(signal.SIGINT)
            reached.append("first")
            signal.raise_signal(signal.SIGINT)
            reached.append("second")

    with pytest.raises(KeyboardInterrupt):
        twice()
    assert reached == ["first"]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
