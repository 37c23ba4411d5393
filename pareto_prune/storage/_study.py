"""One study in a storage, shared by all its workers: every verb is one transaction."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import MismatchError, Problem, UserError
from pareto_prune.core.records import (
    Candidate,
    Confirmation,
    DenseReference,
    Measurement,
    Rung,
    Study,
    Trial,
    TrialResult,
    TrialState,
)
from pareto_prune.search.samplers import Past
from pareto_prune.search.space import SearchSpace
from pareto_prune.storage import _claims, _events, _optuna, _rows
from pareto_prune.storage._claims import Claim, Moment
from pareto_prune.storage._database import Database
from pareto_prune.storage._events import StudyEvent
from pareto_prune.storage._process import identity
from pareto_prune.storage._rows import text_of
from pareto_prune.storage._schema import (
    confirmations,
    leases,
    measurements,
    references,
    rungs,
    studies,
    trials,
    workers,
)

LEASE_SECONDS = 60.0
"""How long a worker may be silent before its trial is given to another."""


@dataclass(frozen=True)
class WorkerStatus:
    """One worker of a study, for ``status``.

    Attributes:
        name: of the worker.
        host: where it runs.
        pid: its process.
        started, seen: seconds since the epoch.
        ended: when it left; ``None`` while it works, or where it was killed.
        number: of the trial that it works on.
        lease: seconds that its lease still runs; below 0 it is void.
    """

    name: str
    host: str
    pid: int
    started: float
    seen: float
    ended: float | None
    number: int | None
    lease: float | None


class StoredStudy:
    """A study in a storage. Safe to use from several threads of a process.

    Args:
        database: that it is in.
        study: its id.
        name: its name.
        config: its study file, ``[limits]`` as they stand now.
        lease_seconds: how long its workers may be silent.
    """

    def __init__(
        self,
        database: Database,
        study: int,
        name: str,
        config: StudyConfig,
        lease_seconds: float = LEASE_SECONDS,
    ) -> None:
        self.name = name
        self.config = config
        self.lease_seconds = lease_seconds
        self._database = database
        self._id = study
        self._lock = threading.Lock()
        self._workers: dict[str, str] = {}
        self._claims: dict[int, Claim] = {}
        self._named: dict[str, str] = {}
        self._finished: dict[int, Trial] = {}

    # The trials, for whoever looks

    def read(self) -> Study:
        """Return all of the study. Finished trials are read and checked once a process."""
        with self._lock, _rows.uncollected():
            last = max(self._finished, default=-1)
            gaps = [number for number in range(last + 1) if number not in self._finished]
            row, rows, named, confirmed = self._database.read(lambda c: self._rows(c, last, gaps))
            open_ = [self._remembered(_rows.to_trial(one)) for one in rows]
            running = [trial for trial in open_ if not trial.state.finished]
            listed = sorted((*self._finished.values(), *running), key=lambda trial: trial.number)
        return Study.model_construct(
            name=self.name,
            config=json.loads(row.config),
            created=row.created,
            trials_asked=row.trials_asked,
            reference=_reference(row.reference),
            references=tuple(TrialResult.model_validate_json(one) for one in named),
            trials=tuple(listed),
            confirmations=tuple(Confirmation.model_validate_json(one) for one in confirmed),
        )

    def _rows(
        self, connection: Connection, last: int, gaps: Collection[int]
    ) -> tuple[Row[Any], list[Row[Any]], list[str], list[str]]:
        named = select(references.c.result).where(references.c.study_id == self._id)
        texts = confirmations.c.confirmation
        confirmed = select(texts).where(confirmations.c.study_id == self._id)
        return (
            self._row(connection),
            _rows.trial_rows(connection, self._id, last, gaps),
            list(connection.scalars(named.order_by(references.c.name))),
            list(connection.scalars(confirmed.order_by(confirmations.c.number))),
        )

    def _remembered(self, trial: Trial) -> Trial:
        if trial.state.finished:
            self._finished[trial.number] = trial
        return trial

    def history(
        self, space: SearchSpace, last: int = -1, unfinished: Collection[int] = ()
    ) -> list[Past]:
        """Return what a sampler wants of the trials after ``last`` and of ``unfinished`` ones."""
        rows = self._database.read(lambda c: _rows.history_rows(c, self._id, last, unfinished))
        with _rows.uncollected():
            return [_rows.to_past(row, space) for row in rows]

    def counts(self) -> dict[TrialState, int]:
        """Return how many trials stand where; every state is there."""
        query = select(trials.c.state, func.count()).where(trials.c.study_id == self._id)
        rows = self._database.read(lambda c: list(c.execute(query.group_by(trials.c.state))))
        found = {TrialState(state): int(count) for state, count in rows}
        return {state: found.get(state, 0) for state in TrialState}

    def workers(self) -> list[WorkerStatus]:
        """Return the workers that ever worked on the study, by the time they started."""
        return self._database.read(self._statuses)

    def _statuses(self, connection: Connection) -> list[WorkerStatus]:
        now = self._database.now(connection)
        joined = workers.outerjoin(leases, leases.c.worker_id == workers.c.worker_id)
        query = select(workers, leases.c.name.label("lease"), leases.c.expires)
        mine = query.select_from(joined).where(workers.c.study_id == self._id)
        rows = connection.execute(mine.order_by(workers.c.started))
        return [_status(row, now) for row in rows]

    def events(self) -> list[StudyEvent]:
        """Return what happened, oldest first."""
        return self._database.read(lambda c: _events.read(c, self._id))

    def event(self, kind: str, text: str, worker: str | None = None) -> None:
        """Write something that happened, where it is not of one trial."""
        self._database.write(
            lambda c: _events.record(c, self._id, self._database.now(c), kind, text, None, worker)
        )

    # What was asked for

    @property
    def trials_asked(self) -> int:
        """How many trials the study has been asked for, as it stands in the storage."""
        query = select(studies.c.trials_asked).where(studies.c.study_id == self._id)
        return int(self._database.read(lambda c: c.scalar(query)) or 0)

    def ask_for(self, number: int) -> None:
        """Change the number of trials asked for."""
        if number < 1:
            raise UserError(Problem("limits.trials", f"{number} is wrong", "allowed: 1 or more"))
        limits = self.config.limits.model_copy(update={"trials": number})
        self.config = self.config.model_copy(update={"limits": limits})
        values = {"trials_asked": number, "config": self.config.model_dump_json()}
        self._database.write(lambda c: c.execute(_of(studies, self._id).values(values)))

    def enqueue(self, candidates: Iterable[Candidate], space: SearchSpace) -> int:
        """Put candidates in as waiting trials, in order, if the study has no trial yet.

        Returns:
            How many were put in.
        """
        listed = list(candidates)
        return self._database.write(lambda c: self._enqueue(c, listed, space))

    def _enqueue(
        self, connection: Connection, candidates: list[Candidate], space: SearchSpace
    ) -> int:
        _optuna.lock_study(connection, self._id)
        if _optuna.next_number(connection, self._id) > 0:
            return 0
        for candidate in candidates:
            number, trial = _claims.insert_trial(connection, self._id, TrialState.WAITING)
            self._write_candidate(connection, number, trial, candidate, space)
        return len(candidates)

    # The trial in hand

    def claim(self, worker: str) -> Trial | None:
        """Give a worker one trial: a waiting one first, else a new one without a candidate.

        One transaction against the number of trials asked for. ``None`` where as many are taken;
        some may still be running elsewhere and come back (:meth:`counts`).
        """
        token = _claims.new_token()
        claimed = self._database.write(lambda c: self._claim(c, worker, token))
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
        moment = self._moment(connection, worker)
        asked = connection.scalar(
            select(studies.c.trials_asked).where(studies.c.study_id == self._id)
        )
        return _claims.claim(connection, moment, int(asked or 0), token)

    def _moment(self, connection: Connection, worker: str) -> Moment:
        now = self._database.now(connection)
        worker_id = self._worker_id(connection, worker, now)
        return Moment(self._id, now, worker_id, worker, self.lease_seconds)

    def _worker_id(self, connection: Connection, worker: str, now: float) -> str:
        """Return the id under which a worker of this process stands in the registry."""
        with self._lock:
            known = self._workers.setdefault(worker, _claims.new_token())
        seen = update(workers).where(workers.c.worker_id == known).values(seen=now, ended=None)
        if connection.execute(seen).rowcount == 0:
            row = {"worker_id": known, "study_id": self._id, "name": worker}
            row |= {"host": socket.gethostname(), "process": json.dumps(identity())}
            connection.execute(insert(workers).values(**row, started=now, seen=now))
        return known

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
        """
        claim = self._claims[trial.number]
        held = self._database.write(lambda c: self._assign(c, claim, candidate, space, attributes))
        return trial.model_copy(update={"candidate": candidate}) if held else None

    def _assign(
        self,
        connection: Connection,
        claim: Claim,
        candidate: Candidate,
        space: SearchSpace,
        attributes: Mapping[str, Any] | None,
    ) -> bool:
        if not self._renewed(connection, claim):
            return False
        self._write_candidate(connection, claim.number, claim.trial_id, candidate, space)
        if attributes:
            mine = _of(trials, self._id).where(trials.c.number == claim.number)
            connection.execute(mine.values(attributes=json.dumps(dict(attributes))))
        return True

    def _write_candidate(
        self,
        connection: Connection,
        number: int,
        trial_id: int,
        candidate: Candidate,
        space: SearchSpace,
    ) -> None:
        mine = _of(trials, self._id).where(trials.c.number == number)
        connection.execute(mine.values(candidate=text_of(candidate)))
        _optuna.set_params(connection, trial_id, space.to_params(candidate), space.stored)
        if candidate.starter is not None:
            _optuna.set_user_attributes(connection, trial_id, {"starter": candidate.starter})

    def renew(self, trial: Trial) -> bool:
        """Renew the lease on a trial; return whether it was still held."""
        claim = self._claims.get(trial.number)
        return claim is not None and self._database.write(lambda c: self._renewed(c, claim))

    def _renewed(self, connection: Connection, claim: Claim) -> bool:
        until = self._database.time + self.lease_seconds
        name = _claims.lease_name(claim.number)
        return _claims.renew(connection, self._id, name, claim.token, until)

    def report(self, trial: Trial, rung: Rung) -> bool:
        """Keep the quality of a trial part of the way; return whether its lease is still held."""
        claim = self._claims.get(trial.number)
        return claim is not None and self._database.write(lambda c: self._report(c, claim, rung))

    def _report(self, connection: Connection, claim: Claim, rung: Rung) -> bool:
        if not self._renewed(connection, claim):
            return False
        mine = (rungs.c.study_id == self._id) & (rungs.c.number == claim.number)
        connection.execute(delete(rungs).where(mine, rungs.c.step == rung.step))
        row = {"study_id": self._id, "number": claim.number, "step": rung.step}
        connection.execute(insert(rungs).values(**row, rung=text_of(rung)))
        return True

    def rungs(self, number: int) -> list[Rung]:
        """Return the rungs that a trial reported, those of a worker that died included."""
        mine = (rungs.c.study_id == self._id) & (rungs.c.number == number)
        query = select(rungs.c.rung).where(mine).order_by(rungs.c.step)
        texts = self._database.read(lambda c: list(c.scalars(query)))
        return [Rung.model_validate_json(text) for text in texts]

    def tell(self, trial: Trial, result: TrialResult) -> bool:
        """Write how a trial ended: complete, stopped early or failed, as its result says.

        Returns:
            Whether the result counts: ``False`` where the lease was lost, and the trial with it.
        """
        claim = self._claims.get(trial.number)
        if claim is None:
            return False
        whole = _rows.complete(result, self.config)
        counts = self._database.write(lambda c: self._tell(c, claim, whole))
        self._claims.pop(trial.number, None)
        return counts

    def _tell(self, connection: Connection, claim: Claim, result: TrialResult) -> bool:
        name = _claims.lease_name(claim.number)
        if not _claims.release(connection, self._id, name, claim.token):
            return self._already_told(connection, claim)
        now, state = self._database.time, result.state
        told = _rows.told(result, self.config.metric)
        _claims.finish(connection, self._id, claim.number, now, state, told)
        _claims.write_result(connection, self._id, claim.number, result)
        self._tell_optuna(connection, claim.trial_id, state, result)
        for kind, text in _worth_knowing(result, self.config.metric):
            _events.record(connection, self._id, now, kind, text, claim.number)
        return True

    def _already_told(self, connection: Connection, claim: Claim) -> bool:
        """Return whether an earlier attempt, whose answer was lost, wrote this result."""
        query = select(trials.c.state).where(
            trials.c.study_id == self._id,
            trials.c.number == claim.number,
            trials.c.token == claim.token,
        )
        state = connection.scalar(query)
        return state is not None and TrialState(state).finished

    def _tell_optuna(
        self, connection: Connection, trial_id: int, state: TrialState, result: TrialResult
    ) -> None:
        values = _rows.finite_values(result, self.config)
        if values is not None and state is not TrialState.FAILED:
            _optuna.set_values(connection, trial_id, values)
        _optuna.set_constraints(connection, trial_id, result.violations)
        _optuna.set_user_attributes(connection, trial_id, _shown(result))
        _optuna.set_state(connection, trial_id, state)

    def hand_back(self, trial: Trial, why: str = "interrupted") -> bool:
        """Put an interrupted trial back to waiting under its number; return whether it was held."""
        claim = self._claims.pop(trial.number, None)
        if claim is None:
            return False
        return self._database.write(lambda c: self._hand_back(c, claim, trial.worker, why))

    def _hand_back(
        self, connection: Connection, claim: Claim, worker: str | None, why: str
    ) -> bool:
        name = _claims.lease_name(claim.number)
        if not _claims.release(connection, self._id, name, claim.token):
            return False
        mine = (trials.c.study_id == self._id) & (trials.c.number == claim.number)
        row = connection.execute(select(trials).where(mine)).one()
        _claims.to_waiting(connection, self._id, row, row.attempts - 1)
        now = self._database.now(connection)
        _events.record(connection, self._id, now, "handed_back", why, claim.number, worker)
        return True

    def leave(self, worker: str) -> None:
        """Say that a worker has left, and put back whatever it still held."""
        self._database.write(lambda c: self._leave(c, worker))

    def _leave(self, connection: Connection, worker: str) -> None:
        moment = self._moment(connection, worker)
        held = select(leases).where(leases.c.worker_id == moment.worker_id)
        for lease in connection.execute(held).all():
            _claims.release(connection, self._id, lease.name, lease.token)
            self._return(connection, lease.name)
        gone = update(workers).where(workers.c.worker_id == moment.worker_id)
        connection.execute(gone.values(ended=moment.now))

    def _return(self, connection: Connection, lease: str) -> None:
        kind, _, number = lease.partition(":")
        if kind == "trial":
            mine = (trials.c.study_id == self._id) & (trials.c.number == int(number))
            row = connection.execute(select(trials).where(mine)).one()
            _claims.to_waiting(connection, self._id, row, row.attempts - 1)

    # What is done once a study

    def acquire(self, name: str, worker: str) -> bool:
        """Take the lease ``name`` ("dense"), unless somebody holds it; return whether it is ours.

        The holder renews it (:meth:`keep`) and gives it up (:meth:`release`).
        """
        token = _claims.new_token()
        if not self._database.write(lambda c: self._acquire(c, name, worker, token)):
            return False
        self._named[name] = token
        return True

    def _acquire(self, connection: Connection, name: str, worker: str, token: str) -> bool:
        _optuna.lock_study(connection, self._id)
        moment = self._moment(connection, worker)
        _claims.recover(connection, moment)
        query = select(leases.c.token).where(leases.c.study_id == self._id, leases.c.name == name)
        holder = connection.scalar(query)
        if holder is None:
            _claims.take_lease(connection, moment, name, token)
        return holder is None or holder == token

    def keep(self, name: str) -> bool:
        """Renew the lease ``name``; return whether it was still held."""
        token = self._named.get(name, "")
        return self._database.write(
            lambda c: _claims.renew(
                c, self._id, name, token, self._database.time + self.lease_seconds
            )
        )

    def release(self, name: str) -> bool:
        """Give the lease ``name`` up; return whether it was still held."""
        token = self._named.pop(name, "")
        return self._database.write(lambda c: _claims.release(c, self._id, name, token))

    @property
    def reference(self) -> DenseReference | None:
        """The dense model as it was measured when the study was created, once it was."""
        query = select(studies.c.reference).where(studies.c.study_id == self._id)
        return _reference(self._database.read(lambda c: c.scalar(query)))

    def set_reference(self, reference: DenseReference) -> DenseReference:
        """Write the dense reference, once; return the one that stands."""
        text = self._write_once("reference", text_of(reference))
        return DenseReference.model_validate_json(text)

    def bind_profile(self, profile: Mapping[str, str]) -> None:
        """Bind the study to a device profile, or check that this is the one it is bound to.

        Raises:
            MismatchError: it is bound to another; one line names what differs.
        """
        bound = json.loads(self._write_once("profile", json.dumps(dict(profile))))
        keys = _rows.differing(bound, profile)
        if keys:
            parts = [f"{key} {bound.get(key)!r} there, {profile.get(key)!r} here" for key in keys]
            wrong = f"belongs to another device: {'; '.join(parts)}"
            advice = "allowed: the same device, or a new study started --from this one"
            raise MismatchError(Problem(f"study {self.name!r}", wrong, advice))

    @property
    def artifacts(self) -> str:
        """Folder or URL where its models are kept; empty until that is said."""
        query = select(studies.c.artifacts).where(studies.c.study_id == self._id)
        return str(self._database.read(lambda c: c.scalar(query)) or "")

    def keep_artifacts_at(self, root: str) -> str:
        """Say where its models are kept, once; return the place that stands."""
        return self._write_once("artifacts", root)

    def _write_once(self, column: str, text: str) -> str:
        """Write a column of the study that has no value yet; return the value that stands."""
        field = studies.c[column]
        empty = _of(studies, self._id).where(field.is_(None)).values({column: text})
        query = select(field).where(studies.c.study_id == self._id)

        def once(connection: Connection) -> str:
            connection.execute(empty)
            return str(connection.scalar(query))

        return self._database.write(once)

    def keep_reference(self, name: str, result: TrialResult) -> None:
        """Write a named reference, in place of one of the same name."""
        mine = (references.c.study_id == self._id) & (references.c.name == name)
        row = {"study_id": self._id, "name": name, "result": text_of(result)}
        self._database.write(lambda c: _replace(c, references, mine, row))

    def confirm(self, confirmation: Confirmation) -> None:
        """Write what a trial found out when it was retrained, in place of an earlier time."""
        number = confirmation.number
        mine = (confirmations.c.study_id == self._id) & (confirmations.c.number == number)
        row = {"study_id": self._id, "number": number, "confirmation": text_of(confirmation)}
        self._database.write(lambda c: _replace(c, confirmations, mine, row))

    def named_references(self) -> list[str]:
        """Return the names of the named references that are there."""
        query = select(references.c.name).where(references.c.study_id == self._id)
        return list(self._database.read(lambda c: c.scalars(query).all()))

    def measurement(self, key: str) -> Measurement | None:
        """Return what was measured under ``key`` on the study's device, if it was."""
        mine = (measurements.c.study_id == self._id) & (measurements.c.key == key)
        query = select(measurements.c.measurement).where(mine)
        text = self._database.read(lambda c: c.scalar(query))
        return None if text is None else Measurement.model_validate_json(text)

    def keep_measurement(self, key: str, measurement: Measurement) -> None:
        """Keep a measurement under ``key``, in place of an earlier one."""
        mine = (measurements.c.study_id == self._id) & (measurements.c.key == key)
        row = {"study_id": self._id, "key": key, "measurement": text_of(measurement)}
        self._database.write(lambda c: _replace(c, measurements, mine, row))

    def _row(self, connection: Connection) -> Row[Any]:
        query = select(studies).where(studies.c.study_id == self._id)
        row = connection.execute(query).one_or_none()
        if row is None:
            raise UserError(f"study {self.name!r} is no longer in the storage: it was deleted")
        return row


