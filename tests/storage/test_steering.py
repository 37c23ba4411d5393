"""What a study is told: which orders it takes, and what they meet in the middle of something."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable

import pytest

import pareto_prune
from pareto_prune import api
from pareto_prune.core.errors import UserError
from pareto_prune.core.records import Trial, TrialResult, TrialState
from pareto_prune.core.study_state import StudyState
from pareto_prune.results.tables import status_view, studies_table
from pareto_prune.running.assignment import Assignment
from pareto_prune.running.run_study import Unwatched, Watch
from pareto_prune.running.worker import work
from pareto_prune.running.worker_events import WorkerEvent
from pareto_prune.storage import Storage, StoredStudy, open_storage, telling, verb_of
from tests.results.test_tables import drawn
from tests.storage.scripted import result_of, run_scripted, space_of, study_config

SPACE = space_of(study_config())
CANDIDATE = SPACE.to_candidate({gene.name: gene.only for gene in SPACE.genes})
LEADS_TO = {
    ("open", "pause"): "paused",
    ("open", "resume"): "open",
    ("open", "stop"): "stopped",
    ("open", "cancel"): "cancelled",
    ("paused", "pause"): "paused",
    ("paused", "resume"): "open",
    ("paused", "stop"): "stopped",
    ("paused", "cancel"): "cancelled",
    ("stopped", "stop"): "stopped",
    ("stopped", "cancel"): "cancelled",
    ("cancelled", "cancel"): "cancelled",
}
WAY_TO = {"open": (), "paused": ("pause",), "stopped": ("stop",), "cancelled": ("cancel",)}


def running(study: StoredStudy) -> Trial:
    trial = study.claim("w")
    assert trial is not None
    ready = study.assign(trial, CANDIDATE, SPACE)
    assert ready is not None
    return ready


def counts(study: StoredStudy) -> dict[TrialState, int]:
    return {state: count for state, count in study.counts().items() if count}


@pytest.mark.parametrize("before", WAY_TO)
def test_an_order_is_taken_or_refused_in_one_line(
    storage: Storage, study: StoredStudy, before: str
) -> None:
    for verb in ("pause", "resume", "stop", "cancel"):
        storage.delete("scripted")
        study = storage.create(study_config())
        for step in WAY_TO[before]:
            storage.steer("scripted", verb_of(step))
        after = LEADS_TO.get((before, verb))
        if after is None:
            with pytest.raises(UserError, match=r"which is final, allowed: .*copy scripted NEW"):
                storage.steer("scripted", verb_of(verb))
        else:
            assert storage.steer("scripted", verb_of(verb)) == after
        assert study.state == (after or before)
        told = [event.kind for event in study.events()]
        assert told == [*WAY_TO[before], *([verb] if after not in (None, before) else [])]


def test_an_unknown_order_is_refused() -> None:
    with pytest.raises(UserError, match=r"unknown verb 'pasue' \(did you mean 'pause'\?\)"):
        verb_of("pasue")


def test_a_study_that_was_deleted_takes_no_order(storage: Storage, study: StoredStudy) -> None:
    storage.delete("scripted")
    with pytest.raises(UserError, match="unknown study"):
        storage.steer("scripted", "pause")


def test_a_pause_between_claim_and_begin_lets_the_trial_end(
    storage: Storage, study: StoredStudy
) -> None:
    trial = study.claim("w")
    assert trial is not None
    storage.steer("scripted", "pause")
    ready = study.assign(trial, CANDIDATE, SPACE)
    assert ready is not None
    assert study.renew(ready)
    assert study.tell(ready, result_of(CANDIDATE))
    assert study.claim("w") is None
    storage.steer("scripted", "resume")
    assert study.claim("w") is not None


def test_a_stop_while_a_tell_is_under_way_loses_nothing(
    storage: Storage, study: StoredStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial = running(study)
    stops = threading.Thread(target=storage.steer, args=("scripted", "stop"))
    tell = telling.write_end

    def slow(*arguments: object) -> None:
        stops.start()  # SQLite lets it wait until the end, PostgreSQL lets it through
        time.sleep(0.05)
        tell(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(telling, "write_end", slow)
    assert study.tell(trial, result_of(CANDIDATE))
    stops.join(timeout=30)
    assert (study.state, counts(study)) == (StudyState.STOPPED, {TrialState.COMPLETE: 1})
    assert study.claim("w") is None


def test_a_cancel_takes_the_trial_of_a_worker_that_is_away(
    storage_url: str, study: StoredStudy
) -> None:
    """The worker may come back much later: what it brings counts no more."""
    trial = running(study)
    pareto_prune.cancel("scripted", storage_url)
    assert counts(study) == {TrialState.WAITING: 1}
    assert study.read().trials[0].worker is None
    assert [worker.number for worker in study.workers()] == [None]
    assert not study.renew(trial)
    assert not study.tell(trial, result_of(CANDIDATE))
    assert [(event.kind, event.text) for event in study.events()][1:] == [
        ("handed_back", "cancelled")
    ]
    copy = open_storage(storage_url).copy("scripted", "copy")
    assert copy.state is StudyState.OPEN
    again = copy.claim("w")
    assert again is not None
    assert (again.number, again.candidate) == (0, CANDIDATE)


def test_a_worker_waits_while_the_study_is_paused(storage: Storage, study: StoredStudy) -> None:
    study.ask_for(3)
    said: list[str] = []

    class Notes(Unwatched):
        def note(self, text: str) -> None:
            said.append(text)

    watch = Watch(study, Notes(), threading.Event())
    kinds: list[str] = []

    def hear(event: WorkerEvent) -> None:
        watch(event)
        kinds.append(event.kind)
        if event.kind == "told" and kinds.count("told") == 1:
            storage.steer("scripted", "pause")
        if event.kind == "paused":
            storage.steer("scripted", "resume")

    assert work(study, run_scripted, SPACE, on_event=hear, poll=0.01) == 3
    assert said == ["paused: `pareto-prune resume scripted` lets it go on"]
    assert [kind for kind, _ in itertools.groupby(kinds)].count("paused") == 1


@pytest.mark.parametrize("verb", ["stop", "cancel"])
def test_workers_leave_a_study_that_has_ended(
    storage_url: str, study: StoredStudy, verb: str
) -> None:
    """The running trial of one that was stopped ends; that of a cancelled one is handed back."""
    storage = open_storage(storage_url, lease_seconds=0.2)
    mine = storage.open_study("scripted")
    kinds: list[str] = []

    def run(assignment: Assignment) -> TrialResult:
        if assignment.number == 1:
            storage.steer("scripted", verb_of(verb))
            _until(assignment.check, 0.0 if verb == "stop" else 30.0)
        return run_scripted(assignment)

    told = work(mine, run, SPACE, on_event=lambda event: kinds.append(event.kind), poll=0.01)
    ended = {"stop": (2, "told"), "cancel": (1, "handed_back")}
    assert (told, kinds[-1]) == ended[verb]
    assert study.workers()[0].ended is not None
    assert TrialState.RUNNING not in counts(study)


def _until(check: Callable[[], None], seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        check()
        time.sleep(0.01)


def test_who_comes_later_is_told_that_it_has_ended(storage_url: str, study: StoredStudy) -> None:
    study.keep_artifacts_at("nowhere")
    pareto_prune.stop("scripted", storage_url)
    outcome = api.work("scripted", storage_url)
    assert outcome.stopped_by == "0 of 12 trials: the study was stopped, which is final"
    assert outcome.state.final


def test_what_a_study_was_told_is_shown(storage_url: str, study: StoredStudy) -> None:
    open_ = drawn(status_view(api.status("scripted", storage_url)))
    assert "state" not in [line.split()[0] for line in open_ if line]
    pareto_prune.pause("scripted", storage_url)
    status = api.status("scripted", storage_url)
    assert status.state is StudyState.PAUSED
    assert any(line.split() == ["state", "paused"] for line in drawn(status_view(status)))
    assert any("0/12 paused" in line for line in drawn(studies_table(api.studies(storage_url))))
    assert pareto_prune.resume("scripted", storage_url) is StudyState.OPEN
