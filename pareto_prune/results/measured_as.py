"""How a study ran what it measured: the engine and the number format that its numbers are of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.records import Study

_FORMATS = {"onnxruntime": "onnx", "openvino": "onnx", "eager": "huggingface"}


@dataclass(frozen=True)
class MeasuredAs:
    """How a model was run.

    Attributes:
        engine: that ran it; ``None`` where it was not noted.
        dtype: number format that it ran in.
    """

    engine: str | None
    dtype: str

    @property
    def format(self) -> str:
        """The format of an export that runs on this engine."""
        return _FORMATS.get(self.engine or "", "huggingface")


def measured_as(study: Study, deployment: Mapping[str, str | int]) -> MeasuredAs:
    """Return how a candidate with these knobs of deployment was measured."""
    table = MeasureTable.from_json(study.config.get("measure") or {})
    noted = study.reference.environment.details.get("engine") if study.reference else None
    asked = None if table.engine == "auto" else table.engine
    return MeasuredAs(noted or asked, str(deployment.get("dtype", table.dtype)))
