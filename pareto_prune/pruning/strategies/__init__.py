"""Strategies: how the units that stay are chosen. One file each, all ending in one plan."""

from __future__ import annotations

from pareto_prune.pruning.context import Strategy
from pareto_prune.registry import Registry

strategies: Registry[Strategy] = Registry("strategy", __name__)
