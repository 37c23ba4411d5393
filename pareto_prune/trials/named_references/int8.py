"""Quantisation to 8 bits."""

from __future__ import annotations

from dataclasses import dataclass

from pareto_prune.trials.named_references import Alternative, Setting, named_references


@named_references.register("int8")
@dataclass(frozen=True)
class Int8:
    """The dense model in int8, where the engine has it: what one line of a deployment changes."""

    def alternative(self, setting: Setting) -> Alternative | None:
        """Return it; ``None`` without int8, or where the study is deployed in it anyway."""
        if "int8" not in setting.dtypes or setting.dtype == "int8":
            return None
        return Alternative(setting.model, {"dtype": "int8"})
