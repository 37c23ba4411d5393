"""The model card of a trial: what it reached, on what, and how it is used."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.paths import is_of_this_machine, public_name
from pareto_prune.core.records import DenseReference, Reading, Study, Trial, TrialResult
from pareto_prune.export.card import Card, CardObjective
from pareto_prune.export.finished_trial import is_dense, result_of
from pareto_prune.inputs.tasks import tasks
from pareto_prune.results.cold import COLD, HOT
from pareto_prune.results.measured_as import measured_as


def card_of(study: Study, trial: Trial) -> Card:
    """Return the model card of a finished trial."""
    config = StudyConfig.from_json(study.config)
    result = result_of(trial)
    environment = result.environment
    measured = measured_as(study, result.candidate.deployment)
    name = Path(config.model.path).name
    return Card(
        title=f"{name}, not pruned" if is_dense(trial) else f"{name}, pruned",
        task=config.data.task,
        parent=public_name(config.model.path),
        parent_is_local=is_of_this_machine(config.model.path),
        study=study.name,
        trial=trial.number if trial.number >= 0 else None,
        strategy=result.candidate.starter or result.candidate.strategy,
        importance=result.candidate.importance,
        objectives=_objectives(config, result, study.reference),
        machine=environment.device if environment else None,
        engine=measured.engine,
        dtype=measured.dtype,
        data=public_name(config.data.path),
        vocabulary=result.vocabulary,
        settings=_settings(config, result.candidate.deployment),
    )


def _settings(config: StudyConfig, deployment: Mapping[str, str | int]) -> dict[str, Any]:
    """Return what predicting needs, the knobs of deployment that the trial searched included."""
    length = deployment.get("max_length", config.data.max_length)
    text = tasks.create(config.data.task).columns(config.data.text)
    return {"max_length": length, "text": list(text), "deployment": {**deployment}}


def _objectives(
    config: StudyConfig, result: TrialResult, reference: DenseReference | None
) -> tuple[CardObjective, ...]:
    beside = [COLD] if HOT in config.objectives else []
    names = dict.fromkeys([*config.objectives, *beside])
    return tuple(_objective(name, result, reference) for name in names if name in result.values)


def _objective(name: str, result: TrialResult, reference: DenseReference | None) -> CardObjective:
    objective = OBJECTIVES[name]
    reading = result.measurement.readings.get(name) if result.measurement else None
    return CardObjective(
        name=name,
        label=objective.label,
        unit=objective.unit,
        value=result.values[name],
        reference=_reference(name, reference),
        interval=result.intervals.get(name),
        grade=reading.grade if reading else None,
        source=reading.source if reading else None,
    )


def _reference(name: str, reference: DenseReference | None) -> float | None:
    if reference is None:
        return None
    readings: dict[str, Reading] = reference.measurement.readings
    if name in readings:
        return readings[name].value
    sizes = {"parameters": reference.parameters, "bytes": reference.bytes}
    return sizes.get(name, reference.quality.metrics.get(name))
