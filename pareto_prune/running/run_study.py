"""Running a study: its workers, wherever a launcher puts them, and whoever watches.

Loads no torch: what runs the trials, :mod:`pareto_prune.running.trial_runner`, is loaded by the
workers.
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import Protocol

from pareto_prune.core.durations import seconds
from pareto_prune.core.progress import Progress, Silent
from pareto_prune.core.records import Candidate, Study, Trial, finished_of
from pareto_prune.results.front import front_of
from pareto_prune.results.history import plateaued
from pareto_prune.results.records import Front
from pareto_prune.running.assignment import RunTrial
from pareto_prune.running.launch import Job, Launcher, launchers
from pareto_prune.running.worker_events import WorkerEvent
from pareto_prune.search.space import SearchSpace
from pareto_prune.storage import StoredStudy, open_storage


class Watcher(Progress, Protocol):
    """A :class:`Progress` that is also told of whole trials."""

    def trial_started(self, number: int, total: int, candidate: Candidate | None) -> None:
        """Say that a trial begins."""

    def trial_finished(self, trial: Trial, front: Front) -> None:
        """Say that a trial has ended, and what the front is now."""

    def trial_dropped(self, number: int) -> None:
        """Say that a trial is not run here any more: handed back, or another worker's."""


class Unwatched(Silent):
    """Nobody watches."""

    def trial_started(self, number: int, total: int, candidate: Candidate | None) -> None:
        """Do nothing."""

    def trial_finished(self, trial: Trial, front: Front) -> None:
        """Do nothing."""

    def trial_dropped(self, number: int) -> None:
        """Do nothing."""


def run_study(
    study: StoredStudy,
    url: str,
    watcher: Watcher | None = None,
    launcher: Launcher | None = None,
) -> None:
    """Work on a study until it has its trials, its time is over, or it was told to end.

    Args:
        study: in its storage, with the place of its artifacts.
        url: of that storage, for the workers.
        watcher: told of stages and trials.
        launcher: where its workers run; one in this process by default.

    Raises:
        UserError: the model or data do not serve, or the device is not the study's.
        RepeatedFailureError: three trials in a row failed in the same way.
        TrialError: no worker could prepare.
        KeyboardInterrupt: SIGINT or SIGTERM came; trials in hand wait to be run again.
    """
    if is_done(study):
        return
    shown = watcher or Unwatched()
    limit = study.config.limits.time
    job = Job(
        storage=url,
        study=study.name,
        prepare=functools.partial(prepare, url, study.name),
        space=functools.partial(space_of, url, study.name),
        time_limit=None if limit is None else seconds(limit),
        progress=shown,
    )
    chosen = launcher or launchers.create("inline")
    stop = threading.Event()
    chosen.launch(job, Watch(study, shown, stop), stop)


def prepare(url: str, name: str, progress: Progress) -> RunTrial:
    """Return what runs the trials of a study, in a worker's process."""
    from pareto_prune.running.trial_runner import runner_of

    return runner_of(open_storage(url).open_study(name), progress).run


def space_of(url: str, name: str) -> SearchSpace:
    """Return the space of a study that a worker has prepared for."""
    storage = open_storage(url)
    try:
        study = storage.open_study(name)
        reference = study.reference
    finally:
        storage.close()
    assert reference is not None, "a worker has prepared"
    return SearchSpace.of(study.config, reference.architecture, formats=reference.formats)


def is_done(study: StoredStudy) -> bool:
    """Return whether a study is to have no more trials: it has them, or was told to end."""
    if study.state.final or finished_of(study.counts()) >= study.trials_asked:
        return True
    return is_flat(study)


def is_flat(study: StoredStudy) -> bool:
    """Return whether a study's hypervolume does not rise any more, where its file says to look."""
    plateau = study.config.limits.plateau
    return plateau is not None and plateaued(study.read(), plateau)


def why_left(study: Study, plateau: int | None) -> str:
    """Return why a study was left before it had its trials."""
    if study.state.final:
        return f"the study was {study.state.value}, which is final"
    flat = plateaued(study, plateau)
    return "the hypervolume does not rise any more" if flat else "the time limit was reached"


@dataclass(frozen=True)
class Watch:
    """Shows what the workers of one run do, and drops the models that left the front.

    ``stop`` is set once the hypervolume has stopped to rise, where the study says so.
    """

    study: StoredStudy
    watcher: Watcher
    stop: threading.Event

    def __call__(self, event: WorkerEvent) -> None:
        """Take one event in."""
        if event.kind == "paused":
            self.watcher.note(f"paused: `pareto-prune resume {self.study.name}` lets it go on")
        if event.trial is None:
            return
        if event.kind == "claimed":
            asked = self.study.trials_asked
            self.watcher.trial_started(event.trial.number, asked, event.trial.candidate)
        if event.kind in ("told", "failed"):
            self._ended(event, event.trial)
        if event.kind in ("lost", "handed_back"):
            self.watcher.trial_dropped(event.trial.number)

    def _ended(self, event: WorkerEvent, trial: Trial) -> None:
        assert event.result is not None
        ended = trial.model_copy(update={"state": event.result.state, "result": event.result})
        study = self.study.read()
        self._sweep(study, self.study.artifacts, self.study.now)
        self.watcher.trial_finished(ended, front_of(study))
        if plateaued(study, self.study.config.limits.plateau):
            self.stop.set()

    def _sweep(self, study: Study, artifacts: str, now: float) -> None:
        """Drop the models that left the front; where that fails the run goes on."""
        from pareto_prune.export.kept_models.store import Artifacts

        try:
            Artifacts(artifacts).sweep(study, now, self.study.sharing)
        except Exception as error:  # every file system has errors of its own
            said = f"{type(error).__name__}: {error}"
            self.watcher.note(f"models that left the front are not removed yet: {said}")
