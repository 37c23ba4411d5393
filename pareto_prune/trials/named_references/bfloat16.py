"""Half precision with the range of float32."""

from __future__ import annotations

from dataclasses import dataclass

from pareto_prune.trials.named_references import Alternative, Setting, named_references


@named_references.register("bfloat16")
@dataclass(frozen=True)
class BFloat16:
    """The dense model in bfloat16, where the engine and the processor have it."""

    def alternative(self, setting: Setting) -> Alternative | None:
        """Return it; ``None`` without bfloat16, or where the study is deployed in it anyway."""
        if "bfloat16" not in setting.dtypes or setting.dtype == "bfloat16":
            return None
        return Alternative(setting.model, {"dtype": "bfloat16"})
