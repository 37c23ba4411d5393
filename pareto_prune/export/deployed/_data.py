"""Labelled data for an exported model: the study's own, or a file in the same columns."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import StudyFileError
from pareto_prune.core.progress import Progress
from pareto_prune.export.deployed._texts import read_from
from pareto_prune.export.loading import load_tokenizer
from pareto_prune.export.manifest import Manifest
from pareto_prune.inputs import data as data_sets
from pareto_prune.inputs.examples import Split, TaskData
from pareto_prune.inputs.sources import file_source
from pareto_prune.inputs.tasks import tasks

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def as_deployed(config: StudyConfig, manifest: Manifest) -> StudyConfig:
    """Return the study with texts cut where the exported model cuts them."""
    length = int(manifest.card.settings.get("max_length", config.data.max_length))
    data = config.data.model_copy(update={"max_length": length})
    return config.model_copy(update={"data": data})


def study_data(config: StudyConfig, progress: Progress) -> TaskData:
    """Return the study's three splits.

    Raises:
        UserError: the data is not at hand any more.
    """
    return data_sets.load(config, progress)


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
