"""All families by the names that ``pareto-prune list`` takes."""

from __future__ import annotations

import importlib
from typing import Any

from pareto_prune.core.registry import Entry, Registry

FAMILIES: dict[str, tuple[str, str]] = {
    "strategies": ("pareto_prune.pruning.strategies", "strategies"),
    "importances": ("pareto_prune.pruning.importance", "importances"),
    "samplers": ("pareto_prune.search.samplers", "samplers"),
    "starters": ("pareto_prune.search.starters", "starters"),
    "references": ("pareto_prune.trials.named_references", "named_references"),
    "meters": ("pareto_prune.measure.energy", "meters"),
    "engines": ("pareto_prune.measure.engines", "engines"),
    "tasks": ("pareto_prune.inputs.tasks", "tasks"),
    "models": ("pareto_prune.models.families", "families"),
    "launchers": ("pareto_prune.running.launch", "launchers"),
    "exporters": ("pareto_prune.export.formats", "exporters"),
}
"""Module and attribute of each family's registry; imported only when it is asked for."""


def entries(family: str) -> list[Entry]:
    """Return the members of a family."""
    module, attribute = FAMILIES[family]
    registry: Registry[Any] = getattr(importlib.import_module(module), attribute)
    return registry.entries()
