"""Half precision."""

from __future__ import annotations

from dataclasses import dataclass

from pareto_prune.trials.named_references import Alternative, Setting, named_references


@named_references.register("float16")
@dataclass(frozen=True)
class Float16:
    """The dense model in float16 on a GPU; CPUs have no kernels that make it faster."""

    def alternative(self, setting: Setting) -> Alternative | None:
        """Return it; ``None`` on CPUs, or where the study is deployed in it anyway."""
        on_gpu = setting.device != "cpu"
        if not on_gpu or "float16" not in setting.dtypes:
            return None
        if setting.dtype == "float16":
            return None
        return Alternative(setting.model, {"dtype": "float16"})
