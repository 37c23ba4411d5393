"""How the hypervolume of a study grew, trial by trial, and whether it still does."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core.records import (
    Study,
    Trial,
)
from pareto_prune.results.hypervolume import BOX, BOX_V1, Box, gain
from pareto_prune.results.members import competes, result_of
from pareto_prune.results.yardstick import Yardstick, clipped, yardstick

PLATEAU_RISE = 0.01
_LONGEST_PAUSE = 60.0


class HistoryPoint(NamedTuple):
    """The hypervolume after ``trials`` finished trials.

    ``seconds`` count from the creation of the study, without pauses of over a minute between
    trials in which nothing ran; ``hypervolume_v1`` is by version 1 of the box.
    """

    trials: int
    number: int
    seconds: float
    hypervolume: float
    hypervolume_v1: float


def history(study: Study) -> list[HistoryPoint]:
    """Return the hypervolume after every finished trial, in the order in which they ended.

    Empty where there is no hypervolume: see :class:`Front`.
    """
    measure = yardstick(study)
    if not measure.beats_chance:
        return []
    finished = _finished(study)
    columns = zip(
        range(1, len(finished) + 1),
        (trial.number for trial in finished),
        _active_seconds(study.created, finished),
        _volumes(finished, measure, BOX),
        _volumes(finished, measure, BOX_V1),
        strict=True,
    )
    return [HistoryPoint(*row) for row in columns]


def plateaued(study: Study, trials: int | None) -> bool:
    """Whether the last ``trials`` finished trials raised the hypervolume by less than 1 %.

    Never before there is a hypervolume above 0, nor without a number of trials.
    """
    measure = yardstick(study)
    if trials is None or not measure.beats_chance:
        return False
    volumes = _volumes(_finished(study), measure, BOX)
    if len(volumes) <= trials or volumes[-trials - 1] <= 0:
        return False
    return volumes[-1] < (1 + PLATEAU_RISE) * volumes[-trials - 1]


def _finished(study: Study) -> list[Trial]:
    """Return the finished trials in the order in which they ended."""
    finished = [trial for trial in study.trials if trial.state.finished]
    return sorted(finished, key=lambda trial: (trial.ended or 0.0, trial.number))


def _volumes(finished: Sequence[Trial], measure: Yardstick, box: Box) -> list[float]:
    """Return the hypervolume after each of the trials."""
    front, volume = np.zeros((0, len(measure.objectives))), 0.0
    volumes = []
    for trial in finished:
        if competes(trial, measure):
            added = clipped([result_of(trial).values], measure, box)[0]
            volume, front = _grown(volume, front, added)
        volumes.append(volume)
    return volumes


def _grown(
    volume: float, front: NDArray[np.float64], added: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    if (front >= added).all(axis=1).any():
        return volume, front
    kept = front[~(front <= added).all(axis=1)]
    return volume + max(0.0, gain(front, added)), np.concatenate((kept, added[None]))


def trials_per_second(trials: Sequence[Trial], recent: int = 20) -> float | None:
    """Return finished trials a second over the last ones, long pauses left out."""
    ended = sorted(
        (t for t in trials if t.state.finished and t.ended and t.started),
        key=lambda t: t.ended or 0,
    )[-recent:]
    if not ended:
        return None
    begun = min(trial.started or 0.0 for trial in ended)
    span = max(_active_seconds(begun, ended))
    return len(ended) / span if span > 0 else None


def _active_seconds(created: float, finished: Sequence[Trial]) -> list[float]:
    """Return the seconds from ``created`` to the end of each trial, without the long pauses."""
    ends = [trial.ended or created for trial in finished]
    spans = sorted(
        (trial.started or end, end) for trial, end in zip(finished, ends, strict=True) if end
    )
    pauses: list[tuple[float, float]] = []
    busy_until = math.inf
    for start, end in spans:
        if start - busy_until > _LONGEST_PAUSE:
            pauses.append((start, start - busy_until))
        busy_until = end if busy_until == math.inf else max(busy_until, end)
    starts = np.array([start for start, _ in pauses])
    lost = np.concatenate(([0.0], np.cumsum([length for _, length in pauses])))
    passed = np.searchsorted(starts, np.array(ends), side="right")
    return [max(0.0, end - created - float(lost[i])) for end, i in zip(ends, passed, strict=True)]
