"""The whole path of a study in a minute: few texts, few steps, few trials, an export at the end."""

from __future__ import annotations

from typing import Any

from pareto_prune.core.config import StudyConfig
from pareto_prune.running.study_file import parse_study

_ROWS = 200
_SHORT: dict[str, dict[str, Any]] = {
    "dense": {"epochs": 1},
    "calibration": {"samples": 32, "sensitivity_samples": 16},
    "finetune": {"steps": 5, "by_size": False, "find_rate": False},
    "search": {"references": []},
    "promotion": {"enabled": False},
    "limits": {"trials": 3},
}


def shortened(config: StudyConfig) -> StudyConfig:
    """Return a study of the same model, data and search that is over in a minute.

    What it finds means nothing. It has a name of its own.
    """
    content = config.model_dump(mode="json", exclude_none=True)
    content["name"] = f"{config.name[:90]}-smoke"
    content["constraints"] = {}
    content["data"]["limit"] = min(_ROWS, config.data.limit or _ROWS)
    for table, keys in _SHORT.items():
        content[table] = keys if table == "limits" else {**content[table], **keys}
    return parse_study(content, config.name)
