"""What the dense model says of the texts that models are scored on, where it is the teacher."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pareto_prune.inputs.examples import Split, TaskData
from pareto_prune.inputs.tasks import Task
from pareto_prune.trials.evaluation import logits_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel


def told(task: Task, split: Split, model: PreTrainedModel, read: Split | None = None) -> Split:
    """Return a split with what the dense model says; as it is where no task asks for that.

    Args:
        task: of the split.
        split: the texts.
        model: the dense one.
        read: the same texts by its tokens, where the split has others.
    """
    if not task.taught:
        return split
    return replace(split, teacher=logits_of(model, split if read is None else read))


def validation_told(task: Task, data: TaskData, model: PreTrainedModel) -> TaskData:
    """Return a data set whose validation split has what the dense model says."""
    return replace(data, validation=told(task, data.validation, model))


def as_told(data: TaskData, whole: TaskData) -> TaskData:
    """Return a data set of texts cut shorter, or of fewer tokens, judged by what ``whole`` says."""
    teacher = whole.validation.teacher
    return replace(data, validation=replace(data.validation, teacher=teacher))
