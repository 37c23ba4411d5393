"""How a study stands, as frozen values: its states, its workers, its line in a list."""

from __future__ import annotations

from pareto_prune.core.record import Record
from pareto_prune.core.records import finished_of
from pareto_prune.core.study_state import StudyState
from pareto_prune.results.savings import Savings


class WorkerStatus(Record):
    """One worker of a study.

    Attributes:
        trial: number of the trial it holds, if any.
        lease_seconds: until its lease ends; below 0: it is taken for dead; 0: it has none.
    """

    name: str
    trial: int | None = None
    lease_seconds: float


class Status(Record):
    """How a study stands.

    Attributes:
        state: what it was told last.
        waits: why no worker takes its trials, where one that looked said so.
        states: trials by state.
        trials_asked: finished trials it is to have.
        trials_per_hour, seconds_left: at the present rate, where there is one.
        hypervolume_v1: by version 1 of the box, for comparison with older numbers.
        front: points on the front.
        cautions: what to know before the front is believed.
        early_stopping: what stopping early saved and how often it was wrong.
    """

    study: str
    state: StudyState = StudyState.OPEN
    waits: str | None = None
    states: dict[str, int]
    trials_asked: int
    trials_per_hour: float | None = None
    seconds_left: float | None = None
    hypervolume: float | None = None
    hypervolume_v1: float | None = None
    front: int = 0
    recommended: str | None = None
    cautions: tuple[str, ...] = ()
    early_stopping: Savings | None = None
    workers: tuple[WorkerStatus, ...] = ()

    @property
    def finished(self) -> int:
        """How many trials have ended."""
        return finished_of(self.states)


class StudyRow(Record):
    """One study of a storage.

    Attributes:
        created: seconds since 1970.
        state: what it was told last.
        problem: why no more than its trials is known, if it is not.
    """

    name: str
    created: float
    finished: int
    trials_asked: int
    state: StudyState = StudyState.OPEN
    running: int = 0
    front: int = 0
    hypervolume: float | None = None
    model: str = ""
    data: str = ""
    problem: str = ""
