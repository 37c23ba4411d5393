"""Exported folders of tiny models for tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pareto_prune.export.card import Card
from pareto_prune.export.formats import exporters
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.surgery import cut
from tests.tasks.words import words_tokenizer
from tests.tiny import NEURONS, tiny_model

PLAN = PruningPlan.of([([0, 2], range(0, NEURONS, 3)), ([], []), ([], [1, 2])])
NAMES = {"classification": ("neg", "pos"), "ner": ("O", "B-LOC", "I-LOC", "B-PER", "I-PER")}


def make_folder(
    folder: Path,
    format_: str = "onnx",
    task: str = "classification",
    model_type: str = "bert",
    tokenizer: Any = None,
    **settings: Any,
) -> Any:
    """Export a tiny cut model and return it."""
    names = NAMES[task]
    model = tiny_model(model_type, task, labels=len(names))
    model.config.id2label = dict(enumerate(names))
    model = cut(model, PLAN)
    card = Card(task=task, settings={"max_length": 8, "text": ["text"], **settings})
    exporters.create(format_).export(model, tokenizer or words_tokenizer(), PLAN, folder, card)
    return model
