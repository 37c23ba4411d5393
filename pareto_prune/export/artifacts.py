"""What a user takes home: the kept model of a trial, with its card."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.records import DenseReference, Reading, Study, Trial, TrialResult
from pareto_prune.export.artifact_store import dense_beside, local_path, opened
from pareto_prune.export.formats import Examples, check_folder, exporters
from pareto_prune.export.manifest import Card, CardObjective, Manifest
from pareto_prune.export.origin import Origin
from pareto_prune.results.front import front_of


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
    trial = _finished(study, number)
    check_folder(to)
    from pareto_prune.export.loading import load, load_tokenizer

    with _kept(study, trial) as kept:
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


@contextmanager
def kept_model(study: Study, number: int) -> Iterator[tuple[Path, Card]]:
    """Yield the folder with the kept model of a trial, checked, and its card.

    Raises:
        UserError: there is no such trial, it has no result, or its weights are not kept or damaged.
    """
    trial = _finished(study, number)
    with _kept(study, trial) as folder:
        yield folder, card_of(study, trial)


def origin_of(study: Study, trial: Trial) -> Origin:
    """Return where the model of a trial comes from, one whose weights are kept."""
    assert study.reference is not None
    result, metric = _result(trial), StudyConfig.from_json(study.config).metric
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


def card_of(study: Study, trial: Trial) -> Card:
    """Return the model card of a finished trial."""
    config = StudyConfig.from_json(study.config)
    result = _result(trial)
    environment = result.environment
    return Card(
        title=f"{Path(config.model.path).name}, pruned",
        task=config.data.task,
        parent=config.model.path,
        study=study.name,
        trial=trial.number,
        strategy=result.candidate.starter or result.candidate.strategy,
        importance=result.candidate.importance,
        objectives=_objectives(config, result, study.reference),
        machine=environment.device if environment else None,
        data=config.data.path,
        settings=_settings(config, result.candidate.deployment),
    )


def _settings(config: StudyConfig, deployment: Mapping[str, str | int]) -> dict[str, Any]:
    """Return what predicting needs, the knobs of deployment that the trial searched included."""
    length = deployment.get("max_length", config.data.max_length)
    return {"max_length": length, "text": list(config.data.text), "deployment": {**deployment}}


def _objectives(
    config: StudyConfig, result: TrialResult, reference: DenseReference | None
) -> tuple[CardObjective, ...]:
    return tuple(
        _objective(name, result, reference) for name in config.objectives if name in result.values
    )


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


def _finished(study: Study, number: int) -> Trial:
    trial = next((t for t in study.trials if t.number == number), None)
    trial = trial and _as_confirmed(study, trial)
    listed = ", ".join(str(point.number) for point in front_of(study).members) or "none"
    if trial is None or trial.result is None or not trial.result.values:
        wrong = f"there is no trial {number}" if trial is None else f"is {trial.state.value}"
        where = f"study {study.name!r}" if trial is None else f"trial {number}"
        raise UserError(Problem(where, wrong, f"on the front: {listed}"))
    return trial


def _as_confirmed(study: Study, trial: Trial) -> Trial:
    """Return the trial with what confirming it found, weights included, where it was confirmed."""
    found = next((one for one in study.confirmations if one.number == trial.number), None)
    if found is None or trial.result is None:
        return trial
    update = {"values": found.values, "intervals": found.intervals, "artifact": found.artifact}
    update["artifact_digest"] = found.artifact_digest
    measured = {"measurement": found.measurement, "environment": found.environment}
    return trial.model_copy(update={"result": trial.result.model_copy(update=update | measured)})


def _result(trial: Trial) -> TrialResult:
    assert trial.result is not None
    return trial.result


@contextmanager
def _kept(study: Study, trial: Trial) -> Iterator[Path]:
    """Yield the folder with the model of a trial."""
    result = _result(trial)
    path = None if result.artifact is None else local_path(result.artifact)
    if result.artifact is None or (path is not None and not path.is_dir()):
        listed = ", ".join(str(point.number) for point in front_of(study).members)
        wrong = f"its weights are not kept ({result.artifact or 'it was not on the front'})"
        again = f"retrain it: pareto-prune confirm {study.name} {trial.number}"
        raise UserError(Problem(f"trial {trial.number}", wrong, f"{again}; on the front: {listed}"))
    with opened(result.artifact, result.artifact_digest) as folder:
        yield folder
