"""What a user takes home: the kept model of a trial, with its card."""

from __future__ import annotations

from pathlib import Path

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import UserError
from pareto_prune.core.records import Study, Trial
from pareto_prune.export.finished_trial import finished, result_of
from pareto_prune.export.formats import Examples, check_folder, exporters
from pareto_prune.export.kept_models.of_trial import opened_model
from pareto_prune.export.kept_models.store import dense_beside
from pareto_prune.export.manifest import Manifest
from pareto_prune.export.origin import Origin
from pareto_prune.export.trial_card import card_of


def export_trial(
    study: Study, number: int, to: Path, exporter: str, dtype: str = "float32"
) -> Path:
    """Write the model of a trial into the folder ``to`` and return it.

    Raises:
        UserError: there is no such trial or exporter, it has no such dtype, the trial has no
            result, its weights are not kept or damaged, or ``to`` holds something.
    """
    exporters.member(exporter, "--format")
    made = exporters.create(exporter, {"dtype": dtype})
    trial = finished(study, number)
    check_folder(to)
    from pareto_prune.export.loading import load, load_tokenizer

    with opened_model(study, trial) as kept:
        folder = made.export(
            load(kept),
            load_tokenizer(kept),
            Manifest.read(kept).plan,
            to,
            card_of(study, trial),
            _examples(study) if made.compares else None,
        )
    origin_of(study, trial).write(folder)
    return folder


def origin_of(study: Study, trial: Trial) -> Origin:
    """Return where the model of a trial comes from, one whose weights are kept."""
    assert study.reference is not None
    result, metric = result_of(trial), StudyConfig.from_json(study.config).metric
    return Origin(
        study=study.config,
        dense=dense_beside(str(result.artifact)),
        dense_digest=study.reference.digest,
        untrained=result.rungs[0].quality.metrics.get(metric) if result.rungs else None,
        validation=result.values.get(metric),
    )


def _examples(study: Study) -> Examples | None:
    """Return the validation split of a study; ``None`` where its data is not at hand."""
    from pareto_prune.inputs import data
    from pareto_prune.inputs.tasks import tasks

    config = StudyConfig.from_json(study.config)
    try:
        split = data.load(config).validation
    except UserError:
        return None
    return Examples(tasks.create(config.data.task), split, config.metric)
