"""How a study stands while it runs: its states, pace and workers, and its line in a list."""

from __future__ import annotations

from collections import Counter

from pareto_prune.core.errors import MismatchError, UserError
from pareto_prune.core.records import Study, TrialState
from pareto_prune.core.study_state import StudyState
from pareto_prune.results.cautions import cautions
from pareto_prune.results.front import front_of
from pareto_prune.results.history import trials_per_second
from pareto_prune.results.records import Front
from pareto_prune.results.savings import savings
from pareto_prune.results.status import Status, StudyRow, WorkerStatus
from pareto_prune.storage import UNFIT, Storage, StoredStudy, StudySummary


def status_of(stored: StoredStudy, study: Study) -> Status:
    """Return how a study stands, of which ``study`` was read."""
    found = front_of(study)
    rate = trials_per_second(study.trials)
    counts = Counter(trial.state for trial in study.trials)
    left = study.trials_asked - sum(trial.state.finished for trial in study.trials)
    workers = [worker for worker in stored.workers() if worker.at_work]
    waits = None if workers or left <= 0 else _waits(stored, study)
    goes_on = rate and workers and left > 0 and study.state is StudyState.OPEN
    return Status(
        study=study.name,
        state=study.state,
        waits=waits,
        states={state.value: counts[state] for state in TrialState if counts[state]},
        trials_asked=study.trials_asked,
        trials_per_hour=None if rate is None else rate * 3600,
        seconds_left=left / rate if rate and goes_on else None,
        hypervolume=found.hypervolume,
        hypervolume_v1=found.hypervolume_v1,
        front=len(found.members),
        recommended=_recommended(found),
        cautions=cautions(found),
        early_stopping=savings(study, {point.number for point in found.members}),
        workers=tuple(
            WorkerStatus(name=w.name, trial=w.number, lease_seconds=w.lease or 0.0) for w in workers
        ),
    )


def _waits(stored: StoredStudy, study: Study) -> str | None:
    """Return why no worker has taken a trial of a study since, where one said so."""
    if study.state is not StudyState.OPEN:
        return None
    begun = max((trial.started or 0.0 for trial in study.trials), default=0.0)
    said = [event for event in stored.events() if event.kind == UNFIT and event.at > begun]
    return f"worker {said[-1].worker}: {said[-1].text}" if said else None


def study_rows(storage: Storage) -> list[StudyRow]:
    """Return a line for every study of a storage; one that was deleted meanwhile is left out."""
    rows = [_row_of(storage, summary) for summary in storage.studies()]
    return [row for row in rows if row is not None]


def _row_of(storage: Storage, summary: StudySummary) -> StudyRow | None:
    try:
        stored = storage.open_study(summary.name)
        return study_row(stored, stored.read())
    except MismatchError:
        return unread_row(summary)
    except UserError:
        return None


def unread_row(summary: StudySummary) -> StudyRow:
    """Return a line for a study that another version of this program has gone on with."""
    return StudyRow(
        name=summary.name,
        created=summary.created,
        state=summary.state,
        finished=summary.finished,
        trials_asked=summary.trials_asked,
        running=summary.counts.get(TrialState.RUNNING, 0),
        problem="of another version of pareto-prune",
    )


def study_row(stored: StoredStudy, study: Study) -> StudyRow:
    """Return a line for a study, of which ``study`` was read."""
    found = front_of(study)
    return StudyRow(
        name=study.name,
        created=study.created,
        state=study.state,
        finished=sum(trial.state.finished for trial in study.trials),
        trials_asked=study.trials_asked,
        running=sum(trial.state is TrialState.RUNNING for trial in study.trials),
        front=len(found.members),
        hypervolume=found.hypervolume,
        model=stored.config.model.path,
        data=stored.config.data.path,
    )


def _recommended(found: Front) -> str | None:
    if found.recommended is None:
        return None
    return f"trial {found.recommended.trial}, {found.recommended.reason}"
