"""How many examples a calibration draws from the training split, and whether it has them."""

from __future__ import annotations

import math

from pareto_prune.core.config import CalibrationTable, StudyConfig
from pareto_prune.core.errors import Problem, StudyFileError

_NAMES = ("samples", "sensitivity_samples")


def samples_of(table: CalibrationTable, examples: int) -> tuple[int, int]:
    """Return how many examples are drawn: those asked for; by default no more than there are.

    Args:
        table: of the study file.
        examples: of the training split.

    Raises:
        StudyFileError: more are asked for than there are.
    """
    asked = {name: getattr(table, name) for name in _NAMES}
    problems = [
        Problem(
            f"calibration.{name}",
            f"{count} examples asked for, the training split has {examples}",
            f"allowed: 8 to {examples}",
        )
        for name, count in asked.items()
        if count > examples and count != CalibrationTable.model_fields[name].default
    ]
    if problems:
        raise StudyFileError(*problems)
    samples, fewer = (min(count, examples) for count in asked.values())
    return samples, fewer


def check_samples(config: StudyConfig, examples: int) -> None:
    """Look for enough examples in the training split, in each fold's where there are folds.

    Raises:
        StudyFileError: more are asked for than there are.
    """
    folds = config.search.folds
    samples_of(config.calibration, examples - (math.ceil(examples / folds) if folds > 1 else 0))
