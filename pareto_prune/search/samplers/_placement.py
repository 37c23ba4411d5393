"""Where on the curve of cost against quality one more candidate gains the most.

Strategies that aim at a cost meet it closely, so what a target will give is known once a few were
tried: between two of them, about what lies between. The candidate is put where the point that is
expected there would add most to the hypervolume. Once that is little the curve is known, and
evolution goes on from it. Nothing is put where the nearest target that was tried failed or broke a
constraint, nor where one was tried already: there the curve does not tell what comes out.

::

    metric  1 ┤ ●dense
              │      ●  · ●
              │            ·          · expected    ● tried
              │             ·  ●
              │                 ·  ← the widest gap under the curve
            0 ┼──────────────────●──►
              0   cost, by logarithm   1
"""

from __future__ import annotations

from dataclasses import dataclass
from math import log

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from pareto_prune.results.hypervolume import BOX, gain
from pareto_prune.results.yardstick import Yardstick
from pareto_prune.search.samplers._history import UNPROMISING, Floats, History
from pareto_prune.search.samplers._ranking import Elite
from pareto_prune.search.samplers._variation import Layout, filled
from pareto_prune.search.space import Gene

USELESS = 0.00018
"""Hypervolume, times the trials so far, that is not worth placing one more: evolution gains with
what it can build on. By ``benchmarks/sampler_quality.py`` a quarter to twice of it is as good. It
was found as 0.0004 in version 1 of the box, where two costs make 9/4 as much of a gain."""
_LEAST = 2
_GRID = 64
_CHEAPEST = 1e-3
"""A target of nothing has no logarithm."""
_SAME = 0.0067
"""Targets that are as near to each other in the box, within three per cent of the cost, are one."""

Bools = NDArray[np.bool_]
Rows = NDArray[np.intp]


def placed(layout: Layout, history: History, elite: Elite, rng: Generator) -> Floats | None:
    """Return a row at the most useful cost; ``None`` where none is, or too little is known.

    Args:
        layout: of the space.
        history: of the study.
        elite: its best trials.
        rng: draws what the nearest trial has no value for.
    """
    measure = history.measure
    least = USELESS * len(history)
    if measure is None or not measure.beats_chance or not layout.target.any() or least >= 1:
        return None
    rows = _aimed(layout, history)
    if len(rows) < _LEAST:
        return None
    curve = _Curve.through(history, measure, layout, rows)
    front = _coordinates(history, measure, elite.rows[elite.ranks == 0])
    over = ~np.isin(history.numbers, np.array(sorted(history.unfinished), dtype=np.int64))
    under_way = curve.expected(_targets(layout, history, ~over))
    standing = np.clip(np.concatenate([front, under_way]), 0, 1)
    useless = _targets(layout, history, over & _useless(history))
    places = curve.places(_targets(layout, history, over), useless)
    gains = [gain(standing, point) for point in np.clip(curve.at(places), 0, 1)]
    best = int(np.argmax(gains)) if gains else 0
    if not gains or gains[best] < least:
        return None
    nearest, target = curve.aim(places[best])
    row = filled(layout, history.genes[nearest], rng)
    return np.where(layout.target, target, row)


def _aimed(layout: Layout, history: History) -> Rows:
    """Return the rows that ended, keep the constraints and aimed at a cost."""
    scored = np.array(history.scored, dtype=np.intp)
    known = ~np.isnan(history.genes[scored][:, layout.target]).any(axis=1)
    useful = history.violations[scored] <= UNPROMISING
    return scored[known & useful & layout.aims(history.genes[scored])]


def _targets(layout: Layout, history: History, among: Bools) -> Floats:
    """Return the targets, as shares of their range, that some of the trials aim at."""
    genes = history.genes[among]
    targets: Floats = genes[layout.aims(genes)][:, layout.target][:, 0]
    return targets[~np.isnan(targets)]


def _useless(history: History) -> Bools:
    """Return which trials, of those that have ended, failed or break a constraint."""
    scored = np.zeros(len(history), dtype=np.bool_)
    scored[history.scored] = True
    return ~scored | (history.violations > UNPROMISING)


def _coordinates(history: History, measure: Yardstick, rows: Rows) -> Floats:
    """Return where trials lie in the box, shape (rows, objectives), not clipped."""
    return measure.coordinates(history.values[rows] * measure.signs())


