"""What a study stands on, for whoever joins it: its data and its dense models as they are.

Nothing here makes or writes anything. Whoever does not have what the study was started with is
refused before there is anything to put right.
"""

from __future__ import annotations

from pathlib import Path

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import MismatchError, Problem
from pareto_prune.core.records import DenseReference
from pareto_prune.inputs.examples import TaskData
from pareto_prune.trials.dense import DenseModel, load_dense
from pareto_prune.trials.folders import is_whole, record_of

_ADVICE = "allowed: the folder that the study was started with, shared by all hosts"


def check_data(config: StudyConfig, data: TaskData, reference: DenseReference) -> None:
    """Refuse data that is not what a study was started with.

    Raises:
        MismatchError: its content changed. Studies that recorded none take any.
    """
    if reference.data not in (None, data.digest):
        wrong = "the data is not what the study was started with: its content changed"
        advice = "allowed: the data as it was, or a new study under another name"
        raise MismatchError(Problem(f"data.path: {config.data.path}", wrong, advice))


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
