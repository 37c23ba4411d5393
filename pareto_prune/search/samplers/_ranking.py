"""The best trials so far: constrained domination, non-domination rank, crowding distance.

Deb et al. 2002, "A fast and elitist multiobjective genetic algorithm: NSGA-II", section III for
rank and crowding, section VI for constrained domination: a feasible trial beats an infeasible one,
of two infeasible ones the less violating wins, among equals domination decides.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pareto_prune.results.dominance import nondominated
from pareto_prune.search.samplers._history import Floats, History

Rows = NDArray[np.intp]

_BULK = 64


@dataclass(frozen=True)
class Elite:
    """The parents of the next candidate, best first.

    Attributes:
        rows: of the history.
        ranks: 0 for the front, shape of ``rows``.
        crowding: distance to the neighbours of the same rank, infinite at the ends.
    """

    rows: Rows
    ranks: Rows
    crowding: Floats

    def __len__(self) -> int:
        return len(self.rows)


class Ranking:
    """The fronts that hold the best ``size`` trials, kept up to date as trials come in.

    A trial can only lose rank when others arrive, so what has once fallen behind the fronts that
    hold ``size`` trials never comes back and is forgotten. One more trial is then compared with
    the kept fronts only (after Li et al. 2017, "Efficient nondomination level update").
    """

    def __init__(self, history: History, size: int) -> None:
        self._history = history
        self._size = size
        self._seen = 0
        self._fronts: list[Rows] = []

    def elite(self) -> Elite:
        """Return the best ``size`` trials of all that the history has scored by now."""
        new = self._history.scored[self._seen :]
        self._seen = len(self._history.scored)
        if len(new) > _BULK:
            self._rebuild(np.array(new, dtype=np.intp))
        else:
            for row in new:
                self._insert(row)
        return self._best()

    def _rebuild(self, new: Rows) -> None:
        """Peel fronts off everything that is kept and everything that is new."""
        rest = np.concatenate((*self._fronts, new))
        self._fronts, held = [], 0
        while len(rest) and held < self._size:
            first = _first_front(self._history, rest)
            self._fronts.append(rest[first])
            held += int(first.sum())
            rest = rest[~first]

    def _insert(self, row: int) -> None:
        """Put one row into its front; what it dominates there moves one front down, and so on."""
        moving = np.array([row], dtype=np.intp)
        for index in range(self._rank(moving), len(self._fronts)):
            front = self._fronts[index]
            beaten = _dominated(self._history, front, moving)
            self._fronts[index] = np.concatenate((front[~beaten], moving))
            moving = front[beaten]
            if not len(moving):
                return self._trim()
        self._fronts.append(moving)
        return self._trim()

    def _rank(self, one: Rows) -> int:
        """Return the first front of which no member dominates the given row."""
        for index, front in enumerate(self._fronts):
            if not _dominated(self._history, one, front).any():
                return index
        return len(self._fronts)

    def _trim(self) -> None:
        """Forget the fronts behind those that hold ``size`` trials."""
        held = np.cumsum([len(front) for front in self._fronts])
        enough = int(np.searchsorted(held, self._size)) + 1
        del self._fronts[enough:]

    def _best(self) -> Elite:
        rows, ranks, crowding = [], [], []
        room = self._size
        for rank, front in enumerate(self._fronts):
            distance = crowding_distance(self._history.spread(front))
            order = np.lexsort((self._history.numbers[front], -distance))[:room]
            rows.append(front[order])
            ranks.append(np.full(len(order), rank, dtype=np.intp))
            crowding.append(distance[order])
            room -= len(order)
            if room <= 0:
                break
        return Elite(_joined(rows), _joined(ranks), np.concatenate((*crowding, np.empty(0))))


def _joined(parts: list[Rows]) -> Rows:
    return np.concatenate((*parts, np.empty(0, dtype=np.intp)))


def _first_front(history: History, rows: Rows) -> NDArray[np.bool_]:
    """Return which rows no other of them dominates, constraints included."""
    violations = history.violations[rows]
    least = violations == violations.min()
    first = np.zeros(len(rows), dtype=np.bool_)
    first[least] = nondominated(history.values[rows[least]])
    return first


def _dominated(history: History, rows: Rows, by: Rows) -> NDArray[np.bool_]:
    """Return which of ``rows`` some row of ``by`` dominates, shape of ``rows``."""
    values, violations = history.values, history.violations
    mine, theirs = values[rows][:, None], values[by][None]
    better = (theirs <= mine).all(-1) & (theirs < mine).any(-1)
    here, there = violations[rows][:, None], violations[by][None]
    beaten: NDArray[np.bool_] = ((there < here) | ((there == here) & better)).any(1)
    return beaten


def crowding_distance(values: Floats) -> Floats:
    """Return how far each point of one front is from its neighbours (Deb et al. 2002, III-B).

    Args:
        values: shape (points, objectives); see :meth:`History.spread`.

    Returns:
        Sum over the objectives of the gap between both neighbours, as a share of the objective's
        range; infinite at its ends. Shape (points,).
    """
    distance = np.zeros(len(values))
    for column in values.T:
        order = np.argsort(column, kind="stable")
        ordered = column[order]
        width = ordered[-1] - ordered[0]
        if width > 0:
            distance[order[1:-1]] += (ordered[2:] - ordered[:-2]) / width
            distance[order[[0, -1]]] = np.inf
    return distance
