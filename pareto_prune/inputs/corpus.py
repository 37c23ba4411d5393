"""The texts that say which tokens are used: those of training, and files of more of them."""

from __future__ import annotations

from pathlib import Path

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.data_table import DataTable
from pareto_prune.core.errors import Problem, StudyFileError
from pareto_prune.inputs.data import rows_of, training_rows
from pareto_prune.inputs.examples import Rows
from pareto_prune.inputs.sources import file_source
from pareto_prune.inputs.table import refused
from pareto_prune.inputs.tasks import tasks
from pareto_prune.inputs.text_file import lines_of
from pareto_prune.inputs.words import word_spans

KEY = "data.corpus"
PLAIN = ".txt"


def corpus_of(config: StudyConfig) -> tuple[Rows, ...]:
    """Return the training texts of a study and those of its ``data.corpus``.

    Raises:
        UserError: a file is not there or holds no texts; the data does not serve.
    """
    files = corpus_files(config.data)
    return (training_rows(config), *files)


def corpus_files(data: DataTable) -> tuple[Rows, ...]:
    """Return the texts of the files under ``data.corpus``.

    Raises:
        StudyFileError: a file is not there, cannot be read or holds no texts; all at once.
    """
    found: list[Rows] = []
    problems: list[Problem] = []
    for name in data.corpus:
        try:
            found.append(_file(Path(name).expanduser(), data))
        except StudyFileError as error:
            problems += error.problems
    if problems:
        raise StudyFileError(*problems)
    return tuple(found)


def _file(path: Path, data: DataTable) -> Rows:
    words = tasks.create(data.task).splits_words
    if path.suffix.lower() == PLAIN and path.is_file():
        rows = _plain(path, words)
    else:
        rows = rows_of(file_source(path, words, KEY).table(), data, labelled=False)
    if not len(rows):
        raise refused(KEY, f"{path} holds no text", "a file of texts")
    return rows


def _plain(path: Path, words: bool) -> Rows:
    try:
        texts = lines_of(path)
    except (OSError, UnicodeDecodeError) as error:
        raise refused(KEY, f"{path} cannot be read ({error})", "text in UTF-8") from error
    parted = [[text[begin:end] for begin, end in word_spans(text)] for text in texts]
    return Rows(path.name, (parted if words else texts,))
