"""Labelled data for an exported model: the study's own, or a file in the same columns."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

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


def study_data(origin: Origin, config: StudyConfig, progress: Progress) -> TaskData:
    """Return the study's three splits, in the tokens that the study was started with.

    The tokenizer is the checkpoint's, or, where that changed or is gone, the dense model's.

    Args:
        origin: of the exported model.
        config: the study, with texts cut as the exported model cuts them.
        progress: told what is noted of the data.

    Raises:
        UserError: the data is not at hand any more, or not what it was.
    """
    errors: list[UserError] = []
    for model in _models(origin):
        try:
            _check_same(origin, model)
            return data_sets.load(config.model_copy(update={"model": model}), progress)
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


def labelled_file(path: Path, folder: Path, manifest: Manifest, config: StudyConfig) -> Split:
    """Return a labelled file in the columns of the study, with the classes of the model.

    Raises:
        UserError: no such file, a column is missing, or a class is new.
    """
    task = tasks.create(config.data.task)
    try:
        source = file_source(path, task.splits_words, "--data")
        rows = data_sets.rows_of(source.table(), config.data)
        return task.encode(
            rows, _tokenizer(folder, manifest), manifest.labels, config.data.max_length
        )
    except StudyFileError as error:
        raise read_from("--data", path, error) from error


def _tokenizer(folder: Path, manifest: Manifest) -> PreTrainedTokenizerBase:
    if manifest.format == "huggingface":
        return load_tokenizer(folder)
    from transformers import PreTrainedTokenizerFast

    tokenizer: Any = PreTrainedTokenizerFast.from_pretrained(folder)
    return tokenizer
