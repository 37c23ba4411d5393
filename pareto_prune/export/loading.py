"""Load a model that was exported, verified, without running any code of its folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.export.manifest import FILE, Manifest

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

CONFIG = "config.json"


def load(
    folder: str | Path, attention: Literal["sdpa", "eager"] = "sdpa", device: str = "cpu"
) -> PreTrainedModel:
    """Return the model of a folder that ``pareto-prune export`` wrote, in eval mode.

    The weights must be those that were exported: their SHA-256 is compared first. It is a
    transformers model; ``save_pretrained`` and fine-tuning work as ever.

    Args:
        folder: written by the ``huggingface`` exporter.
        attention: implementation of the attention.
        device: where the model goes.

    Raises:
        UserError: not such a folder, or its weights, plan or configuration were changed.
    """
    folder = Path(folder)
    manifest = Manifest.read(folder)
    if manifest.format != "huggingface":
        wrong = f"holds a model in the format {manifest.format}"
        raise _refused(folder, wrong, "a folder exported with --format huggingface")
    manifest.verify(folder)
    config = _read_config(folder)
    _check_plan(folder, config, manifest)
    return _load(folder, config, attention).to(device).eval()


def load_tokenizer(folder: str | Path) -> PreTrainedTokenizerBase:
    """Return the tokenizer of a folder that ``pareto-prune export`` wrote.

    The stock configuration of the parent's type stands in for the folder's, so that none of the
    folder's code is looked at.

    Raises:
        UserError: there is none in it.
    """
    from transformers import AutoConfig, AutoTokenizer

    from pareto_prune.inputs.checkpoint import is_empty
    from pareto_prune.models.family import PREFIX

    folder = Path(folder)
    parent = str(_read_config(folder).get("model_type", "")).removeprefix(PREFIX)
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            folder, config=AutoConfig.for_model(parent), trust_remote_code=False
        )
    except (OSError, ValueError) as error:
        raise _refused(folder, "has no tokenizer that loads", "export it again") from error
    if is_empty(tokenizer):
        raise _refused(folder, "has no tokenizer", "export it again")
    return tokenizer


def _read_config(folder: Path) -> dict[str, Any]:
    try:
        config = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        if not isinstance(config["architectures"][0], str):
            raise TypeError(config["architectures"])
    except (OSError, ValueError, LookupError, TypeError) as error:
        raise _refused(folder / CONFIG, "is missing or damaged", "export it again") from error
    return dict(config)


def _check_plan(folder: Path, config: dict[str, Any], manifest: Manifest) -> None:
    from pareto_prune.models.families import RECORD
    from pareto_prune.pruning.plan import PruningPlan
    from pareto_prune.pruning.surgery import plan_from_ranges

    record = config.get(RECORD)
    whole = PruningPlan.dense(manifest.dense)
    plan = whole if record is None else plan_from_ranges(record["plan"])
    if plan != manifest.plan:
        raise _refused(folder / CONFIG, f"does not hold the plan of {FILE}", "export it again")
    names = config.get("id2label") or {}
    if names and tuple(names[at] for at in sorted(names, key=int)) != manifest.labels:
        wrong = f"does not hold the class names of {FILE}"
        raise _refused(folder / CONFIG, wrong, "export it again")


def _load(folder: Path, config: dict[str, Any], attention: str) -> PreTrainedModel:
    from pareto_prune.inputs.checkpoint import quiet_transformers
    from pareto_prune.models.families import family_of
    from pareto_prune.models.sentence_vectors import with_vectors

    kind = _model_class(folder, config["architectures"][0])
    with quiet_transformers():
        read = _renewed(kind.config_class.from_pretrained(folder, local_files_only=True))
        model: PreTrainedModel = kind.from_pretrained(
            folder,
            config=read,
            attn_implementation=family_of(read).attention_kind(attention),
            use_safetensors=True,
            local_files_only=True,
        )
    return with_vectors(model)


def _renewed(config: PreTrainedConfig) -> PreTrainedConfig:
    """Let a cut model's record say where parts live as this version says it."""
    from pareto_prune.models.families import RECORD, family_of, record
    from pareto_prune.pruning.stock import own_table

    found = record(config)
    if found is not None:
        paths = family_of(config).paths.to_json()
        paths["attention"]["shared_table"] = own_table(found)
        setattr(config, RECORD, {"stated": {}, **found, "paths": paths})
    return config


def _model_class(folder: Path, name: str) -> Any:
    """Return the class that a configuration names: one of transformers, or ours made from it."""
    import transformers

    from pareto_prune.pruning import modeling_pruned

    source: Any = modeling_pruned if name.startswith("Pruned") else transformers
    found = getattr(source, name, None)
    if not isinstance(found, type) or not issubclass(found, transformers.PreTrainedModel):
        raise _refused(folder / CONFIG, f"names an unknown class {name!r}", "export it again")
    return found


def _refused(where: Path, wrong: str, allowed: str) -> UserError:
    return UserError(Problem(str(where), wrong, f"allowed: {allowed}"))
