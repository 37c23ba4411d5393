"""The dense model that an exported model was cut from."""

from __future__ import annotations

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.export.kept_models.store import opened
from pareto_prune.export.origin import Origin
from pareto_prune.trials.dense import DenseModel, load_dense


def dense_of(origin: Origin, config: StudyConfig) -> DenseModel:
    """Return the dense model that an exported model was cut from.

    Raises:
        UserError: its folder is gone, damaged, or holds another one.
    """
    with opened(origin.dense, None) as folder:
        dense = load_dense(config, folder)
    if dense.digest != origin.dense_digest:
        wrong = "holds another dense model than the one that was cut"
        raise UserError(Problem(origin.dense, wrong, "allowed: the study's own, or export again"))
    return dense
