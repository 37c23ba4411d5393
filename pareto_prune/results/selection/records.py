"""A selection as frozen values: the chosen point, how it was chosen, and what lies beside it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import pydantic

from pareto_prune.core.record import Record
from pareto_prune.results.records import Point

Mode = Literal["recommended", "budget", "weights", "knee", "starter", "trial"]


class Trade(Record):
    """What the nearest point on one side of a selection gives and takes.

    Attributes:
        cost: the objective that changes.
        side: ``dearer`` or ``cheaper`` than the selection in ``cost``.
        trial: number of that point.
        difference: its cost - the selection's.
        metric_difference: its metric - the selection's.
        rate: metric per unit of cost.
        within_noise: whether the two metrics cannot be told apart.
    """

    cost: str
    side: Literal["dearer", "cheaper"]
    trial: int
    difference: float
    metric_difference: float
    rate: float
    within_noise: bool


class Selection(Record):
    """The chosen point and why.

    Attributes:
        how: what chose it.
        sentences: the explanation, for people.
        warnings: what to mind before relying on it.
        tied: trials of the front that it cannot be told from in any objective.
        tied_metric: trials of the front whose metric cannot be told from its own.
        score: F of the weights, if they chose it.
    """

    study: str
    trial: int
    how: Mode
    point: Point
    sentences: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    trades: tuple[Trade, ...] = ()
    tied: tuple[int, ...] = ()
    tied_metric: tuple[int, ...] = ()
    score: float | None = pydantic.Field(default=None)


@dataclass(frozen=True)
class Choice:
    """A point, what chose it, and why, before it is explained."""

    point: Point
    how: Mode
    why: str
    score: float | None = None
