"""What a model card says of an exported model, as a record."""

from __future__ import annotations

from typing import Any

import pydantic

from pareto_prune.core.record import Record
from pareto_prune.core.records import Grade, Interval, VocabularyCut


class CardObjective(Record):
    """One objective of an exported model, as its card shows it.

    Attributes:
        name, label, unit: as in :mod:`pareto_prune.core.objectives`.
        value: of the exported model.
        reference: of the dense model.
        interval: 95 % interval of ``value``.
        grade: how far a measured value can be trusted; ``None`` where it is not a reading.
        source: what measured it.
    """

    name: str
    label: str
    unit: str
    value: float
    reference: float | None = None
    interval: Interval | None = None
    grade: Grade | None = None
    source: str | None = None


class Card(Record):
    """Where an exported model comes from and what it is good for.

    Attributes:
        title: heading of the model card.
        task: name of the task (``classification``, ``ner``).
        parent: hub id of the checkpoint that the dense model was made from, or the name of its
            folder.
        parent_is_local: whether it is a folder, which a reader of the card cannot find.
        licence: the parent's licence identifier, if known.
        study, trial: which trial of which study it is.
        strategy, importance: how its units were chosen.
        objectives: what it reached.
        machine: what the measured objectives were taken on.
        engine, dtype: what ran the model then, and in which number format; ``None`` where it was
            not noted.
        data: hub id of the data set, or the name of its file or folder.
        vocabulary: what was kept of the vocabulary; ``None``: all.
        settings: what predicting needs besides (``max_length``, columns), plain JSON.
    """

    title: str = "A pruned model"
    task: str = "classification"
    parent: str | None = None
    parent_is_local: bool = False
    licence: str | None = None
    study: str | None = None
    trial: int | None = None
    strategy: str | None = None
    importance: str | None = None
    objectives: tuple[CardObjective, ...] = ()
    machine: str | None = None
    engine: str | None = None
    dtype: str | None = None
    data: str | None = None
    vocabulary: VocabularyCut | None = None
    settings: dict[str, Any] = pydantic.Field(default_factory=dict)
