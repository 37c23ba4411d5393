"""How a candidate is deployed: number format, length of the texts, threads.

A knob that a candidate does not have is the study's own. The metric follows all of them: it is
taken at the length, and in the number format of the engine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from pareto_prune.core.config import StudyConfig
from pareto_prune.inputs.decision import keep_decision, of_model
from pareto_prune.trials.evaluation import logits_by, logits_of, with_outcomes

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from pareto_prune.core.records import Quality
    from pareto_prune.inputs.examples import Split
    from pareto_prune.inputs.tasks import Task
    from pareto_prune.measure import Measurer
    from pareto_prune.models.onnx_graph import CalibrationTexts

_BYTES = {"float32": 4, "float16": 2, "bfloat16": 2}


@dataclass(frozen=True)
class Deployment:
    """Knobs of deployment.

    Attributes:
        dtype: of weights and activations.
        max_length: tokens behind which texts are cut off; ``None``: the study's.
        threads: of the engine; ``None``: the study's.
    """

    dtype: str = "float32"
    max_length: int | None = None
    threads: int | None = None

    @classmethod
    def of(cls, config: StudyConfig, given: Mapping[str, str | int]) -> Self:
        """Read what a candidate says, the study's dtype where it says none."""
        length, threads = given.get("max_length"), given.get("threads")
        return cls(
            dtype=str(given.get("dtype", config.measure.dtype)),
            max_length=None if length is None else int(length),
            threads=None if threads is None else int(threads),
        )

    def knobs(self) -> dict[str, Any]:
        """Return the arguments of :meth:`pareto_prune.measure.Measurer.measure`."""
        return {"dtype": self.dtype, "max_length": self.max_length, "threads": self.threads}

    def quality(
        self,
        model: PreTrainedModel,
        split: Split,
        task: Task,
        measurer: Measurer,
        texts: CalibrationTexts | None = None,
    ) -> Quality:
        """Return the quality of a model as it is deployed, on texts of the deployed length.

        Args:
            model: dense or cut.
            split: what it is scored on.
            task: of the study.
            measurer: has the engine.
            texts: that int8 is calibrated on, where their tokens are not the study's.
        """
        logits = self._logits(model, split, measurer, texts)
        return with_outcomes(logits, split, of_model(task, model.config))

    def tune(
        self,
        model: PreTrainedModel,
        split: Split,
        task: Task,
        measurer: Measurer,
        texts: CalibrationTexts | None = None,
    ) -> None:
        """Tune what makes answers of a model's outputs, on texts that it has not learned from.

        Arguments as in :meth:`quality`.
        """
        if task.tunes:
            found = task.tuned(self._logits(model, split, measurer, texts), split)
            keep_decision(model.config, found)

    def _logits(
        self,
        model: PreTrainedModel,
        split: Split,
        measurer: Measurer,
        texts: CalibrationTexts | None,
    ) -> NDArray[np.float32]:
        if self.dtype == "float32":
            return logits_of(model, split)
        return logits_by(measurer.session(model, self.dtype, texts=texts).logits, split)

    def size(self, model: PreTrainedModel) -> dict[str, int]:
        """Return ``parameters`` of a model and the ``bytes`` of its weights as deployed.

        In int8 projections take one byte a weight, all else four.
        """
        shapes = {name: p.numel() for name, p in model.named_parameters()}
        count = sum(shapes.values())
        if self.dtype in _BYTES:
            return {"parameters": count, "bytes": count * _BYTES[self.dtype]}
        narrow = sum(p.numel() for p in _projections(model))
        return {"parameters": count, "bytes": narrow + 4 * (count - narrow)}


def _projections(model: PreTrainedModel) -> list[Any]:
    from torch import nn

    return [
        module.weight
        for module in model.modules()
        if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D"
    ]
