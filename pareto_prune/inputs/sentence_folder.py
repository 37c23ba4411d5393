"""What a folder of sentence-transformers says beside its encoder: how vectors are pooled.

::

    modules.json ─► Transformer ─► Pooling ─► Normalize       others are refused
                                  its config.json: mean, CLS, max or last token
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pareto_prune.core.errors import StudyFileError
from pareto_prune.inputs.table import refused
from pareto_prune.models.sentence_vectors import MODES, Pooling

MODULES = "modules.json"
SETTINGS = "config_sentence_transformers.json"
_KEY = "model.path"
_FLAGS = {
    "mean": "pooling_mode_mean_tokens",
    "cls": "pooling_mode_cls_token",
    "max": "pooling_mode_max_tokens",
    "last": "pooling_mode_lasttoken",
}
"""Keys of the configuration of a pooling, one of which is true."""
_VALUES = {"lasttoken": "last", **{flag: mode for mode, flag in _FLAGS.items()}}
"""What newer versions, which have one key with a value, call otherwise."""
_KNOWN = ("Transformer", "Pooling", "Normalize")


def read_pooling(path: str, revision: str | None = None) -> Pooling:
    """Return how a checkpoint makes sentence vectors; the mean where it does not say.

    Args:
        path: a hub id or a local folder.
        revision: commit of the hub.

    Raises:
        StudyFileError: it has modules that nothing here computes, pools in another way, puts a
            prompt before each text, or cannot be reached to see.
    """
    modules = _read(path, MODULES, revision)
    if modules is None:
        return Pooling()
    kinds = [str(module["type"]).rpartition(".")[2] for module in modules]
    if strange := [kind for kind in kinds if kind not in _KNOWN]:
        wrong = f"{path} has a module {strange[0]}, which nothing here computes"
        raise _refused(wrong, "an encoder, pooling, and perhaps normalising")
    settings = _read(path, SETTINGS, revision) or {}
    if prompt := settings.get("default_prompt_name"):
        wrong = f"{path} puts a prompt before each text ({prompt!r}), which is not done here"
        raise _refused(wrong, "a model without a default prompt")
    return Pooling(_mode(path, modules, kinds, revision), "Normalize" in kinds)


def _mode(
    path: str, modules: Sequence[Mapping[str, Any]], kinds: Sequence[str], revision: str | None
) -> str:
    if "Pooling" not in kinds:
        return "mean"
    file = f"{modules[kinds.index('Pooling')]['path']}/config.json"
    said = _read(path, file, revision)
    if said is None:
        raise _refused(f"{path} has no {file}", "a whole folder of sentence-transformers")
    flags = [
        key for key, value in said.items() if key.startswith("pooling_mode_") and value is True
    ]
    found = str(said.get("pooling_mode", " and ".join(flags)))
    mode = _VALUES.get(found, found)
    if mode not in MODES:
        raise _refused(f"{path} pools by {found or 'nothing'}", f"one of {', '.join(MODES)}")
    return mode


def written(pooling: Pooling, dimension: int, max_length: int) -> dict[str, Any]:
    """Return the files that sentence-transformers reads beside an encoder, by path.

    Args:
        pooling: how vectors are made.
        dimension: of a vector.
        max_length: tokens after which a text is cut off.
    """
    kinds = _KNOWN if pooling.normalised else _KNOWN[:-1]
    places = ("", "1_Pooling", "2_Normalize")
    modules = [
        {
            "idx": at,
            "name": str(at),
            "path": places[at],
            "type": f"sentence_transformers.models.{k}",
        }
        for at, k in enumerate(kinds)
    ]
    return {
        MODULES: modules,
        "1_Pooling/config.json": {
            "word_embedding_dimension": dimension,
            **{flag: mode == pooling.mode for mode, flag in _FLAGS.items()},
        },
        "sentence_bert_config.json": {"max_seq_length": max_length, "do_lower_case": False},
        SETTINGS: {"prompts": {}, "default_prompt_name": None, "similarity_fn_name": "cosine"},
    }


def _read(path: str, name: str, revision: str | None) -> Any:
    """Return a file of a checkpoint; ``None`` where there is none of this name.

    Raises:
        StudyFileError: it is no JSON.
    """
    file = _file(path, name, revision)
    if file is None:
        return None
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _refused(f"{path}: {name} cannot be read ({error})", "a whole folder") from error


def _file(path: str, name: str, revision: str | None) -> Path | None:
    if Path(path).is_dir():
        local = Path(path) / name
        return local if local.is_file() else None
    from transformers.utils import cached_file

    try:
        found = cached_file(
            path, name, revision=revision, _raise_exceptions_for_missing_entries=False
        )
    except OSError as error:  # it may pool in any way
        wrong = f"{name} of {path!r} cannot be looked for on the hub"
        raise _refused(wrong, "a hub id that can be reached, or a local folder") from error
    return None if found is None else Path(found)


def _refused(wrong: str, allowed: str) -> StudyFileError:
    return refused(_KEY, wrong, allowed)
