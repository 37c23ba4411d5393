"""Labelled data for an exported model: the study's own, or a file in the same columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pareto_prune.core.config import ModelTable, StudyConfig
from pareto_prune.core.errors import StudyFileError, UserError
from pareto_prune.core.progress import Progress
from pareto_prune.export.deployed._texts import read_from
from pareto_prune.export.kept_models.places import local_path
from pareto_prune.export.loading import load_tokenizer
from pareto_prune.export.manifest import Manifest
from pareto_prune.export.origin import Origin
from pareto_prune.inputs import data as data_sets
from pareto_prune.inputs.examples import Split, TaskData
from pareto_prune.inputs.sources import file_source
from pareto_prune.inputs.tasks import tasks
from pareto_prune.trials.joining import other_data

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def as_deployed(config: StudyConfig, manifest: Manifest) -> StudyConfig:
    """Return the study with texts cut where the exported model cuts them."""
    length = int(manifest.card.settings.get("max_length", config.data.max_length))
    data = config.data.model_copy(update={"max_length": length})
    return config.model_copy(update={"data": data})


def own_tokenizer(folder: Path, manifest: Manifest) -> PreTrainedTokenizerBase | None:
    """Return the tokenizer of a folder whose vocabulary was cut; ``None`` for the study's own."""
    return None if manifest.plan.rows is None else _tokenizer(folder, manifest)


def by_dense_numbers(split: Split, manifest: Manifest) -> Split:
    """Return texts by the same tokens under the numbers that the dense model has for them."""
    if manifest.plan.rows is None:
        return split
    rows = np.array(manifest.plan.rows, dtype=np.int32)
    return replace(split, ids=rows[split.ids], pad=int(rows[split.pad]))


def study_data(
    origin: Origin,
    config: StudyConfig,
    progress: Progress,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> TaskData:
    """Return the study's three splits, in the tokens that the study was started with.

    The tokenizer is the checkpoint's, or, where that changed or is gone, the dense model's.

    Args:
        origin: of the exported model.
        config: the study, with texts cut as the exported model cuts them.
        progress: told what is noted of the data.
        tokenizer: whose tokens the splits are to have in their place.

    Raises:
        UserError: the data is not at hand any more, or not what it was.
    """
    errors: list[UserError] = []
    for model in _models(origin):
        try:
            _check_same(origin, model)
            found = config.model_copy(update={"model": model})
            return data_sets.load(found, progress, tokenizer)
        except UserError as error:
            errors.append(error)
    raise errors[0]


def _models(origin: Origin) -> Iterator[ModelTable]:
    """Yield where the tokenizer of a study is: in its checkpoint, and beside its dense model."""
    yield origin.config.model
    folder = local_path(origin.dense)
    if folder is not None and folder.is_dir():
        yield ModelTable(path=str(folder))


def _check_same(origin: Origin, model: ModelTable) -> None:
    study = origin.config.model_copy(update={"model": model})
    if origin.data is not None and data_sets.load(study).digest != origin.data:
        raise other_data(study)


def labelled_file(
    path: Path,
    folder: Path,
    manifest: Manifest,
    config: StudyConfig,
    tokenizer: PreTrainedTokenizerBase | None = None,
) -> Split:
    """Return a labelled file in the columns of the study, with the classes of the model.

    Its tokens are those of ``tokenizer`` in place of the folder's.

    Raises:
        UserError: no such file, a column is missing, or a class is new.
    """
    task = tasks.create(config.data.task)
    try:
        source = file_source(path, task.splits_words, "--data")
        rows = data_sets.rows_of(source.table(), config.data)
        tokenizer = tokenizer or _tokenizer(folder, manifest)
        return task.encode(rows, tokenizer, manifest.labels, config.data.max_length)
    except StudyFileError as error:
        raise read_from("--data", path, error) from error


def _tokenizer(folder: Path, manifest: Manifest) -> PreTrainedTokenizerBase:
    if manifest.format == "huggingface":
        return load_tokenizer(folder)
    from transformers import PreTrainedTokenizerFast

    tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(folder)
    return tokenizer
