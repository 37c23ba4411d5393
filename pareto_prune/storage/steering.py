"""The four verbs that say how a study goes on, each of which is one transaction.

::

            pause                 stop                   cancel
    open ◄────────► paused ───────────────► stopped ───────────────► cancelled
            resume    (open too)              (open and paused too)

Where a study stands is asked for with each claim, so that a trial that was claimed before ends as
any other does. Whoever claims and whoever gives an order hold the study, one after the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, get_args

from sqlalchemy import Connection, select

from pareto_prune.core.errors import Problem, UserError, unknown_name
from pareto_prune.core.records import TrialState
from pareto_prune.core.study_state import StudyState
from pareto_prune.storage import claims, events, facts, optuna_tables, standing
from pareto_prune.storage.schema import trials
from pareto_prune.storage.standing import Identity

Verb = Literal["pause", "resume", "stop", "cancel"]
VERBS: tuple[Verb, ...] = get_args(Verb)

_LEADS_TO: Mapping[Verb, StudyState] = {
    "pause": StudyState.PAUSED,
    "resume": StudyState.OPEN,
    "stop": StudyState.STOPPED,
    "cancel": StudyState.CANCELLED,
}
_SAID: Mapping[Verb, str] = {
    "pause": "no trial is begun until it is resumed",
    "resume": "trials are begun again",
    "stop": "no trial is begun any more",
    "cancel": "no trial is begun any more, running ones are handed back",
}


def verb_of(name: str) -> Verb:
    """Return the verb of this name.

    Raises:
        UserError: there is none.
    """
    for verb in VERBS:
        if verb == name:
            return verb
    raise UserError(unknown_name("verb", name, VERBS, ""))


def steer(connection: Connection, identity: Identity, verb: Verb, now: float) -> StudyState:
    """Let a study go on as a verb says; return where it stands then.

    A study that stands there already is left alone.

    Args:
        connection: within a transaction.
        identity: of the study.
        verb: what it is to do.
        now: the database's time.

    Raises:
        UserError: it was deleted, or has ended for good.
    """
    standing.check(connection, identity, standing.find_to_write)
    study = identity.study
    optuna_tables.lock_study(connection, study)
    before, after = facts.state(connection, study), _LEADS_TO[verb]
    if before is after:
        return after
    if verb not in verbs_from(before):
        raise UserError(ended(identity.name, before))
    facts.change(connection, study, state=after.value, state_since=now)
    events.record(connection, study, now, verb, _SAID[verb])
    if verb == "cancel":
        _hand_back_all(connection, study, now)
    return after


def verbs_from(state: StudyState) -> tuple[Verb, ...]:
    """Return the verbs that change where a study stands."""
    leading = (verb for verb in VERBS if _LEADS_TO[verb] is not state)
    return tuple(verb for verb in leading if verb == "cancel" or not state.final)


def ended(name: str, state: StudyState) -> Problem:
    """Return that a study has ended for good, and what goes on with what it found."""
    advice = f"allowed: `pareto-prune studies copy {name} NEW`, which goes on with its trials"
    return Problem(f"study {name!r}", f"was {state.value}, which is final", advice)


def _hand_back_all(connection: Connection, study: int, now: float) -> None:
    """Put what runs back to waiting; its worker learns of it when it renews its lease."""
    running = (trials.c.study_id == study) & (trials.c.state == TrialState.RUNNING.value)
    for trial in connection.execute(select(trials).where(running)).all():
        claim = claims.of_row(trial)
        claims.hand_back(connection, study, claim, trial.worker, "cancelled", now)
