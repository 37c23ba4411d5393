"""What the values of a study are held against: the dense model, objective by objective."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.objectives import OBJECTIVES, Objective
from pareto_prune.core.records import (
    DenseReference,
    Study,
)
from pareto_prune.results.hypervolume import BOX, Box, cost_side, metric_floor, metric_side
from pareto_prune.results.records import Front
from pareto_prune.results.repeats import spreads_of

_DEFAULT_OBJECTIVES: tuple[str, ...] = StudyConfig.model_fields["objectives"].default


@dataclass(frozen=True)
class Yardstick:
    """What the values of a study are held against.

    Attributes:
        objectives: in the study's order.
        reference: values of the dense model; empty until it was measured.
        chance: the metric of a model that learned nothing.
        spreads: how far two runs of one model are apart, by cost; empty where it does not matter.
    """

    objectives: tuple[Objective, ...]
    reference: dict[str, float]
    chance: float
    spreads: Mapping[str, float] = field(default_factory=dict)

    @property
    def metric(self) -> Objective:
        """The quality metric."""
        return next(o for o in self.objectives if o.kind == "quality")

    @property
    def costs(self) -> tuple[Objective, ...]:
        """The other objectives."""
        return tuple(o for o in self.objectives if o.kind != "quality")

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the objectives."""
        return tuple(o.name for o in self.objectives)

    @property
    def complete(self) -> bool:
        """Whether the dense model has every objective."""
        return all(name in self.reference for name in self.names)

    @property
    def beats_chance(self) -> bool:
        """Whether there is a metric to lose."""
        return self.complete and self.reference[self.metric.name] > self.chance

    @property
    def floor(self) -> float | None:
        """The metric that a point of the front must be above; ``None`` where there is none."""
        if not self.beats_chance:
            return None
        return metric_floor(self.reference[self.metric.name], self.chance)

    def useful(self, values: Mapping[str, float]) -> bool:
        """Whether the metric is above the floor; True as long as that cannot be told."""
        floor = self.floor
        return floor is None or values.get(self.metric.name, math.nan) > floor

    def values(self, rows: Iterable[Mapping[str, float]]) -> NDArray[np.float64]:
        """Return the objectives of ``rows``, shape ``(n, objectives)``."""
        table = [[row[name] for name in self.names] for row in rows]
        return np.array(table, dtype=np.float64).reshape(len(table), len(self.names))

    def signs(self) -> NDArray[np.float64]:
        """Return +1 for objectives that are minimised, -1 for the others."""
        return np.array([o.sign for o in self.objectives], dtype=np.float64)

    def coordinates(self, values: NDArray[np.float64], box: Box = BOX) -> NDArray[np.float64]:
        """Return where ``values``, shape ``(n, objectives)``, lie in a box, not clipped.

        What the box is stands in :mod:`pareto_prune.results.hypervolume`.
        """
        columns = [
            self._coordinate(objective, values[:, i], box)
            for i, objective in enumerate(self.objectives)
        ]
        return np.stack(columns, axis=1)

    def _coordinate(
        self, objective: Objective, values: NDArray[np.float64], box: Box
    ) -> NDArray[np.float64]:
        dense = self.reference[objective.name]
        if objective.kind == "quality":
            return metric_side(values, dense, self.chance)
        return cost_side(values, dense, objective.sign, box)

    def relative(self, values: Mapping[str, float]) -> dict[str, float]:
        """Return the costs among ``values`` as shares of the dense model's."""
        return {
            o.name: values[o.name] / self.reference[o.name]
            for o in self.costs
            if o.name in values and self.reference.get(o.name)
        }

    def promising(self, values: Mapping[str, float], dearest: float) -> bool:
        """Whether values are where a search is to look.

        They are where the metric is inside the box and some cost is at most
        ``dearest``, a share of the dense model's. True as long as that cannot be told.
        """
        relative = self.relative(values)
        if not self.beats_chance or not relative:
            return True
        signs = {o.name: o.sign for o in self.costs}
        return (
            self.useful(values) and min(v ** signs[name] for name, v in relative.items()) <= dearest
        )

    def cost(self, relative: Mapping[str, float]) -> float:
        """Return the geometric mean of the costs of a point, 1 for the dense model."""
        logs = [o.sign * math.log(relative[o.name]) for o in self.costs if relative.get(o.name)]
        return math.exp(sum(logs) / len(logs)) if logs else 1.0


def yardstick(study: Study) -> Yardstick:
    """Return what the values of ``study`` are held against."""
    names = study.config.get("objectives") or _DEFAULT_OBJECTIVES
    found = yardstick_for([str(name) for name in names], study.reference)  # type: ignore[attr-defined]
    return replace(found, spreads=spreads_of(study))


def yardstick_for(names: Iterable[str], reference: DenseReference | None) -> Yardstick:
    """Return what objectives are held against; ``reference`` is ``None`` until it is measured."""
    objectives = tuple(OBJECTIVES[name] for name in names)
    values = reference_values(reference, objectives) if reference else {}
    return Yardstick(objectives, values, reference.chance if reference else 0.0)


def reference_values(
    reference: DenseReference, objectives: Sequence[Objective]
) -> dict[str, float]:
    """Return the dense model's values of ``objectives``, as far as they are known."""
    known: dict[str, float | None] = {
        "parameters": reference.parameters,
        "bytes": reference.bytes,
        **reference.quality.metrics,
        **{name: reading.value for name, reading in reference.measurement.readings.items()},
    }
    found = ((o.name, known.get(o.name)) for o in objectives)
    return {name: value for name, value in found if value is not None and math.isfinite(value)}


def yardstick_of(front: Front) -> Yardstick:
    """Return what the values of ``front`` are held against."""
    objectives = tuple(OBJECTIVES[o.name] for o in front.objectives)
    return Yardstick(objectives, front.reference or {}, front.chance or 0.0)


def clipped(
    rows: Sequence[Mapping[str, float]], measure: Yardstick, box: Box = BOX
) -> NDArray[np.float64]:
    """Return where ``rows`` lie in a box, shape ``(n, objectives)``, clipped to it."""
    return np.clip(measure.coordinates(measure.values(rows), box), 0.0, 1.0)
