"""The bench: what a worker makes once and holds from trial to trial.

::

    study file ─► data ─► dense model ─► calibration (each part at first use)
                               └─► measurer ─► reference values (once a study)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.progress import Progress
from pareto_prune.core.records import Candidate, DenseReference, Environment
from pareto_prune.inputs import data as data_sets
from pareto_prune.inputs.examples import Indices, TaskData
from pareto_prune.inputs.sampling import folds, sample, spread
from pareto_prune.inputs.tasks import Task, tasks
from pareto_prune.measure import Measurer, Workload, engines
from pareto_prune.measure.block_costs import EngineCosts
from pareto_prune.measure.environment import environment
from pareto_prune.models.families import architecture
from pareto_prune.pruning.strategies import strategies
from pareto_prune.search.early_stopping import TABLED
from pareto_prune.trials.calibration import StudyCalibration
from pareto_prune.trials.calibration_samples import check_samples
from pareto_prune.trials.calibration_texts import calibration_texts
from pareto_prune.trials.cut_vocabulary import CutTexts, StudyVocabularies, check_vocabulary
from pareto_prune.trials.dense import DenseModel, make_dense
from pareto_prune.trials.folders import DENSE_FOLDER, fold_folder
from pareto_prune.trials.held_out import Unseen, held_out
from pareto_prune.trials.joining import check_data, load_kept, load_standing
from pareto_prune.trials.teacher import Teacher
from pareto_prune.trials.told import as_told, validation_told


@dataclass(frozen=True, eq=False)
class Fold:
    """One data set with the dense model made for it, and what was computed from that.

    Attributes:
        teacher: gives the dense model's logits on the training split.
        kept: training rows that trials learn from.
        held: those that strategies may test on as they go.
        rung: validation rows that a rung looks at.
        unseen: validation rows that fine-tunes are judged by, and what the dense model says there.
    """

    data: TaskData
    dense: DenseModel
    architecture: Architecture
    teacher: Teacher
    kept: Indices
    held: Indices
    rung: Indices
    unseen: Unseen
    calibration: StudyCalibration


@dataclass(frozen=True)
class Bench:
    """What a worker holds from trial to trial.

    Attributes:
        whole: the study's own data set.
        folds: data sets of the cross-validation; empty without one.
        vocabularies: smaller ones, and the texts by their tokens.
        measurer: takes latency and energy against the dense model.
        rate: share of a candidate's learning rate that its model gets, in (0, 1].
    """

    config: StudyConfig
    task: Task
    whole: Fold
    folds: tuple[Fold, ...]
    vocabularies: StudyVocabularies
    measurer: Measurer
    environment: Environment
    progress: Progress
    rate: float = 1.0
    _lengths: dict[int, tuple[Fold, ...]] = field(default_factory=dict)

    def at_length(self, fold: Fold, max_length: int | None) -> Fold:
        """Return a fold with its texts cut off behind ``max_length`` tokens.

        The dense model's logits stay those of the whole texts: what a shorter one should say.
        """
        if max_length is None or max_length >= self.config.data.max_length:
            return fold
        if max_length not in self._lengths:
            self._lengths[max_length] = tuple(_shortened(self, max_length))
        return self._lengths[max_length][[self.whole, *self.folds].index(fold)]

    def cut_texts(self, candidate: Candidate, max_length: int | None) -> CutTexts | None:
        """Return the texts by the tokens of a candidate's vocabulary; ``None`` for the whole one.

        Raises:
            UserError: the tokenizer cannot be cut, or the corpus is not there.
        """
        if not candidate.cuts_vocabulary:
            return None
        self.progress.stage("cut the vocabulary")
        read = self.at_length(self.whole, max_length).data
        config = with_length(self.config, max_length)
        return self.vocabularies.texts(candidate.vocabulary, config, read)


def with_length(config: StudyConfig, max_length: int | None) -> StudyConfig:
    """Return a study with texts cut off behind ``max_length`` tokens; ``None``: as it is."""
    if max_length is None:
        return config
    data = config.data.model_copy(update={"max_length": min(max_length, config.data.max_length)})
    return config.model_copy(update={"data": data})


def _shortened(bench: Bench, max_length: int) -> Iterator[Fold]:
    config = with_length(bench.config, max_length)
    data = data_sets.load(config, bench.progress)
    parts = folds(data, len(bench.folds), config.seed) if bench.folds else []
    for fold, part in zip((bench.whole, *bench.folds), (data, *parts), strict=True):
        part = as_told(part, fold.data)
        kept, held = held_out(part, config.seed)
        rung = _rung(part, config)
        unseen = Unseen(fold.dense.model, part.validation, rung)
        yield replace(fold, data=part, kept=kept, held=held, rung=rung, unseen=unseen)


def prepare(
    config: StudyConfig,
    folder: Path,
    progress: Progress,
    reference: DenseReference | None = None,
    check: Callable[[], None] | None = None,
) -> Bench:
    """Load or make all that the trials of a study need.

    Args:
        config: the study.
        folder: where its dense models are kept.
        progress: told what is going on.
        reference: of a study that has one: its dense models are loaded, nothing is made.
        check: called before a dense model is written; raises where none must be.

    Raises:
        UserError: the model or the data cannot be loaded, or do not serve.
        MismatchError: the data or the dense model is not what the study was started with.
    """
    device = device_of(config)
    check_vocabulary(config)
    data = data_sets.load(config, progress)
    check_samples(config, len(data.train))
    dense = _dense(config, data, folder / DENSE_FOLDER, progress, reference, check, device)
    measurer = _measurer(config, dense, data, progress)
    costs = EngineCosts(measurer)
    whole = _fold(config, data, dense, costs, progress)
    return Bench(
        config=config,
        task=tasks.create(config.data.task),
        whole=whole,
        folds=tuple(_folds(config, data, folder, costs, progress, reference, check)),
        vocabularies=StudyVocabularies(config, dense),
        measurer=measurer,
        environment=environment(details=measurer.details()),
        progress=progress,
    )


def _dense(
    config: StudyConfig,
    data: TaskData,
    folder: Path,
    progress: Progress,
    reference: DenseReference | None,
    check: Callable[[], None] | None,
    device: str,
) -> DenseModel:
    """Return the dense model of the whole data set, that of the reference where there is one."""
    if reference is None:
        return make_dense(config, data, folder, progress, device, check)
    check_data(config, data, reference, folder)
    return load_standing(config, folder, reference, device)


def _folds(
    config: StudyConfig,
    data: TaskData,
    folder: Path,
    costs: EngineCosts,
    progress: Progress,
    reference: DenseReference | None,
    check: Callable[[], None] | None,
) -> Iterator[Fold]:
    """Yield the folds of the cross-validation, each with its own dense model; none for one."""
    if config.search.folds == 1:
        return
    for index, part in enumerate(folds(data, config.search.folds, config.seed)):
        path, device = folder / fold_folder(index), device_of(config)
        if reference is None:
            dense = make_dense(config, part, path, progress, device, check)
        else:
            dense = load_kept(config, path, device)
        yield _fold(config, part, dense, costs, progress)


def _fold(
    config: StudyConfig,
    data: TaskData,
    dense: DenseModel,
    costs: EngineCosts,
    progress: Progress,
) -> Fold:
    data = validation_told(tasks.create(data.task), data, dense.model)
    (kept, held), rung = held_out(data, config.seed), _rung(data, config)
    return Fold(
        data=data,
        dense=dense,
        architecture=architecture(dense.model),
        teacher=Teacher(dense.model, dense.digest, data.train, progress),
        kept=kept,
        held=held,
        rung=rung,
        unseen=Unseen(dense.model, data.validation, rung),
        calibration=StudyCalibration(config, dense, data, progress, costs),
    )


def _rung(data: TaskData, config: StudyConfig) -> Indices:
    """Return the validation rows that a rung looks at, stratified."""
    order = spread(tasks.create(data.task), data.validation, config.seed)
    examples = config.early_stopping.rung_examples
    return np.sort(sample(order, examples, data.validation.groups)[0])


def _measurer(
    config: StudyConfig, dense: DenseModel, data: TaskData, progress: Progress
) -> Measurer:
    workload = Workload.of(data.validation, config.measure, config.seed)
    progress.stage("calibrating the meter")
    progress.quiet()
    texts = calibration_texts(data.train, tasks.create(config.data.task), config.seed)
    measurer = Measurer(config.measure, dense.model, workload, texts)
    measurer.check(dict(config.search.deployment.items()))
    return measurer


def calibrate(bench: Bench) -> None:
    """Make what the study's strategies will use, so that the first trial is like the others.

    What is on disk already is only read.
    """
    search, options = bench.config.search, bench.config.strategy
    parts = {
        part
        for name in search.strategies
        for part in strategies.create(name, options.get(name), f"strategy.{name}").calibrates
    }
    if bench.config.early_stopping.enabled and set(bench.config.constraints) & set(TABLED):
        parts |= {"latency", "energy"}
    for fold in (bench.whole, *bench.folds):
        for part in sorted(parts):
            getattr(fold.calibration, part)
        for name in search.importances:
            fold.calibration.importance(name)


def device_of(config: StudyConfig) -> str:
    """Return the torch device that a study trains and measures on.

    Raises:
        UserError: this machine lacks it, or what else the study is to be measured with.
    """
    import torch

    _, _, settings = engines.choose(config.measure)
    for threads in config.search.deployment.get("threads", ()):
        engines.check_threads(int(threads), "search.deployment.threads")
    if config.measure.device != "auto":
        engines.check_trains(settings.device)
        return config.measure.device
    return "cuda" if torch.cuda.is_available() else "cpu"
