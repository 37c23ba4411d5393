"""All trials of a study as arrays that grow, so that an ask costs what is new, not what is old."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.records import TrialState
from pareto_prune.results.yardstick import Yardstick
from pareto_prune.search.past import Past
from pareto_prune.search.space import DTYPE, Params, SearchSpace

Floats = NDArray[np.float64]
Promising = Callable[[Mapping[str, float]], bool]
UNPROMISING = 1e-12
"""Violation of a feasible trial that is not worth building on: all of them alike, and small."""
_TINY = 1e-300
T = TypeVar("T", np.float64, np.int64)


class History:
    """The trials of one study, by row in the order in which they were first seen.

    Args:
        space: of the study.
        objectives: their names, in the study's order.
        promising: whether values, by name, are worth building on. The others are parents only
            where there are not enough of these: the ends of a front, such as the dense model,
            are infinitely far from their neighbours and would be parents of most candidates.
        measure: what values are held against; ``None`` or without the dense model where that is
            not known.

    Attributes:
        space: of the study.
        measure: as given.
        last: highest number seen, -1 for none.
        unfinished: numbers of the trials whose end was not seen yet.
        scored: rows of the trials that have every objective, in the order they came in.
        changes: rows in the order in which something became known of them.
        cache: where a sampler keeps what it derives from the history, under its own name.
    """

    def __init__(
        self,
        space: SearchSpace,
        objectives: Sequence[str],
        promising: Promising = lambda _: True,
        measure: Yardstick | None = None,
    ) -> None:
        self.space = space
        self.measure = measure
        self.objectives = tuple(objectives)
        self.last = -1
        self.unfinished: set[int] = set()
        self.scored: list[int] = []
        self.changes: list[int] = []
        self.cache: dict[Any, Any] = {}
        self._signs = np.array([OBJECTIVES[name].sign for name in objectives], dtype=np.float64)
        self._by_ratio = np.array([OBJECTIVES[name].kind != "quality" for name in objectives])
        self._promising, self._dense = promising, dict(measure.reference) if measure else {}
        self._pasts: list[Past] = []
        self._rows: dict[int, int] = {}
        self._signatures: list[tuple[Any, ...] | None] = []
        self._taken: Counter[tuple[Any, ...]] = Counter()
        self._genes = np.empty((64, len(space.genes)))
        self._realised = np.empty((64, len(space.genes)))
        self._values = np.empty((64, len(objectives)))
        self._violations = np.empty(64)
        self._numbers = np.empty(64, dtype=np.int64)

    def __len__(self) -> int:
        return len(self._pasts)

    @property
    def pasts(self) -> Sequence[Past]:
        """Every trial seen, by row."""
        return self._pasts

    @property
    def genes(self) -> Floats:
        """Genes by row, shape (trials, genes): shares of their range, or indices of a category."""
        return self._genes[: len(self)]

    @property
    def realised(self) -> Floats:
        """What genes would have said of the models as they came out, like :attr:`genes`.

        NaN where that is not known, as for categories.
        """
        return self._realised[: len(self)]

    @property
    def values(self) -> Floats:
        """Objectives by row, shape (trials, objectives), all to be minimised; NaN if unknown."""
        return self._values[: len(self)]

    def spread(self, rows: NDArray[np.intp]) -> Floats:
        """Return objectives on the scale on which a front is to be even, shape (rows, objectives).

        Costs by their logarithm: from 8 ms to 4 is as far as from 4 to 2.
        """
        values = self.values[rows]
        costs = np.sign(values) * np.log(np.maximum(np.abs(values), _TINY))
        return np.where(self._by_ratio, costs, values)

    @property
    def violations(self) -> Floats:
        """Sum of constraint violations by row, shape (trials,); 0 is feasible and promising."""
        return self._violations[: len(self)]

    @property
    def numbers(self) -> NDArray[np.int64]:
        """Numbers of the trials by row, shape (trials,)."""
        return self._numbers[: len(self)]

    def update(self, pasts: Iterable[Past]) -> None:
        """Take in new trials and what became of unfinished ones; finished ones never change."""
        for past in pasts:
            row = self._rows.get(past.number)
            if row is None:
                row = self._append(past)
            elif past.number not in self.unfinished:
                continue
            self._write(row, past)

    def taken(self, params: Mapping[str, Any]) -> bool:
        """Return whether a candidate was tried before or is being tried."""
        return self._taken[self.space.signature(params)] > 0

    def encode(self, params: Mapping[str, Any]) -> Floats:
        """Return parameters as one row of :attr:`genes`; what is missing or foreign is NaN."""
        return np.array([_encoded(gene, params.get(gene.name)) for gene in self.space.genes])

    def decode(self, row: Floats) -> Params:
        """Return the parameters that one row of genes stands for. The inverse of ``encode``."""
        return {
            gene.name: gene.choices[int(share)] if gene.choices else gene.at(float(share))
            for gene, share in zip(self.space.genes, row, strict=True)
        }

    def _append(self, past: Past) -> int:
        row = self._rows[past.number] = len(self._pasts)
        self._grow(row)
        self._numbers[row] = past.number
        self._pasts.append(past)
        self._signatures.append(None)
        self.last = max(self.last, past.number)
        self.unfinished.add(past.number)
        return row

    def _grow(self, row: int) -> None:
        if row < len(self._numbers):
            return
        self._genes = _doubled(self._genes)
        self._realised = _doubled(self._realised)
        self._values = _doubled(self._values)
        self._violations = _doubled(self._violations)
        self._numbers = _doubled(self._numbers)

    def _write(self, row: int, past: Past) -> None:
        self._pasts[row] = past
        self.changes.append(row)
        self._genes[row] = self.encode(past.params or {})
        dtype = (past.params or {}).get(DTYPE)
        realised = self.space.realised(past.kept, self._cost(past), dtype)
        self._realised[row] = self.encode(realised)
        self._values[row] = self._signs * [_number(past.values, name) for name in self.objectives]
        self._violations[row] = self._violation(past)
        self._take(row, past)
        if past.state.finished:
            self.unfinished.discard(past.number)
            if _teaches(past.state) and np.isfinite(self._values[row]).all():
                self.scored.append(row)

    def _cost(self, past: Past) -> float | None:
        """Return the mean share of the dense model's costs, ``None`` where one is not known."""
        shares = [
            _number(past.values, name) / self._dense[name]
            for name, by_ratio in zip(self.objectives, self._by_ratio, strict=True)
            if by_ratio and self._dense.get(name)
        ]
        return float(np.mean(shares)) if shares and np.isfinite(shares).all() else None

    def _violation(self, past: Past) -> float:
        """Return a violation clipped from below; NaN is the worst, unpromising just above 0."""
        if math.isnan(past.violation):
            return math.inf
        least = 0.0 if not past.values or self._promising(past.values) else UNPROMISING
        return max(least, past.violation)

    def _take(self, row: int, past: Past) -> None:
        """Count a candidate as tried; a trial that changed its candidate gives the old one back."""
        old, new = self._signatures[row], self._signature(past)
        if old != new:
            self._signatures[row] = new
            self._taken.subtract([old] if old else [])
            self._taken.update([new] if new else [])

    def _signature(self, past: Past) -> tuple[Any, ...] | None:
        params = past.params
        if params is None or any(gene.name not in params for gene in self.space.genes):
            return None
        return self.space.signature(params)


def _teaches(state: TrialState) -> bool:
    return state in (TrialState.COMPLETE, TrialState.STOPPED)


def _number(values: Mapping[str, float] | None, name: str) -> float:
    return float(values.get(name, math.nan)) if values else math.nan


def _encoded(gene: Any, value: Any) -> float:
    if value is None:
        return math.nan
    if gene.choices:
        return float(gene.choices.index(value)) if value in gene.choices else math.nan
    return float(gene.share(value))


def _doubled(array: NDArray[T]) -> NDArray[T]:
    return np.concatenate((array, np.empty_like(array)))
