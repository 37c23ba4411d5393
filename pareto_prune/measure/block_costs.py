"""The cost tables of a study, from what the measurer times on the study's engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pareto_prune.core.architecture import Architecture
from pareto_prune.measure import BlockCosts, Measurer
from pareto_prune.pruning.cost_tables import MeasuredCost

VERSION = 2
"""Of how the tables are taken: those of another are made anew."""
NEURON_STEPS = 8
"""Widths of the FFN that are timed, evenly spaced; between them the tables are straight lines."""


@dataclass(frozen=True)
class EngineCosts:
    """Times sublayers on the study's engine; a :class:`pareto_prune.trials.calibration.CostSource`.

    Latency is that of the latency input, joules are those of the throughput batch. Where joules
    are not known the table of energy holds the time of that batch, to which they are taken to be
    proportional.
    """

    measurer: Measurer

    @property
    def key(self) -> Any:
        """What decides the numbers."""
        return {**self.measurer.profile(), "tables": VERSION}

    def tables(self, dense: Architecture) -> Mapping[str, MeasuredCost]:
        """Return the tables ``latency_ms`` (ms) and ``energy_j`` (J a sample)."""
        heads, neurons = _widths(dense)
        single = self.measurer.block_costs(heads, neurons, "latency")
        batch = self.measurer.block_costs(heads, neurons, "throughput")
        return {"latency_ms": _table(single, 0, 1e3), "energy_j": _table(batch, 1, 1.0)}


def _widths(dense: Architecture) -> tuple[list[int], list[int]]:
    heads = max(layer.heads for layer in dense.layers)
    neurons = max(layer.neurons for layer in dense.layers)
    steps = {max(1, neurons * step // NEURON_STEPS) for step in range(1, NEURON_STEPS + 1)}
    return list(range(1, heads + 1)), sorted({max(1, neurons // 32), *steps})


def _table(costs: BlockCosts, which: int, scale: float) -> MeasuredCost:
    def of(cost: tuple[float, float | None]) -> float:
        known = cost[which]
        return scale * (cost[0] if known is None else known)

    return MeasuredCost(
        attention={kept: of(cost) for kept, cost in costs.heads.items()},
        ffn={kept: of(cost) for kept, cost in costs.neurons.items()},
        rest=of(costs.fixed),
    )
