"""The kept model of a trial, as it was confirmed where it was."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.records import Study, Trial
from pareto_prune.export.card import Card
from pareto_prune.export.finished_trial import finished, result_of
from pareto_prune.export.kept_models.places import local_path
from pareto_prune.export.kept_models.store import Kept, opened
from pareto_prune.export.trial_card import card_of
from pareto_prune.results.front import front_of


@contextmanager
def kept_model(study: Study, number: int) -> Iterator[tuple[Path, Card]]:
    """Yield the folder with the kept model of a trial, checked, and its card.

    Raises:
        UserError: there is no such trial, it has no result, or its weights are not kept or damaged.
    """
    trial = finished(study, number)
    with opened_model(study, trial) as folder:
        yield folder, card_of(study, trial)


def kept_at(study: Study, number: int) -> Kept:
    """Return where the model of a trial is kept, and its digest.

    Raises:
        UserError: there is no such trial, it has no result, or its weights are not kept.
    """
    trial = finished(study, number)
    result = result_of(trial)
    if result.artifact is None:
        raise _not_kept(study, trial)
    return Kept(result.artifact, result.artifact_digest or "")


@contextmanager
def opened_model(study: Study, trial: Trial) -> Iterator[Path]:
    """Yield the folder with the model of a trial."""
    result = result_of(trial)
    path = None if result.artifact is None else local_path(result.artifact)
    if result.artifact is None or (path is not None and not path.is_dir()):
        raise _not_kept(study, trial)
    with opened(result.artifact, result.artifact_digest) as folder:
        yield folder


def _not_kept(study: Study, trial: Trial) -> UserError:
    listed = ", ".join(str(point.number) for point in front_of(study).members)
    wrong = f"its weights are not kept ({result_of(trial).artifact or 'it was not on the front'})"
    again = f"retrain it: pareto-prune confirm {study.name} {trial.number}"
    return UserError(Problem(f"trial {trial.number}", wrong, f"{again}; on the front: {listed}"))
