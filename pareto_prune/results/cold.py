"""Latency of a model that is asked back to back, and of one that is asked now and then."""

from __future__ import annotations

from pareto_prune.core.objectives import COSTS
from pareto_prune.core.quantities import written
from pareto_prune.results.gains import told
from pareto_prune.results.records import Front, Point

HOT, COLD = "latency_ms", "latency_cold_ms"
MEANING = (
    "Latency is that of a model asked back to back, which the processor's caches still hold; cold "
    "latency is that of a model asked once a second, say, whose place in the caches other work has "
    "taken meanwhile."
)
_ASKED = {HOT: "asked back to back", COLD: "asked once a second (cold caches)"}


def hot_and_cold(front: Front, point: Point) -> str | None:
    """Say how fast a point is either way; ``None`` where one of them is not known."""
    dense, values = front.reference or {}, point.values
    if not all(values.get(name) and dense.get(name) for name in _ASKED):
        return None
    parts = (
        f"{asked} {written(name, values[name])}, {told(COSTS[name], values[name] / dense[name])}"
        for name, asked in _ASKED.items()
    )
    return "; ".join(parts)
