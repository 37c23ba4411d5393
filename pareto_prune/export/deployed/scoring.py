"""Score an exported model on data that the search has not seen, against its dense model.

::

    folder ─► logits ─┐
    dense  ─► logits ─┼─► metrics, paired differences, a report by class
    dense, cut ───────┘
    folder, dense ─► latency and joules, in interleaved pairs
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pydantic

from pareto_prune.core.cache import replacing
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.paths import public_name
from pareto_prune.core.progress import Progress, Silent
from pareto_prune.core.record import Record
from pareto_prune.core.records import Difference, Measurement, Quality
from pareto_prune.export.dense_model import dense_of
from pareto_prune.export.deployed._data import (
    as_deployed,
    labelled_file,
    own_tokenizer,
    study_data,
)
from pareto_prune.export.deployed._folder import call_of, opened
from pareto_prune.export.deployed._measuring import Texts, measured
from pareto_prune.export.deployed._overlap import known
from pareto_prune.export.manifest import Manifest
from pareto_prune.export.origin import Origin
from pareto_prune.inputs.decision import decided, of_model
from pareto_prune.inputs.pairs import differences
from pareto_prune.inputs.tasks import Task, tasks
from pareto_prune.trials.evaluation import logits_by, logits_of
from pareto_prune.trials.told import told

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedTokenizerBase

    from pareto_prune.inputs.examples import Split
    from pareto_prune.trials.dense import DenseModel

    Logits = NDArray[np.float32]

FILE = "test.json"


class Scorecard(Record):
    """What an exported model reached on a test split.

    Attributes:
        folder: name of the folder that was tested.
        format, dtype: of the model in it.
        data: the study's test split, or the name of a file.
        metric: the study's own among the metrics.
        model: quality of the exported model.
        dense: of the dense model; ``None`` where it is not at hand.
        cut: of the dense model cut by the plan alone, neither repaired nor trained: where the
            trial began.
        differences: by metric, exported - dense, with a paired interval.
        untrained, validation: the metric on the validation split as the search saw it, before and
            after its fine-tune.
        report: precision, recall, F1 and support by class, averages and confusions; for tags
            ``spans`` and ``tokens``.
        measurement: latency and joules against the dense model.
        machine: what those were taken on.
        earlier: how often this folder had been scored on the same data before.
        notes: what is missing, and why.
    """

    folder: str
    format: str
    dtype: str
    data: str
    when: str
    metric: str
    model: Quality
    dense: Quality | None = None
    cut: Quality | None = None
    differences: dict[str, Difference] = pydantic.Field(default_factory=dict)
    untrained: float | None = None
    validation: float | None = None
    report: dict[str, Any]
    measurement: Measurement | None = None
    machine: str | None = None
    earlier: int = 0
    notes: tuple[str, ...] = ()


def score(
    folder: str | Path,
    data: str | Path | None = None,
    *,
    measure: bool = True,
    progress: Progress | None = None,
) -> Scorecard:
    """Score an exported model, and write what was found to ``test.json`` in its folder.

    Args:
        folder: written by ``pareto-prune export``.
        data: a labelled file in the columns of the study; the study's test split by default.
        measure: whether to take latency and joules again (half a minute).
        progress: told what is going on.

    Raises:
        UserError: not such a folder, its weights were changed, the data is not at hand, or it has
            a class that the model does not know.
    """
    progress = progress or Silent()
    folder = Path(folder)
    manifest = opened(folder)
    origin = Origin.read(folder)
    config = as_deployed(origin.config, manifest)
    progress.stage("reading data")
    own = own_tokenizer(folder, manifest)
    split = (
        study_data(origin, config, progress, own).test
        if data is None
        else labelled_file(Path(data), folder, manifest, config)
    )
    name = f"test split of {public_name(config.data.path)}" if data is None else Path(data).name
    file = None if data is None else Path(data)
    session = _Session(folder, manifest, origin, config, split, file, progress)
    card = session.scored(name, measure)
    if data is not None:
        notes = (*card.notes, *session.seen_before(name, own))
        card = card.model_copy(update={"notes": notes})
    _remember(folder, card)
    return card


@dataclass(frozen=True)
class _Session:
    folder: Path
    manifest: Manifest
    origin: Origin
    config: StudyConfig
    split: Split
    file: Path | None
    progress: Progress

    def seen_before(self, name: str, own: PreTrainedTokenizerBase | None) -> Iterator[str]:
        """Yield how many texts of a file the search has seen, its test split apart."""
        split = self.split
        try:
            study = study_data(self.origin, self.config, self.progress, own)
        except UserError as error:
            yield f"not compared with the texts that it was trained on: {error.problems[0]}"
            return
        if trained := known(split, study.train):
            yield (
                f"{trained} of {len(split)} texts of {name} are texts that it was trained on: "
                "a score on them says little of new ones."
            )
        if picked := known(split, study.validation):
            yield (
                f"{picked} of {len(split)} texts of {name} are in the study's validation split, "
                "by which it was picked."
            )

    @property
    def task(self) -> Task:
        return decided(tasks.create(self.config.data.task), self.manifest.decision)

    def scored(self, name: str, measure: bool) -> Scorecard:
        self.progress.stage("scoring the exported model")
        logits = logits_by(call_of(self.folder, self.manifest), self.split)
        split = self._told()
        card = Scorecard(
            folder=self.folder.resolve().name,
            format=self.manifest.format,
            dtype=self.manifest.dtype,
            data=name,
            when=datetime.now(UTC).isoformat(timespec="seconds"),
            metric=self.config.metric,
            model=self.task.quality(logits, split),
            untrained=self.origin.untrained,
            validation=self.origin.validation,
            report=self.task.report(logits, split),
            earlier=sum(card["data"] == name for card in _remembered(self.folder)),
        )
        try:
            dense = dense_of(self.origin, self.config)
        except UserError as error:
            note = f"not compared with the dense model: {error.problems[0]}"
            return card.model_copy(update={"notes": (note,)})
        read = self._read_by(dense)
        compared = card.model_copy(update=self._against(dense, read, split, logits))
        return compared.model_copy(update=self._measured(dense, read)) if measure else compared

    def _told(self) -> Split:
        """Return the texts with what the dense model says, where they have no labels.

        Raises:
            UserError: it is not at hand.
        """
        if not self.task.taught:
            return self.split
        dense = dense_of(self.origin, self.config)
        return told(self.task, self.split, dense.model, self._uncut(dense))

    def _uncut(self, dense: DenseModel) -> Split:
        """Return the texts as the dense model of the study reads them, longer ones included."""
        config = self.origin.config
        if self.file is None:
            return study_data(self.origin, config, self.progress).test
        return labelled_file(self.file, self.folder, self.manifest, config, dense.tokenizer)

    def _read_by(self, dense: DenseModel) -> Split:
        """Return the texts by the tokens of the dense model, which may have more of them."""
        if self.manifest.plan.rows is None:
            return self.split
        if self.file is None:
            return study_data(self.origin, self.config, self.progress).test
        return labelled_file(self.file, self.folder, self.manifest, self.config, dense.tokenizer)

    def _against(
        self, dense: DenseModel, read: Split, split: Split, logits: Logits
    ) -> dict[str, Any]:
        from pareto_prune.pruning.surgery import cut_copy

        self.progress.stage("scoring the dense model")
        task = of_model(self.task, dense.model.config)
        dense_logits = logits_of(dense.model, read)
        read = replace(read, teacher=split.teacher)
        cut = cut_copy(dense.model, self.manifest.plan)
        both = (self.task.outcomes(logits, split), task.outcomes(dense_logits, read))
        return {
            "dense": task.quality(dense_logits, read),
            "cut": task.quality(logits_of(cut, split), split),
            "differences": differences(task, *both),
        }

    def _measured(self, dense: DenseModel, read: Split) -> dict[str, Any]:
        texts = Texts(self.split, read)
        try:
            found, machine = measured(
                self.folder, self.manifest, self.config, dense, texts, self.progress
            )
        except UserError as error:
            return {"notes": (f"not measured: {error.problems[0]}",)}
        return {"measurement": found, "machine": machine}


def _remember(folder: Path, card: Scorecard) -> None:
    """Add a scorecard to those of a folder.

    Raises:
        UserError: nothing can be written there.
    """
    try:
        with replacing(folder / FILE) as beside:
            content = [*_remembered(folder), card.to_json()]
            beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        wrong = f"cannot be written: {error.strerror}"
        raise UserError(Problem(str(folder / FILE), wrong, "allowed: a copy elsewhere")) from error


def _remembered(folder: Path) -> list[dict[str, Any]]:
    try:
        found = json.loads((folder / FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return []
    return [card for card in found if isinstance(card, dict) and "data" in card]
