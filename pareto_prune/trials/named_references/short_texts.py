"""Shorter texts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np
import pydantic

from pareto_prune.trials.named_references import Alternative, Setting, named_references

SHORTEST = 8


@named_references.register("short_texts")
@dataclass(frozen=True)
class ShortTexts:
    """The dense model on texts cut off behind the median length.

    Attributes:
        quantile: of the lengths of the validation texts, behind which they are cut.
    """

    quantile: Annotated[float, pydantic.Field(gt=0.0, lt=1.0)] = 0.5

    def alternative(self, setting: Setting) -> Alternative | None:
        """Return it; ``None`` for tasks on words, and where all texts are about as long."""
        validation = setting.validation
        length = max(SHORTEST, int(np.quantile(validation.lengths, self.quantile)))
        if setting.task.splits_words or length >= int(validation.lengths.max()):
            return None
        return Alternative(setting.model, {"max_length": length})