def _of(table: Any, study: int) -> Any:
    return update(table).where(table.c.study_id == study)


def _replace(connection: Connection, table: Any, mine: Any, row: Mapping[str, Any]) -> None:
    connection.execute(delete(table).where(mine))
    connection.execute(insert(table).values(row))


def _reference(text: str | None) -> DenseReference | None:
    return None if text is None else DenseReference.model_validate_json(text)


def _status(row: Row[Any], now: float) -> WorkerStatus:
    kind, _, number = (row.lease or "").partition(":")
    return WorkerStatus(
        name=row.name,
        host=row.host,
        pid=int(json.loads(row.process)["pid"]),
        started=row.started,
        seen=row.seen,
        ended=row.ended,
        number=int(number) if kind == "trial" else None,
        lease=None if row.expires is None else row.expires - now,
    )


def _worth_knowing(result: TrialResult, metric: str) -> Iterable[tuple[str, str]]:
    """Yield the kind and the text of the events that the end of a trial is."""
    if result.failure is not None:
        yield "failed", f"{result.failure.kind}: {result.failure.reason}"
    elif result.stop_reason is not None:
        bound = "" if result.optimistic is None else f", {metric} at most {result.optimistic:.4g}"
        yield "audited" if result.audited else "stopped", result.stop_reason + bound


def _shown(result: TrialResult) -> dict[str, Any]:
    """Return what Optuna's dashboard shows beside the values: small."""
    failure = result.failure
    everything = {
        "parameters": result.parameters,
        "stopped_early": None if result.audited else result.stop_reason,
        "failure": f"{failure.kind}: {failure.reason}"[:200] if failure else None,
        "plan": result.plan_digest[:12] if result.plan_digest else None,
    }
    return {key: value for key, value in everything.items() if value is not None}
