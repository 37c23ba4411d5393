"""Running a study in this process: the bench, the dense model's measure, then trial after trial."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pareto_prune import artifacts
from pareto_prune.bench import Bench, calibrate, prepare
from pareto_prune.config import seconds
from pareto_prune.early_stopping import StopRule
from pareto_prune.front import Front, front_of, plateaued
from pareto_prune.progress import Progress, Silent
from pareto_prune.records import Candidate, DenseReference, Trial, TrialResult, TrialState
from pareto_prune.reference import take_named_references, take_reference
from pareto_prune.search_space import SearchSpace
from pareto_prune.starters import starting_candidates
from pareto_prune.storage import StoredStudy
from pareto_prune.trial import run_trial
from pareto_prune.worker import Assignment, WorkerEvent, work


class Watcher(Progress, Protocol):
    """A :class:`Progress` that is also told of whole trials."""

    def trial_started(self, number: int, total: int, candidate: Candidate | None) -> None:
        """Say that a trial begins."""

    def trial_finished(self, trial: Trial, front: Front) -> None:
        """Say that a trial has ended, and what the front is now."""


class Unwatched(Silent):
    """Nobody watches."""

    def trial_started(self, number: int, total: int, candidate: Candidate | None) -> None:
        """Do nothing."""

    def trial_finished(self, trial: Trial, front: Front) -> None:
        """Do nothing."""


def run_study(study: StoredStudy, folder: Path, watcher: Watcher | None = None) -> None:
    """Work on a study until it has its trials or its time is over.

    Args:
        study: in its storage.
        folder: where its models are kept.
        watcher: told of stages and trials.

    Raises:
        UserError: the model or data do not serve, or the device is not the study's.
        RepeatedFailureError: three trials in a row failed in the same way.
        KeyboardInterrupt: SIGINT or SIGTERM came; the trial in hand waits to be run again.
    """
    began = time.monotonic()
    if _done(study):
        return
    shown = watcher or Unwatched()
    bench = prepare(study.config, folder, shown)
    study.bind_profile(bench.measurer.profile())
    reference = take_reference(study, bench)
    runner = Runner(study, bench, folder, reference, shown)
    calibrate(bench)
    take_named_references(study, bench, reference)
    space = SearchSpace.of(study.config, bench.whole.architecture)
    study.enqueue(starting_candidates(study.config, space), space)
    limit = study.config.limits.time
    left = None if limit is None else max(0.0, seconds(limit) - (time.monotonic() - began))
    work(study, runner.run, space, on_event=runner.watch, time_limit=left, stop=runner.stop)


def _done(study: StoredStudy) -> bool:
    counts = study.counts()
    finished = sum(n for s, n in counts.items() if s.finished)
    plateau = study.config.limits.plateau
    return finished >= study.trials_asked or (
        plateau is not None and plateaued(study.read(), plateau)
    )


@dataclass(frozen=True)
class Runner:
    """Runs the trials of one study on one bench, keeps their models, tells the watcher.

    ``stop`` is set once the hypervolume has stopped to rise, where the study says so.
    """

    study: StoredStudy
    bench: Bench
    folder: Path
    reference: DenseReference
    watcher: Watcher
    stop: threading.Event = field(default_factory=threading.Event)

    def run(self, assignment: Assignment) -> TrialResult:
        """Run one trial and keep its model."""
        finished = run_trial(
            self.bench,
            assignment.candidate,
            self.reference,
            seed=assignment.seed,
            check=assignment.check,
            on_rung=assignment.report_rung,
            rule=lambda: StopRule.of(self.study.read(), self.study.config),
        )
        if finished.result.state is TrialState.STOPPED or not (finished.model and finished.plan):
            return finished.result
        tokenizer = self.bench.whole.dense.tokenizer
        path = artifacts.keep(
            self.folder, assignment.number, finished.model, tokenizer, finished.plan
        )
        return finished.result.model_copy(update={"artifact": str(path)})

    def watch(self, event: WorkerEvent) -> None:
        """Show what the worker says, and drop the models that left the front."""
        if event.trial is None:
            return
        asked = self.study.config.limits.trials
        if event.kind == "claimed":
            self.watcher.trial_started(event.trial.number, asked, event.trial.candidate)
        if event.kind in ("told", "failed"):
            assert event.result is not None
            ended = {"state": event.result.state, "result": event.result}
            trial = event.trial.model_copy(update=ended)
            study = self.study.read()
            artifacts.sweep(self.folder, study)
            self.watcher.trial_finished(trial, front_of(study))
            if plateaued(study, self.study.config.limits.plateau):
                self.stop.set()
