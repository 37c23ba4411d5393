"""What a plan costs by a cost table, and the units that fit within a cost target."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.errors import TrialError
from pareto_prune.pruning.context import CostTable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pareto_prune.pruning.scores import UnitScores


@dataclass(frozen=True)
class BlendedCost:
    """Latency and energy as one cost: ``(α_l t / t_dense + α_e j / j_dense) / (α_l + α_e)``.

    The dense model costs 1. With both weights 0 the two count alike.
    """

    latency: CostTable
    energy: CostTable
    dense: Architecture
    alpha_latency: float
    alpha_energy: float

    def __post_init__(self) -> None:
        weights = np.array([self.alpha_latency, self.alpha_energy])
        weights = weights / weights.sum() if weights.sum() > 0 else np.array([0.5, 0.5])
        scale = [total(self.latency, self.dense), total(self.energy, self.dense)]
        object.__setattr__(self, "_latency", weights[0] / scale[0])
        object.__setattr__(self, "_energy", weights[1] / scale[1])

    _latency: float = 0.0
    _energy: float = 0.0

    def heads(self, layer: int, kept: int) -> float:
        """Return the share of the dense cost of ``layer``'s attention with ``kept`` heads."""
        return self._latency * self.latency.heads(layer, kept) + self._energy * self.energy.heads(
            layer, kept
        )

    def neurons(self, layer: int, kept: int) -> float:
        """Return the share of the dense cost of ``layer``'s FFN with ``kept`` neurons."""
        return self._latency * self.latency.neurons(
            layer, kept
        ) + self._energy * self.energy.neurons(layer, kept)

    @property
    def fixed(self) -> float:
        """Share of the dense cost that no plan removes."""
        return self._latency * self.latency.fixed + self._energy * self.energy.fixed


def total(table: CostTable, architecture: Architecture) -> float:
    """Return the cost of a whole model of this shape, in the table's unit."""
    return table.fixed + sum(
        table.heads(index, layer.heads) + table.neurons(index, layer.neurons)
        for index, layer in enumerate(architecture.layers)
    )


def smallest(table: CostTable, dense: Architecture) -> float:
    """Return the share of the dense cost of the smallest model: the one without any layer."""
    return table.fixed / total(table, dense)


def check_target(table: CostTable, dense: Architecture, target: float) -> None:
    """Raise ``TrialError`` where no model is as cheap as ``target``, a share of the dense cost."""
    least = smallest(table, dense)
    if target < least:
        raise TrialError(
            "cost_target",
            f"cost target {target:.3g} is below the smallest model, allowed: {least:.3g} or more",
        )


@dataclass(frozen=True)
class Kept:
    """Indices of the units of one layer that stay, sorted."""

    heads: NDArray[np.int64]
    neurons: NDArray[np.int64]


def keep_within(
    scores: UnitScores,
    table: CostTable,
    dense: Architecture,
    target: float,
    multiple: int = 1,
    per_cost: bool = True,
) -> list[Kept]:
    """Return the units of highest score that together cost at most ``target``.

    All units of the model are ranked at once, by score over their average share of the cost of a
    full sublayer or by score alone; the longest prefix of that ranking within the target is found
    by bisection, since the cost of a prefix grows with its length.

    Args:
        scores: importance of every unit.
        table: cost by layer and width.
        dense: the shape that ``scores`` and ``table`` belong to.
        target: share of the dense cost.
        multiple: neurons of a layer are rounded down to a multiple of this.
        per_cost: rank by score per cost; otherwise by score, for scores that know the cost.

    Raises:
        TrialError: the target is below the smallest model.
    """
    check_target(table, dense, target)
    groups = _groups(scores, table, dense, per_cost)
    density = np.concatenate([group.density for group in groups])
    owner = np.concatenate([np.full(len(group.density), i) for i, group in enumerate(groups)])
    order = np.argsort(-density, kind="stable")
    limit = target * total(table, dense) * (1 + 1e-9)
    low, high = 0, len(order)
    while low < high:
        middle = (low + high + 1) // 2
        if _prefix_cost(owner[order[:middle]], groups, table, multiple) <= limit:
            low = middle
        else:
            high = middle - 1
    counts = np.bincount(owner[order[:low]], minlength=len(groups))
    best = [
        np.sort(np.argsort(-group.density, kind="stable")[: _rounded(int(n), group, multiple)])
        for group, n in zip(groups, counts, strict=True)
    ]
    return [Kept(best[2 * i], best[2 * i + 1]) for i in range(len(dense.layers))]


@dataclass(frozen=True)
class _Group:
    """Units of one sublayer with their score per cost."""

    layer: int
    kind: str
    density: NDArray[np.float64]


def _groups(
    scores: UnitScores, table: CostTable, dense: Architecture, per_cost: bool
) -> list[_Group]:
    groups: list[_Group] = []
    for index, shape in enumerate(dense.layers):
        for kind, values, count, cost in (
            ("heads", scores.heads[index], shape.heads, table.heads(index, shape.heads)),
            ("neurons", scores.neurons[index], shape.neurons, table.neurons(index, shape.neurons)),
        ):
            share = max(cost, 1e-12) / max(count, 1) if per_cost else 1.0
            groups.append(_Group(index, kind, values.double().cpu().numpy() / share))
    return groups


def _prefix_cost(
    owners: NDArray[np.int64], groups: list[_Group], table: CostTable, multiple: int
) -> float:
    counts = np.bincount(owners, minlength=len(groups))
    return table.fixed + sum(
        getattr(table, group.kind)(group.layer, _rounded(int(n), group, multiple))
        for group, n in zip(groups, counts, strict=True)
    )


def _rounded(count: int, group: _Group, multiple: int) -> int:
    return count if group.kind == "heads" else count - count % multiple
