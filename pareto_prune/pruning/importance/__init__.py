"""Importances: how much a unit matters. One file each; scores are higher for what should stay."""

from __future__ import annotations

from typing import Any

from pareto_prune.core.registry import Registry

importances: Registry[Any] = Registry("importance", __name__)
