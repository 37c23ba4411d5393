"""Strategies: how the units that stay are chosen. One file each, all ending in one plan."""

from __future__ import annotations

from pareto_prune.core.registry import Registry
from pareto_prune.pruning.context import Strategy

strategies: Registry[Strategy] = Registry("strategy", __name__)
