"""A folder for transformers."""

from __future__ import annotations

import copy
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Literal

from pareto_prune.core.cache import replacing
from pareto_prune.export.card import Card
from pareto_prune.export.formats import Examples, check_folder, exporters
from pareto_prune.export.formats._manifest_of_model import check_plan, manifest_of
from pareto_prune.export.formats._readme import write_card
from pareto_prune.export.manifest import hashes
from pareto_prune.inputs.tasks import tasks

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pareto_prune.pruning.plan import PruningPlan

WEIGHTS = "model.safetensors"
LONGEST = 128
"""Tokens of a text where a card does not say."""


@exporters.register("huggingface")
@dataclass(frozen=True)
class HuggingFace:
    """A folder that transformers loads: safetensors, tokenizer, model card, plan.json.

    Where the shape is native, it is a plain checkpoint; where layers are of unlike width, it holds
    a modelling file, and loading needs ``trust_remote_code=True``.

    Attributes:
        dtype: of the weights.
    """

    compares: ClassVar[bool] = False
    dtypes: ClassVar[tuple[str, ...]] = ("float32", "float16", "bfloat16")

    dtype: Literal["float32", "float16", "bfloat16"] = "float32"

    def export(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase | None,
        plan: PruningPlan,
        folder: Path,
        card: Card,
        examples: Examples | None = None,
    ) -> Path:
        """Write ``model`` to ``folder``; see :class:`pareto_prune.export.formats.Exporter`."""
        from pareto_prune.inputs.checkpoint import quiet_transformers
        from pareto_prune.pruning.stock import is_plain

        del examples
        check_plan(model, plan)
        place = check_folder(folder)
        with replacing(place) as beside, quiet_transformers():
            self._converted(model).save_pretrained(beside)
            if tokenizer is not None:
                tokenizer.save_pretrained(beside)
            _write_files(beside, model, card)
            weights = hashes(beside, WEIGHTS)
            manifest = manifest_of(model, plan, card, "huggingface", self.dtype, weights, tokenizer)
            manifest.write(beside)
            write_card(beside, manifest, remote_code=not is_plain(model))
        return folder

    def _converted(self, model: PreTrainedModel) -> PreTrainedModel:
        import torch

        dtype = getattr(torch, self.dtype)
        return model if model.dtype == dtype else copy.deepcopy(model).to(dtype)


def _write_files(folder: Path, model: PreTrainedModel, card: Card) -> None:
    """Write what the library of the task reads beside the model."""
    length = int(card.settings.get("max_length", LONGEST))
    for name, content in tasks.create(card.task).files(model.config, length).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