@dataclass(frozen=True, eq=False)
class _Curve:
    """What the targets tried so far gave, the cheapest last.

    Attributes:
        knots: place of each by the mean of its cost coordinates, rising from 0, the dense model.
        points: coordinates there, shape (knots, objectives); the metric is that of the best
            which is no dearer.
        rows: of the trials behind all knots but the first.
        targets: those of the trials, on the scale of the box.
        gene: the cost target.
    """

    knots: Floats
    points: Floats
    rows: Rows
    targets: Floats
    gene: Gene

    @classmethod
    def through(cls, history: History, measure: Yardstick, layout: Layout, rows: Rows) -> _Curve:
        """Return the curve through finished trials."""
        gene = history.space.gene("cost_target")
        assert gene is not None
        points = _coordinates(history, measure, rows)
        quality = measure.names.index(measure.metric.name)
        places = np.delete(points, quality, axis=1).mean(axis=1)
        order = np.lexsort((points[:, quality], places))
        rows, points, places = rows[order], points[order], places[order]
        points[:, quality] = np.maximum.accumulate(points[::-1, quality])[::-1]
        dense = np.zeros((1, points.shape[1]))
        dense[0, quality] = 1.0
        shares = history.genes[rows][:, layout.target][:, 0]
        return cls(
            knots=np.append(0.0, places),
            points=np.concatenate([dense, points]),
            rows=rows,
            targets=_places(gene, shares),
            gene=gene,
        )

    def at(self, places: Floats) -> Floats:
        """Return the coordinates that are expected, shape (places, objectives).

        Beyond the cheapest trial the curve goes on as it ended.
        """
        columns = [self._column(column, places) for column in self.points.T]
        return np.stack(columns, axis=1)

    def _column(self, column: Floats, places: Floats) -> Floats:
        within: Floats = np.interp(places, self.knots, column)
        run = self.knots[-1] - self.knots[-2]
        slope = (column[-1] - column[-2]) / run if run > 0 else 0.0
        return within + slope * np.maximum(places - self.knots[-1], 0.0)

    def expected(self, shares: Floats) -> Floats:
        """Return the coordinates that targets, as shares of their range, are expected to have."""
        return self.at(self._reached(_places(self.gene, shares)))

    def places(self, tried: Floats, useless: Floats) -> Floats:
        """Return the places that new targets within their range are expected to reach.

        Args:
            tried: targets of the trials that have ended, as shares of their range.
            useless: those that failed or broke a constraint.
        """
        least, most = np.clip(self._reached(_places(self.gene, np.array([1.0, 0.0]))), 0.0, 1.0)
        places = np.linspace(least, most, _GRID)
        new = _apart(self._aims(places)[1], _places(self.gene, tried)) > _SAME
        troubled = self._reached(_places(self.gene, useless))
        return places[new & (_apart(places, self.knots[1:]) < _apart(places, troubled))]

    def aim(self, place: float) -> tuple[int, float]:
        """Return the row of the nearest trial, and the target's share that leads to a place."""
        (nearest,), (target,) = self._aims(np.array([place]))
        return int(self.rows[nearest]), self.gene.share(BOX.times_cheaper**-target)

    def _aims(self, places: Floats) -> tuple[Rows, Floats]:
        """Return the nearest trials, and the targets that lead to places."""
        nearest = np.abs(self.knots[1:] - places[:, None]).argmin(axis=1)
        return nearest, self.targets[nearest] + places - self.knots[1:][nearest]

    def _reached(self, targets: Floats) -> Floats:
        """Return where targets lead: as far off as that of the trial with the nearest one."""
        nearest = np.abs(self.targets[None] - targets[:, None]).argmin(axis=1)
        return self.knots[1:][nearest] + targets - self.targets[nearest]


def _places(gene: Gene, shares: Floats) -> Floats:
    """Return where costs, as shares of the gene's range, would lie in the box if they were met."""
    costs = [max(gene.at(float(share)), _CHEAPEST) for share in shares]
    return -np.log(costs) / log(BOX.times_cheaper)


def _apart(places: Floats, others: Floats) -> Floats:
    """Return how far each place is from the nearest of the others; infinite where there is none."""
    apart: Floats = np.abs(places[:, None] - others).min(axis=1, initial=np.inf)
    return apart
