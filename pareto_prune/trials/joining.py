"""What a study stands on, for whoever joins it: its data and its dense models as they are.

Nothing here makes or writes anything. Whoever does not have what the study was started with is
refused before there is anything to put right.
"""

from __future__ import annotations

from pathlib import Path

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import MismatchError, Problem, UserError
from pareto_prune.core.records import DenseReference
from pareto_prune.inputs import data as data_sets
from pareto_prune.inputs.examples import TaskData
from pareto_prune.trials.dense import DenseModel, load_dense
from pareto_prune.trials.folders import is_whole, record_of

_ADVICE = "allowed: the folder that the study was started with, shared by all hosts"


def check_data(
    config: StudyConfig, data: TaskData, reference: DenseReference, folder: Path
) -> None:
    """Refuse data that is not what a study was started with.

    Args:
        config: the study.
        data: as it is read now.
        reference: of the study; one that recorded no data takes any.
        folder: of the study's dense model, with the tokenizer it was started with.

    Raises:
        MismatchError: its content changed, or the checkpoint's tokenizer.
    """
    if reference.data in (None, data.digest):
        return
    if _read_by(config, folder) == reference.data:
        raise _changed(f"model.path: {config.model.path}", "the tokenizer")
    raise other_data(config)


def other_data(config: StudyConfig) -> MismatchError:
    """Return the error of data that is not what a study was started with."""
    return _changed(f"data.path: {config.data.path}", "the data")


def _changed(where: str, what: str) -> MismatchError:
    wrong = f"{what} is not what the study was started with: its content changed"
    advice = f"allowed: {what} as it was, or a new study under another name"
    return MismatchError(Problem(where, wrong, advice))


def _read_by(config: StudyConfig, folder: Path) -> str | None:
    """Return the digest of a study's data as the tokenizer of its dense model gives it."""
    model = config.model.model_copy(update={"path": str(folder), "revision": None})
    try:
        return data_sets.load(config.model_copy(update={"model": model})).digest
    except UserError:
        return None


def load_standing(
    config: StudyConfig, folder: Path, reference: DenseReference, device: str
) -> DenseModel:
    """Return the dense model that a study was measured against.

    Raises:
        MismatchError: the folder holds none, or another one.
    """
    found = str(record_of(folder).get("digest"))
    if is_whole(folder) and found != reference.digest:
        wrong = (
            f"the dense model there is not the study's (SHA-256 {found[:12]}…, "
            f"recorded {reference.digest[:12]}…)"
        )
        raise MismatchError(Problem(str(folder), wrong, _ADVICE))
    return load_kept(config, folder, device)


def load_kept(config: StudyConfig, folder: Path, device: str) -> DenseModel:
    """Return the dense model that a folder holds, such as that of a fold.

    Raises:
        MismatchError: it holds none that is whole.
    """
    if not is_whole(folder):
        raise MismatchError(Problem(str(folder), "holds no whole dense model", _ADVICE))
    return load_dense(config, folder, device)
