"""What makes answers of a model's outputs, such as thresholds: kept with the model it is tuned for.

It stands in the model's configuration, so that it is saved, cut and loaded with the weights.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedConfig

    from pareto_prune.inputs.tasks import Task

KEY = "decision"


def decision_of(config: PreTrainedConfig) -> dict[str, Any]:
    """Return what was tuned for a model, as plain JSON; nothing where nothing was."""
    return dict(getattr(config, KEY, None) or {})


def of_model(task: Task, config: PreTrainedConfig) -> Task:
    """Return the task as it was tuned for the model of this configuration."""
    return decided(task, decision_of(config))


def decided(task: Task, decision: Mapping[str, Any]) -> Task:
    """Return the task as it was tuned."""
    if not task.tunes:
        return task
    found: Task = dataclasses.replace(task, **decision)  # type: ignore[type-var]
    return found


def keep_decision(config: PreTrainedConfig, task: Task) -> None:
    """Write into a configuration how the task was tuned for its model."""
    setattr(config, KEY, dataclasses.asdict(task))  # type: ignore[call-overload]
