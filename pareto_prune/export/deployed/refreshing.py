"""Fine-tune an exported model again as new labelled data comes in, under its old architecture.

::

    new file ─► new training part ─┐                       old and new test data
    old data ─► as many old texts ─┴─► fine-tune + distil ─► better, the same ─► a new folder
                                       from the dense model  worse ───────────► refused

Old texts are trained on again, so that what was learned is not forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import ParetoPruneError, Problem, UserError
from pareto_prune.core.progress import Progress, Silent
from pareto_prune.core.quantities import change, written
from pareto_prune.core.record import Record
from pareto_prune.core.records import Difference, Quality
from pareto_prune.export.card import Card
from pareto_prune.export.dense_model import dense_of
from pareto_prune.export.deployed._data import (
    as_deployed,
    by_dense_numbers,
    labelled_file,
    own_tokenizer,
    study_data,
)
from pareto_prune.export.deployed._folder import opened
from pareto_prune.export.deployed._overlap import known
from pareto_prune.export.formats import Examples, check_folder, exporters
from pareto_prune.export.loading import load, load_tokenizer
from pareto_prune.export.manifest import Manifest
from pareto_prune.export.origin import Origin
from pareto_prune.inputs.decision import keep_decision, of_model
from pareto_prune.inputs.examples import Split, TaskData, joined
from pareto_prune.inputs.pairs import differences
from pareto_prune.inputs.sampling import holdout
from pareto_prune.inputs.tasks import Task, tasks
from pareto_prune.trials.calibration_texts import calibration_texts
from pareto_prune.trials.evaluation import logits_of
from pareto_prune.trials.finetune import FinetuneSettings, finetune
from pareto_prune.trials.told import told

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from pareto_prune.trials.dense import DenseModel

EPOCHS = 3
TOLERANCE = 0.01
TEST_SHARE = 0.25
"""Of the new data."""
FEWEST = 32
OLD_AT_LEAST = 512


class WorseModelError(ParetoPruneError):
    """A refreshed model is worse than the one it was to replace; nothing was written."""


class Compared(Record):
    """The old and the refreshed model on one set of test data.

    Attributes:
        data: what the texts are.
        difference: of the study's metric, refreshed - old, paired.
    """

    data: str
    dense: Quality
    before: Quality
    after: Quality
    difference: Difference


class Refresh(Record):
    """What a refresh did.

    Attributes:
        folder: the new version.
        trained_on: texts that it was trained on; ``new`` of them from the new data.
        steps: training steps.
        metric: the study's.
        compared: on the study's test split, and on held-out new data.
        notes: what makes these numbers better than they are.
    """

    folder: str
    trained_on: int
    new: int
    steps: int
    metric: str
    compared: tuple[Compared, ...]
    notes: tuple[str, ...] = ()


def refresh(
    folder: str | Path,
    data: str | Path,
    to: str | Path,
    *,
    tolerance: float = TOLERANCE,
    exporter: str = "huggingface",
    dtype: str = "float32",
    progress: Progress | None = None,
) -> Refresh:
    """Fine-tune an exported model on new labelled data, and write it as a new folder.

    A quarter of the new data is held out to compare on, stratified by class.

    Args:
        folder: a ``huggingface`` export; it stays as it is.
        data: labelled texts in the columns of the study.
        to: a new folder.
        tolerance: how much of the metric may be lost, on the old or the new test data.
        exporter: format of the new folder.
        dtype: of its weights.
        progress: told what is going on.

    Raises:
        UserError: not such a folder, its weights were changed, the study's data or dense model
            are not at hand, or the new data has a new class or too few texts.
        WorseModelError: the new model is worse beyond the tolerance.
    """
    to = Path(to)
    exporters.member(exporter, "--format")
    exporters.create(exporter, {"dtype": dtype})
    check_folder(to)
    work = _Work.of(Path(folder), Path(data), progress or Silent())
    train = work.mixed()
    steps = work.steps(train)
    model = work.trained(train, steps)
    compared = work.compared(model)
    _check_no_worse(compared, work.config.metric, tolerance, to)
    found = Refresh(
        folder=str(to),
        trained_on=len(train),
        new=len(work.new_train),
        steps=steps,
        metric=work.config.metric,
        compared=compared,
        notes=tuple(work.learned_by_heart()),
    )
    work.write(model, to, exporter, dtype, found)
    return found


@dataclass(frozen=True)
class _Work:
    """A folder to refresh, with all that it takes.

    Attributes:
        dense_tests: old and new test texts by the tokens of the dense model.
    """

    folder: Path
    data: Path
    manifest: Manifest
    origin: Origin
    config: StudyConfig
    old: TaskData
    new_train: Split
    new_test: Split
    dense: DenseModel
    dense_tests: tuple[Split, Split]
    progress: Progress

    @classmethod
    def of(cls, folder: Path, data: Path, progress: Progress) -> _Work:
        manifest = opened(folder)
        _check_format(folder, manifest)
        origin = Origin.read(folder)
        config = as_deployed(origin.config, manifest)
        progress.stage("reading data")
        new = labelled_file(data, folder, manifest, config)
        _check_count(data, new)
        task = tasks.create(config.data.task)
        kept, held = holdout(task, new, round(TEST_SHARE * len(new)), config.seed)
        own = own_tokenizer(folder, manifest)
        old, new_test = study_data(origin, config, progress, own), new.take(held)
        dense, tests = dense_of(origin, config), (old.test, new_test)
        if own is not None:
            all_new = labelled_file(data, folder, manifest, config, dense.tokenizer)
            tests = study_data(origin, config, progress).test, all_new.take(held)
        return cls(
            folder=folder,
            data=data,
            manifest=manifest,
            origin=origin,
            config=config,
            old=old,
            new_train=new.take(kept),
            new_test=new_test,
            dense=dense,
            dense_tests=tests,
            progress=progress,
        )

    @property
    def task(self) -> Task:
        return tasks.create(self.config.data.task)

    def mixed(self) -> Split:
        """Return as many old texts as new ones, or a few hundred, and the new training part."""
        wanted = max(len(self.new_train), OLD_AT_LEAST)
        train = self.old.train
        _, rows = holdout(self.task, train, min(wanted, len(train)), self.config.seed)
        return joined(train.take(rows), self.new_train)

    def learned_by_heart(self) -> Iterator[str]:
        """Yield which test texts were trained on."""
        new, name = self.new_train, self.data.name
        if count := known(new, self.old.test):
            yield (
                f"{count} of {len(new)} new training texts are in the study's test split: "
                "what was gained on it says little."
            )
        before = joined(self.old.train, new)
        if count := known(self.new_test, before):
            yield (
                f"{count} of {len(self.new_test)} held-out texts of {name} were trained on, "
                "now or before: a score on them says little of new ones."
            )

    def steps(self, train: Split) -> int:
        table = self.config.finetune
        return max(table.steps, -(-EPOCHS * len(train) // table.batch))

    def trained(self, train: Split, steps: int) -> PreTrainedModel:
        """Return the model, fine-tuned and distilled from the dense model."""
        table = self.config.finetune
        self.progress.stage("dense model on the training texts")
        read = by_dense_numbers(train, self.manifest)
        teacher = logits_of(self.dense.model, read, precision="auto")
        model = load(self.folder).float()
        kept, held = holdout(self.task, train, len(train) // 10, self.config.seed)
        rows = kept if self.task.tunes else None
        self.progress.stage("fine-tune", steps)
        settings = FinetuneSettings(
            steps=steps,
            batch=table.batch,
            learning_rate=self.config.search.learning_rate[0],
            distillation=table.distillation,
            temperature=table.temperature,
        )
        finetune(
            model,
            train,
            self.task,
            teacher,
            settings,
            steps,
            seed=self.config.seed,
            rows=rows,
            on_step=lambda *_: self.progress.advance(),
        )
        if self.task.tunes:
            tuning = train.take(held)
            keep_decision(model.config, self.task.tuned(logits_of(model, tuning), tuning))
        return model

    def compared(self, model: PreTrainedModel) -> tuple[Compared, ...]:
        """Return the dense, the old and the new model on old and new test data."""
        models, (old, new) = (load(self.folder), model), self.dense_tests
        return (
            self._compared("the study's test split", self.old.test, old, models),
            self._compared(f"held-out texts of {self.data.name}", self.new_test, new, models),
        )

    def _compared(
        self, name: str, split: Split, read: Split, models: tuple[PreTrainedModel, ...]
    ) -> Compared:
        self.progress.stage(f"scoring on {name}")
        read = told(self.task, read, self.dense.model)
        split = replace(split, teacher=read.teacher)
        task, *own = (of_model(self.task, each.config) for each in (self.dense.model, *models))
        dense = task.quality(logits_of(self.dense.model, read), read)
        said = [(one, logits_of(each, split)) for one, each in zip(own, models, strict=True)]
        before, after = (one.quality(logits, split) for one, logits in said)
        old, new = (one.outcomes(logits, split) for one, logits in said)
        found = differences(self.task, new, old)
        return Compared(
            data=name,
            dense=dense,
            before=before,
            after=after,
            difference=found[self.config.metric],
        )

    def write(
        self, model: PreTrainedModel, to: Path, exporter: str, dtype: str, found: Refresh
    ) -> None:
        """Write the new version."""
        texts = calibration_texts(self.old.train, self.task, self.config.seed)
        exporters.create(exporter, {"dtype": dtype}).export(
            model,
            load_tokenizer(self.folder),
            self.manifest.plan,
            to,
            self._card(model, found),
            Examples(self.task, self._validation, self.config.metric, texts),
        )
        self.origin.write(to)

    @cached_property
    def _validation(self) -> Split:
        split = self.old.validation
        read = by_dense_numbers(split, self.manifest)
        return told(self.task, split, self.dense.model, read)

    def _card(self, model: PreTrainedModel, found: Refresh) -> Card:
        """Return the card, with the metric of the new weights and what they were trained on."""
        card, metric = self.manifest.card, self.config.metric
        task, split = of_model(self.task, model.config), self._validation
        quality = task.quality(logits_of(model, split), split)
        scored = {"value": quality.metrics[metric], "interval": quality.intervals.get(metric)}
        objectives = tuple(
            each.model_copy(update=scored) if each.name == metric else each
            for each in card.objectives
        )
        said: dict[str, Any] = {
            "from": self.folder.name,
            "data": self.data.name,
            "trained_on": found.trained_on,
            "new": found.new,
            "steps": found.steps,
        }
        settings = {**card.settings, "refreshed": said}
        return card.model_copy(update={"objectives": objectives, "settings": settings})


def _check_format(folder: Path, manifest: Manifest) -> None:
    if manifest.format != "huggingface":
        wrong = f"holds a model in the format {manifest.format}, which cannot be trained"
        allowed = "allowed: the export in the format huggingface, and --format for the new one"
        raise UserError(Problem(str(folder), wrong, allowed))


def _check_count(data: Path, new: Split) -> None:
    if len(new) < FEWEST:
        wrong = f"has {len(new)} labelled texts"
        raise UserError(Problem(f"--data {data}", wrong, f"allowed: {FEWEST} or more"))


def _check_no_worse(
    compared: tuple[Compared, ...], metric: str, tolerance: float, to: Path
) -> None:
    worse = [
        f"{change(metric, -each.difference.value)} worse on {each.data} "
        f"({written(metric, each.before.metrics[metric])} before, "
        f"{written(metric, each.after.metrics[metric])} after)"
        for each in compared
        if each.difference.value < -tolerance
    ]
    if worse:
        said = f"{to} was not written: the refreshed model is {' and '.join(worse)}"
        raise WorseModelError(f"{said}; {change(metric, tolerance)} would be allowed")
