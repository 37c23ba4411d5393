"""One study in a storage, shared by all its workers: every verb is one transaction."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from sqlalchemy import Connection

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.records import (
    Candidate,
    Confirmation,
    DenseReference,
    Rung,
    Study,
    Trial,
    TrialResult,
    TrialState,
)
from pareto_prune.core.study_state import StudyState
from pareto_prune.storage import (
    claims,
    events,
    facts,
    history,
    leases,
    optuna_tables,
    promotions,
    reading,
    standing,
    telling,
    trial_rows,
    workers,
)
from pareto_prune.storage.claims import Claim
from pareto_prune.storage.database import Database
from pareto_prune.storage.events import StudyEvent
from pareto_prune.storage.leases import LEASE_SECONDS, LeaseLostError, Moment
from pareto_prune.storage.standing import Identity
from pareto_prune.storage.workers import WorkerStatus

if TYPE_CHECKING:
    from pareto_prune.search.past import Past
    from pareto_prune.search.space import SearchSpace

T = TypeVar("T")


class StoredStudy:
    """A study in a storage. Safe to use from several threads of a process.

    Args:
        database: that it is in.
        identity: which study it is; one that is gone is refused, whatever has its id.
        config: its study file, ``[limits]`` as they stand now.
        lease_seconds: how long its workers may be silent.
    """

    def __init__(
        self,
        database: Database,
        identity: Identity,
        config: StudyConfig,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self.identity = identity
        self.name = identity.name
        self.config = config
        self.lease_seconds = lease_seconds
        self._database = database
        self._id = identity.study
        self._lock = threading.Lock()
        self._workers: dict[str, str] = {}
        self._claims: dict[int, Claim] = {}
        self._named: dict[str, str] = {}
        self._finished: dict[int, Trial] = {}

    def _read(self, work: Callable[[Connection], T]) -> T:
        return self._database.read(lambda c: self._checked(c, work, standing.find))

    def _write(self, work: Callable[[Connection], T]) -> T:
        return self._database.write(lambda c: self._checked(c, work, standing.find_to_write))

    def _checked(
        self, connection: Connection, work: Callable[[Connection], T], look: standing.Find
    ) -> T:
        standing.check(connection, self.identity, look)
        return work(connection)

    # The trials, for whoever looks

    def read(self) -> Study:
        """Return all of the study. Finished trials are read and checked once a process."""
        with self._lock, reading.uncollected():
            last = max(self._finished, default=-1)
            gaps = [number for number in range(last + 1) if number not in self._finished]
            rows = self._read(lambda c: reading.study_rows(c, self._id, self.name, last, gaps))
            new = [reading.to_trial(row) for row in rows.trials]
            self._finished |= {trial.number: trial for trial in new if trial.state.finished}
            running = [trial for trial in new if not trial.state.finished]
            listed = sorted((*self._finished.values(), *running), key=lambda trial: trial.number)
        return rows.to_study(tuple(listed))

    def history(
        self, space: SearchSpace, last: int = -1, unfinished: Collection[int] = ()
    ) -> list[Past]:
        """Return what a sampler wants of the trials after ``last`` and of ``unfinished`` ones."""
        rows = self._read(lambda c: history.history_rows(c, self._id, last, unfinished))
        with reading.uncollected():
            return [history.to_past(row, space) for row in rows]

    def counts(self) -> dict[TrialState, int]:
        """Return how many trials stand where; every state is there."""
        return self._read(lambda c: reading.counts(c, self._id))

    def rungs(self, number: int) -> list[Rung]:
        """Return the rungs that a trial reported, those of a worker that died included."""
        return self._read(lambda c: trial_rows.rungs_of(c, self._id, number))

    def workers(self) -> list[WorkerStatus]:
        """Return the workers that ever worked on the study, by the time they started."""
        return self._read(lambda c: workers.statuses(c, self._id, self._database.now(c)))

    def events(self) -> list[StudyEvent]:
        """Return what happened, oldest first."""
        return self._read(lambda c: events.read(c, self._id))

    def event(self, kind: str, text: str, worker: str | None = None) -> None:
        """Write something that happened, where it is not of one trial."""
        at = self.now
        self._write(lambda c: events.record_once(c, self._id, at, kind, text, worker))

    @property
    def now(self) -> float:
        """Seconds since the epoch, in the database's time."""
        return self._read(self._database.now)

    # What was asked for

    @property
    def trials_asked(self) -> int:
        """How many trials the study has been asked for, as it stands in the storage."""
        return int(self._fact("trials_asked") or 0)

    @property
    def state(self) -> StudyState:
        """What the study was told last, as it stands in the storage."""
        return self._read(lambda c: facts.state(c, self._id))

    def ask_for(self, number: int) -> None:
        """Change the number of trials asked for."""
        if number < 1:
            raise UserError(Problem("limits.trials", f"{number} is wrong", "allowed: 1 or more"))
        limits = self.config.limits.model_copy(update={"trials": number})
        self.config = self.config.model_copy(update={"limits": limits})
        values = {"trials_asked": number, "config": self.config.model_dump_json()}
        self._write(lambda c: facts.change(c, self._id, **values))

    def enqueue(
        self, candidates: Iterable[Candidate], space: SearchSpace, lease: str | None = None
    ) -> None:
        """Put candidates in as waiting trials, in order, if the study has no trial yet.

        Raises:
            LeaseLostError: the one that it is done under is not held any more.
        """
        listed = list(candidates)
        self._write_under(lease, lambda c: trial_rows.begin(c, self._id, listed, space))

    # The trial in hand

    def claim(self, worker: str) -> Trial | None:
        """Give a worker one trial: a waiting one first, else a new one without a candidate.

        One transaction against the number of trials asked for. ``None`` where as many are taken,
        some of which may still come back (:meth:`counts`), or none is to begin (:attr:`state`).
        """
        token = leases.new_token()
        claimed = self._write(lambda c: self._claim(c, worker, token))
        if claimed is None:
            return None
        with self._lock:
            self._claims[claimed.number] = claimed
        return Trial(
            number=claimed.number,
            state=TrialState.RUNNING,
            candidate=claimed.candidate,
            started=claimed.started,
            worker=worker,
        )

    def _claim(self, connection: Connection, worker: str, token: str) -> Claim | None:
        optuna_tables.lock_study(connection, self._id)
        return claims.claim(connection, self._moment(connection, worker), token)

    def _moment(self, connection: Connection, worker: str) -> Moment:
        """Return the moment, and write in the registry that the worker was seen at it.

        Where leases are given the study is locked first: it may be a while until it is.
        """
        now = self._database.now(connection)
        with self._lock:
            worker_id = self._workers.setdefault(worker, leases.new_token())
        leases.revive(connection, self._id, now, self.lease_seconds)
        moment = Moment(self._id, now, worker_id, worker, self.lease_seconds)
        workers.register(connection, moment)
        return moment

    def assign(
        self,
        trial: Trial,
        candidate: Candidate,
        space: SearchSpace,
        attributes: Mapping[str, Any] | None = None,
    ) -> Trial | None:
        """Write what a claimed trial tries, all parameters in one transaction.

        Returns:
            The trial with its candidate; ``None`` where its lease was lost.

        Raises:
            PromotedError: another trial trains the same model further.
        """
        claim = self._claims[trial.number]
        number, said = claim.number, attributes or {}

        def assigned(connection: Connection) -> bool:
            promotions.check(connection, self._id, number, candidate)
            if not self._kept(connection, claim.lease, claim.token):
                return False
            trial_rows.assign(connection, self._id, number, claim.trial_id, candidate, space, said)
            return True

        return trial.model_copy(update={"candidate": candidate}) if self._write(assigned) else None

    def renew(self, trial: Trial) -> bool:
        """Renew the lease on a trial; return whether it was still held."""
        claim = self._claims.get(trial.number)
        return claim is not None and self._write(lambda c: self._kept(c, claim.lease, claim.token))

    def _kept(self, connection: Connection, name: str, token: str) -> bool:
        now = self._database.now(connection)
        leases.revive(connection, self._id, now, self.lease_seconds)
        return leases.renew(connection, self._id, name, token, now + self.lease_seconds)

    def report(self, trial: Trial, rung: Rung) -> bool:
        """Keep the quality of a trial part of the way; return whether its lease is still held."""
        claim = self._claims.get(trial.number)
        return claim is not None and self._write(lambda c: self._report(c, claim, rung))

    def _report(self, connection: Connection, claim: Claim, rung: Rung) -> bool:
        if not self._kept(connection, claim.lease, claim.token):
            return False
        trial_rows.write_rung(connection, self._id, claim.number, rung)
        return True

    def tell(self, trial: Trial, result: TrialResult) -> bool:
        """Write how a trial ended: complete, stopped early or failed, as its result says.

        Returns:
            Whether the result counts: ``False`` where the lease was lost, and the trial with it.
        """
        claim = self._claims.get(trial.number)
        if claim is None:
            return False
        whole = telling.complete(result, self.config)
        counts = self._write(
            lambda c: telling.tell(c, self._id, self.config, claim, whole, self._database.time)
        )
        self._claims.pop(trial.number, None)
        return counts

    def hand_back(self, trial: Trial, why: str = "interrupted") -> bool:
        """Put an interrupted trial back to waiting under its number; return whether it was held."""
        claim = self._claims.pop(trial.number, None)
        if claim is None:
            return False
        now = self._database.time
        return self._write(lambda c: claims.hand_back(c, self._id, claim, trial.worker, why, now))

    def leave(self, worker: str) -> None:
        """Say that a worker has left, and put back whatever it still held."""
        self._write(lambda c: workers.leave(c, self._moment(c, worker)))

    # What is done once a study

    def acquire(self, name: str, worker: str) -> bool:
        """Take the lease ``name`` ("dense"), unless somebody holds it; return whether it is ours.

        The holder renews it (:meth:`keep`) and gives it up (:meth:`release`).
        """
        token = leases.new_token()
        if not self._write(lambda c: self._acquire(c, name, worker, token)):
            return False
        self._named[name] = token
        return True

    def _acquire(self, connection: Connection, name: str, worker: str, token: str) -> bool:
        optuna_tables.lock_study(connection, self._id)
        return claims.acquire(connection, self._moment(connection, worker), name, token)

    def keep(self, name: str) -> bool:
        """Renew the lease ``name``; return whether it was still held."""
        token = self._named.get(name, "")
        return self._write(lambda c: self._kept(c, name, token))

    def release(self, name: str) -> None:
        """Give the lease ``name`` up, if it is still held."""
        token = self._named.pop(name, "")
        self._write(lambda c: leases.release(c, self._id, name, token))

    @property
    def reference(self) -> DenseReference | None:
        """The dense model as it was measured when the study was created, once it was."""
        return reading.reference_of(self._fact("reference"))

    def set_reference(self, reference: DenseReference, lease: str | None = None) -> DenseReference:
        """Write the dense reference, once; return the one that stands.

        Args:
            reference: of the dense model.
            lease: name of the one that it was made under, if it was made under one.

        Raises:
            LeaseLostError: that is not held any more.
        """
        text = self._write_once("reference", reading.text_of(reference), lease)
        return reading.parsed(DenseReference, text, "the dense model's record")

    def bind_profile(self, profile: Mapping[str, str], lease: str | None = None) -> None:
        """Bind the study to a device profile, or check that this is the one it is bound to.

        Raises:
            MismatchError: it is bound to another; one line names what differs.
            LeaseLostError: the lease that it is done under is not held any more.
        """
        bound = json.loads(self._write_once("profile", json.dumps(dict(profile)), lease))
        facts.check_profile(self.name, bound, profile)

    @property
    def artifacts(self) -> str:
        """Folder or URL where its models are kept; empty until that is said."""
        return str(self._fact("artifacts") or "")

    def keep_artifacts_at(self, root: str) -> str:
        """Say where its models are kept, once; return the place that stands."""
        return self._write_once("artifacts", root)

    def sharing(self) -> list[Study]:
        """Return the other studies that keep their models where this one does: its copies."""
        return self._read(lambda c: [reading.whole(c, r) for r in standing.sharing(c, self._id)])

    def held_by_copies(self, name: str) -> bool:
        """Return whether one of those holds its own lease ``name``."""
        return self._read(lambda c: standing.held_where_shared(c, self._id, name))

    def _fact(self, column: str) -> Any:
        return self._read(lambda c: facts.fact(c, self._id, column))

    def _write_once(self, column: str, text: str, lease: str | None = None) -> str:
        return self._write_under(lease, lambda c: facts.write_once(c, self._id, column, text))

    def _write_under(self, lease: str | None, work: Callable[[Connection], T]) -> T:
        """Write where a lease is held, which stays so until the transaction ends."""

        def held(connection: Connection) -> T:
            if lease and not self._kept(connection, lease, self._named.get(lease, "")):
                raise LeaseLostError(lease)
            return work(connection)

        return self._write(held)

    def keep_reference(self, name: str, result: TrialResult, lease: str | None = None) -> None:
        """Write a named reference, in place of one of the same name.

        Raises:
            LeaseLostError: the one that it was made under is not held any more.
        """
        self._write_under(lease, lambda c: facts.write_reference(c, self._id, name, result))

    def confirm(self, confirmation: Confirmation, lease: str | None = None) -> None:
        """Write what a trial found out when it was retrained, in place of an earlier time.

        Raises:
            LeaseLostError: the one that it was made under is not held any more.
        """
        self._write_under(lease, lambda c: facts.write_confirmation(c, self._id, confirmation))

    def named_references(self) -> list[str]:
        """Return the names of the named references that are there."""
        return self._read(lambda c: facts.reference_names(c, self._id))
