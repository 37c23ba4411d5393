"""Latency and joules of a model, against the dense model in the same process.

The measurer of a worker chooses the engine and the meter, calibrates them once, holds the
device's lock while it measures, and returns readings and ratios that carry their own trust.
"""

from __future__ import annotations

from pareto_prune.measure.costs import BlockCosts, block_costs
from pareto_prune.measure.measurer import Measurer
from pareto_prune.measure.profile import check_profile
from pareto_prune.measure.protocol import VERSION, Protocol
from pareto_prune.measure.workload import Workload

__all__ = [
    "VERSION",
    "BlockCosts",
    "Measurer",
    "Protocol",
    "Workload",
    "block_costs",
    "check_profile",
]
