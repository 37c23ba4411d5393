"""A folder for transformers."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pareto_prune.cache import replacing
from pareto_prune.export import check_folder, exporters
from pareto_prune.export._card import model_card
from pareto_prune.manifest import Card, Manifest, hashes

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pareto_prune.pruning.plan import PruningPlan

WEIGHTS = "model.safetensors"


@exporters.register("huggingface")
@dataclass(frozen=True)
class HuggingFace:
    """A folder that transformers loads: safetensors, tokenizer, model card, plan.json.

    Where layers are of unlike width it holds a modelling file, and loading needs
    ``trust_remote_code=True``; where at most whole layers are gone it is a plain checkpoint.

    Attributes:
        dtype: of the weights.
    """

    dtype: Literal["float32", "float16"] = "float32"

    def export(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase | None,
        plan: PruningPlan,
        folder: Path,
        card: Card,
    ) -> Path:
        """Write ``model`` to ``folder``; see :class:`pareto_prune.export.Exporter`."""
        from pareto_prune.checkpoint import quiet_transformers
        from pareto_prune.pruning.surgery import is_plain, plan_of

        if plan_of(model) != plan:
            raise ValueError("the model was not cut by this plan")
        check_folder(folder)
        with replacing(folder) as beside, quiet_transformers():
            self._converted(model).save_pretrained(beside)
            if tokenizer is not None:
                tokenizer.save_pretrained(beside)
            manifest = self._manifest(model, plan, beside, card)
            manifest.write(beside)
            text = model_card(manifest, remote_code=not is_plain(model))
            (beside / "README.md").write_text(text, encoding="utf-8")
        return folder

    def _converted(self, model: PreTrainedModel) -> PreTrainedModel:
        import torch

        dtype = getattr(torch, self.dtype)
        return model if model.dtype == dtype else copy.deepcopy(model).to(dtype)

    def _manifest(
        self, model: PreTrainedModel, plan: PruningPlan, folder: Path, card: Card
    ) -> Manifest:
        from pareto_prune.models import architecture, dense_architecture

        return Manifest(
            plan=plan,
            architecture=architecture(model),
            dense=dense_architecture(model),
            parameters=sum(parameter.numel() for parameter in model.parameters()),
            format="huggingface",
            dtype=self.dtype,
            weights=dict(hashes(folder, [WEIGHTS])),
            card=card,
        )
