"""What of a checkpoint's ``config.json`` is refused before ``transformers`` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pareto_prune.inputs.table import refused
from pareto_prune.models.families import RECORD


def check(content: Mapping[str, Any], path: str, key: str) -> None:
    """Look at what a configuration holds.

    Args:
        content: of the file.
        path: of the checkpoint, as messages call it.
        key: the key of the study file that named it.

    Raises:
        StudyFileError: it is an export that only the code beside it can build (one that lost whole
            layers serves), its weights are quantized, or its class names have no numbers.
    """
    if RECORD in content and "auto_map" in content:
        wrong = f"{path} is an export whose layers are of unlike width"
        allowed = "the checkpoint it was made from, or an export that lost whole layers"
        raise refused(key, wrong, allowed)
    if quantized := content.get("quantization_config"):
        by = quantized.get("quant_method") if isinstance(quantized, dict) else None
        wrong = f"{path} holds quantized weights{f' ({by})' if by else ''}, which cannot be pruned"
        raise refused(key, wrong, "the checkpoint it was quantized from")
    if not _are_numbered(content.get("id2label")):
        wrong = f"{path}: id2label of config.json does not name classes by their numbers"
        raise refused(key, wrong, 'such as {"0": "negative", "1": "positive"}')


def _are_numbered(names: Any) -> bool:
    if names is None:
        return True
    return isinstance(names, dict) and all(str(number).isdecimal() for number in names)
