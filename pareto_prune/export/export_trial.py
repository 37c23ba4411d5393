"""What a user takes home: the kept model of a trial, or the dense model, with its card."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import UserError
from pareto_prune.core.records import Study, Trial
from pareto_prune.export.finished_trial import finished, is_dense, result_of
from pareto_prune.export.formats import Examples, Exporter, check_folder, exporters
from pareto_prune.export.kept_models.of_trial import opened_model
from pareto_prune.export.kept_models.store import dense_beside, dense_place
from pareto_prune.export.manifest import Manifest
from pareto_prune.export.origin import Origin
from pareto_prune.export.trial_card import card_of
from pareto_prune.results.measured_as import MeasuredAs, measured_as

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pareto_prune.inputs.examples import Split
    from pareto_prune.inputs.tasks import Task
    from pareto_prune.pruning.plan import PruningPlan


def export_trial(
    study: Study,
    number: int | str,
    to: Path,
    root: str,
    exporter: str | None = None,
    dtype: str | None = None,
) -> Path:
    """Write the model of a trial into the folder ``to`` and return it.

    Args:
        study: as it stands.
        number: of the trial; ``dense`` for the dense model.
        to: a new folder.
        root: where the study keeps its models.
        exporter: name of the format; that of the engine which the study measured on unless given.
        dtype: of the weights; what the trial was measured in, where the format has it.

    Raises:
        UserError: there is no such trial or exporter, it has no such dtype, the trial has no
            result, its weights are not kept or damaged, or ``to`` holds something.
    """
    if exporter is not None:
        exporters.member(exporter, "--format")
    trial = finished(study, number)
    made = _exporter(measured_as(study, result_of(trial).candidate.deployment), exporter, dtype)
    check_folder(to)
    origin = origin_of(study, trial, root)
    with _model(study, trial, origin) as (model, tokenizer, plan):
        own = None if plan.rows is None else tokenizer
        examples = _examples(study, own, origin) if made.compares else None
        folder = made.export(model, tokenizer, plan, to, card_of(study, trial), examples)
    origin.write(folder)
    return folder


def _exporter(measured: MeasuredAs, exporter: str | None, dtype: str | None) -> Exporter:
    name = exporter or measured.format
    has_it = measured.dtype in exporters.create(name).dtypes
    return exporters.create(name, {"dtype": dtype or (measured.dtype if has_it else "float32")})


@contextmanager
def _model(
    study: Study, trial: Trial, origin: Origin
) -> Iterator[tuple[PreTrainedModel, PreTrainedTokenizerBase, PruningPlan]]:
    """Yield the model of a trial, its tokenizer and its plan."""
    from pareto_prune.export.loading import load, load_tokenizer

    if is_dense(trial) and result_of(trial).artifact is None:
        from pareto_prune.export.dense_model import dense_of
        from pareto_prune.pruning.surgery import plan_of

        dense = dense_of(origin, origin.config)
        yield dense.model, dense.tokenizer, plan_of(dense.model)
    else:
        with opened_model(study, trial) as kept:
            yield load(kept), load_tokenizer(kept), Manifest.read(kept).plan


def origin_of(study: Study, trial: Trial, root: str) -> Origin:
    """Return where the model of a trial comes from, one whose weights are kept."""
    assert study.reference is not None
    result, metric = result_of(trial), StudyConfig.from_json(study.config).metric
    digest, kept = study.reference.digest, result.artifact
    return Origin(
        study=study.config,
        dense=dense_place(root, digest) if kept is None else dense_beside(kept, digest),
        dense_digest=digest,
        untrained=result.rungs[0].quality.metrics.get(metric) if result.rungs else None,
        validation=result.values.get(metric),
        data=study.reference.data,
    )


def _examples(
    study: Study, tokenizer: PreTrainedTokenizerBase | None, origin: Origin
) -> Examples | None:
    """Return the validation split of a study; ``None`` where its data is not at hand as it was.

    Its tokens are those of ``tokenizer``, where the model does not have those of the study's.
    """
    from pareto_prune.inputs import data
    from pareto_prune.inputs.tasks import tasks
    from pareto_prune.trials.calibration_texts import calibration_texts

    assert study.reference is not None
    config = StudyConfig.from_json(study.config)
    try:
        found = data.load(config)
        own = found if tokenizer is None else data.load(config, tokenizer=tokenizer)
    except UserError:
        return None
    if study.reference.data not in (None, found.digest):
        return None
    task = tasks.create(config.data.task)
    split = _told(task, own.validation, found.validation, origin, config)
    texts = calibration_texts(own.train, task, config.seed)
    return Examples(task, split, config.metric, texts)


def _told(task: Task, split: Split, read: Split, origin: Origin, config: StudyConfig) -> Split:
    """Return texts with what the dense model says of them, where the task has no labels."""
    if not task.taught:
        return split
    from pareto_prune.export.dense_model import dense_of
    from pareto_prune.trials.told import told

    return told(task, split, dense_of(origin, config).model, read)
