"""What runs the trials of one study in one process: the bench, the dense model, the yardstick.

::

    no reference yet ─► take the lease ─► dense model ─► artifacts ─► starters ─► reference
                            │ somebody has it                                        │
                            └── wait ◄───────────────────────────────────────────────┘
                                  └─► load the dense model that the others use, or be refused
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from dataclasses import dataclass, replace

from pareto_prune.core.errors import TrialError, UserError
from pareto_prune.core.progress import Progress
from pareto_prune.core.records import Candidate, DenseReference, TrialResult
from pareto_prune.export.kept_models.front_membership import joins
from pareto_prune.export.kept_models.of_trial import opened_model
from pareto_prune.export.kept_models.store import Artifacts
from pareto_prune.export.loading import load
from pareto_prune.export.manifest import Manifest
from pareto_prune.results.members import result_of
from pareto_prune.running.assignment import Assignment
from pareto_prune.running.lease_keeper import Keeper
from pareto_prune.running.worker import default_name
from pareto_prune.search.early_stopping import StopRule
from pareto_prune.search.formats import left_out
from pareto_prune.search.space import SearchSpace
from pareto_prune.search.starters import starting_candidates
from pareto_prune.storage import LeaseLostError, StoredStudy
from pareto_prune.trials.bench import Bench, calibrate, prepare
from pareto_prune.trials.finished import Finished
from pareto_prune.trials.rate import with_rate
from pareto_prune.trials.reference import (
    measured_reference,
    missing_references,
    take_named_references,
)
from pareto_prune.trials.trial import run_trial

DENSE_LEASE = "dense"
"""Name of the lease on what is made once a study."""
REFERENCES_LEASE = "references"
"""Name of the lease on measuring the named references."""
_POLL_SECONDS, _RARER = 1.0, 10


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
            began=self._began(assignment.candidate),
        )
        return self._keep(assignment.number, finished)

    def _began(self, candidate: Candidate) -> Finished | None:
        """Return what a promotion goes on from; ``None`` for any other candidate.

        Raises:
            TrialError: its model is not there any more, or is damaged.
        """
        if candidate.parent is None:
            return None
        study, device = self.study.read(), str(self.bench.whole.dense.model.device)
        parent = next(trial for trial in study.trials if trial.number == candidate.parent)
        try:
            with opened_model(study, parent) as folder:
                plan, model = Manifest.read(folder).plan, load(folder, device=device)
        except UserError as error:
            raise TrialError("parent_gone", str(error)) from error
        return Finished(result_of(parent), plan, model)

    def _keep(self, number: int, finished: Finished) -> TrialResult:
        """Keep the model of a trial that joins the front; a full disk costs the model only."""
        result = finished.result
        if finished.model is None or finished.plan is None:
            return result
        if not joins(self.study.read(), number, result):
            return result
        tokenizer = finished.tokenizer or self.bench.whole.dense.tokenizer
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
    until it has, or has died over it, and load what it made. They write nothing.

    Raises:
        UserError: the model or data do not serve, the device is not the study's, or the study's
            data or dense model is not what it was started with.
    """
    kept, bench = Artifacts(study.artifacts), None
    while (reference := study.reference) is None:
        bench = _begin(study, kept, progress)
    if bench is None or bench.whole.dense.digest != reference.digest:
        bench = _join(study, kept, progress, reference)
    calibrate(bench)
    bench = replace(bench, rate=reference.rate)
    _take_named_references(study, bench, reference)
    return Runner(study, bench, reference, kept)


def _begin(study: StoredStudy, kept: Artifacts, progress: Progress) -> Bench | None:
    """Make the dense model and take the reference; ``None`` where another worker does."""
    with _turn(study, progress) as first, suppress(LeaseLostError):
        if first:
            return _begun(study, kept, progress)
    return None


def _begun(study: StoredStudy, kept: Artifacts, progress: Progress) -> Bench:
    def check() -> None:
        if not study.keep(DENSE_LEASE):
            raise LeaseLostError

    bench = prepare(study.config, kept.folder, progress, check=check)
    study.bind_profile(bench.measurer.profile(), DENSE_LEASE)
    kept.share_dense(check)
    reference = measured_reference(with_rate(bench))
    space = SearchSpace.of(study.config, reference.architecture, formats=reference.formats)
    study.enqueue(starting_candidates(study.config, space), space, DENSE_LEASE)
    study.set_reference(reference, DENSE_LEASE)
    for said in left_out(study.config.search.deployment.get("dtype", ()), reference.formats):
        progress.note(said)
        study.event("format_left_out", said)
    return bench


@contextmanager
def _turn(study: StoredStudy, progress: Progress) -> Iterator[bool]:
    """Wait for the reference, or for the lease to take it; yield whether it is ours to take."""
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
        time.sleep(_POLL_SECONDS * min(1 + attempt, _RARER))
    raise AssertionError("unreachable")


def _join(
    study: StoredStudy, kept: Artifacts, progress: Progress, reference: DenseReference
) -> Bench:
    """Return the bench of a study that has its reference."""
    kept.fetch_dense(reference.digest)
    bench = prepare(study.config, kept.folder, progress, reference)
    study.bind_profile(bench.measurer.profile())
    return bench


def _take_named_references(study: StoredStudy, bench: Bench, reference: DenseReference) -> None:
    """Take those that are missing, unless another worker is at it."""
    if not missing_references(study):
        return
    name = f"{default_name()}/{REFERENCES_LEASE}"
    try:
        if study.acquire(REFERENCES_LEASE, name):
            with (
                Keeper(lambda: study.keep(REFERENCES_LEASE), study.lease_seconds),
                suppress(LeaseLostError),
            ):
                take_named_references(study, bench, reference, REFERENCES_LEASE)
    finally:
        study.release(REFERENCES_LEASE)
        study.leave(name)
