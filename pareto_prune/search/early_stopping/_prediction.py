"""What a shape will cost, by the tables of the calibration: nothing is cut or run."""

from __future__ import annotations

from pareto_prune.core.architecture import Architecture, LayerKind, LayerShape
from pareto_prune.core.records import DenseReference
from pareto_prune.pruning.context import CostTable
from pareto_prune.pruning.cost import total

TABLED = ("latency_ms", "latency_p95_ms", "energy_j")
"""Costs that need the tables."""
PREDICTABLE = (*TABLED, "parameters", "bytes")


def predict(
    shape: Architecture,
    reference: DenseReference,
    tables: tuple[CostTable, CostTable] | None,
) -> dict[str, float]:
    """Return the costs of a model of this shape, as far as the dense model's are known.

    Latency and energy are the ratio of the tables' sums times the study's reference value, as
    objectives are. A dropped layer takes its norms and output biases along.

    Args:
        shape: of the model.
        reference: the dense model.
        tables: of latency and of energy; without them only sizes are predicted.
    """
    left = reference.parameters - removed(shape, reference.architecture)
    sizes = {"parameters": left, "bytes": left * reference.bytes / reference.parameters}
    if tables is None:
        return sizes
    slower, dearer = (
        total(table, shape) / total(table, reference.architecture) for table in tables
    )
    readings = reference.measurement.readings
    values = {name: readings[name].value for name in TABLED if name in readings}
    ratios = dict(zip(TABLED, (slower, slower, dearer), strict=True))
    return sizes | {n: ratios[n] * value for n, value in values.items() if value is not None}


def removed(shape: Architecture, dense: Architecture) -> float:
    """Return how many parameters a smaller shape lacks."""
    pairs = enumerate(zip(dense.layers, shape.layers, strict=True))
    return sum(_lost(dense.kind(i), full, left, dense) for i, (full, left) in pairs)


def _lost(kind: LayerKind, full: LayerShape, left: LayerShape, dense: Architecture) -> int:
    matrices = kind.head_matrices + kind.position_matrices
    head = (matrices * dense.hidden + kind.head_biases) * dense.head_size
    neuron = kind.neuron_matrices * dense.hidden + kind.neuron_biases
    units = (full.heads - left.heads) * head + (full.neurons - left.neurons) * neuron
    return units + left.dropped * kind.vectors * dense.hidden
