"""What runs the trials of one study in one process: the bench, the dense model, the yardstick.

::

    no reference yet ─► take the lease ─► dense model ─► artifacts ─► starters ─► reference
                            │ somebody has it                                        │
                            └── wait ◄───────────────────────────────────────────────┘
                                  └─► load the dense model that the others use
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from pareto_prune.core.errors import MismatchError, Problem
from pareto_prune.core.progress import Progress
from pareto_prune.core.records import DenseReference, TrialResult
from pareto_prune.export.kept_models.front_membership import joins
from pareto_prune.export.kept_models.store import Artifacts
from pareto_prune.running.assignment import Assignment
from pareto_prune.running.lease_keeper import Keeper
from pareto_prune.running.worker import default_name
from pareto_prune.search.early_stopping import StopRule
from pareto_prune.search.space import SearchSpace
from pareto_prune.search.starters import starting_candidates
from pareto_prune.storage import StoredStudy
from pareto_prune.trials.bench import Bench, calibrate, prepare
from pareto_prune.trials.reference import missing_references, take_named_references, take_reference
from pareto_prune.trials.trial import Finished, run_trial

DENSE_LEASE = "dense"
"""Name of the lease on what is made once a study."""
REFERENCES_LEASE = "references"
"""Name of the lease on measuring the named references."""
_POLL_SECONDS = 1.0


@dataclass(frozen=True)
class Runner:
    """Runs the trials of one study on one bench and keeps the models that nothing beats."""

    study: StoredStudy
    bench: Bench
    reference: DenseReference
    kept: Artifacts

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
        return self._keep(assignment.number, finished)

    def _keep(self, number: int, finished: Finished) -> TrialResult:
        """Keep the model of a trial that joins the front; a full disk costs the model only."""
        result = finished.result
        if finished.model is None or finished.plan is None:
            return result
        if not joins(self.study.read(), number, result):
            return result
        tokenizer = self.bench.whole.dense.tokenizer
        try:
            kept = self.kept.keep(number, finished.model, tokenizer, finished.plan)
        except Exception as error:  # every file system has errors of its own
            said = f"the model of trial {number} is not kept: {type(error).__name__}: {error}"
            self.bench.progress.note(said)
            self.study.event("not_kept", said)
            return result
        return result.model_copy(update={"artifact": kept.place, "artifact_digest": kept.digest})


def runner_of(study: StoredStudy, progress: Progress) -> Runner:
    """Return what runs the study's trials in this process.

    The first worker of a study makes the dense model and takes the reference; the others wait
    until it has, or has died over it, and load what it made.

    Raises:
        UserError: the model or data do not serve, the device is not the study's, or the study's
            dense model is not where it was kept.
    """
    kept = Artifacts(study.artifacts)
    with _turn(study, progress) as first:
        if not first:
            kept.fetch_dense()
        bench = prepare(study.config, kept.folder, progress)
        study.bind_profile(bench.measurer.profile())
        if first:
            kept.share_dense()
            space = SearchSpace.of(study.config, bench.whole.architecture)
            study.enqueue(starting_candidates(study.config, space), space)
        reference = take_reference(study, bench)
        _check_dense(bench, reference, kept)
    calibrate(bench)
    _take_named_references(study, bench, reference)
    return Runner(study, bench, reference, kept)


@contextmanager
def _turn(study: StoredStudy, progress: Progress) -> Iterator[bool]:
    """Wait for the reference, or for the lease to take it; yield whether it is ours to take."""
    if study.reference is not None:
        yield False
        return
    name = f"{default_name()}/{DENSE_LEASE}"
    try:
        first = _is_first(study, name, progress)
        with (
            Keeper(lambda: study.keep(DENSE_LEASE), study.lease_seconds) if first else nullcontext()
        ):
            yield first
    finally:
        study.release(DENSE_LEASE)
        study.leave(name)


def _is_first(study: StoredStudy, name: str, progress: Progress) -> bool:
    """Wait until the reference is there, or the lease is ours to take it; return whether it is."""
    for attempt in itertools.count():
        held = study.acquire(DENSE_LEASE, name)
        if study.reference is not None:
            return False
        if held:
            return True
        if attempt == 0:
            progress.stage("waiting for the worker that makes the dense model")
        time.sleep(_POLL_SECONDS)
    raise AssertionError("unreachable")


def _take_named_references(study: StoredStudy, bench: Bench, reference: DenseReference) -> None:
    """Take those that are missing, unless another worker is at it."""
    if not missing_references(study):
        return
    name = f"{default_name()}/{REFERENCES_LEASE}"
    try:
        if study.acquire(REFERENCES_LEASE, name):
            with Keeper(lambda: study.keep(REFERENCES_LEASE), study.lease_seconds):
                take_named_references(study, bench, reference)
    finally:
        study.release(REFERENCES_LEASE)
        study.leave(name)


def _check_dense(bench: Bench, reference: DenseReference, kept: Artifacts) -> None:
    """Raise where the dense model at hand is not the one that the study was measured against."""
    found = bench.whole.dense.digest
    if found != reference.digest:
        wrong = (
            f"the dense model there is not the study's (SHA-256 {found[:12]}…, "
            f"recorded {reference.digest[:12]}…)"
        )
        advice = "allowed: the folder that the study was started with, shared by all hosts"
        raise MismatchError(Problem(kept.root, wrong, advice))
