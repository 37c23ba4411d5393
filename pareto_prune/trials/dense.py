"""The dense model of a study: loaded or fine-tuned once, kept in a folder, known by its digest.

::

    checkpoint ─► has this task's head? ─── yes ──► folder: weights, tokenizer, dense.json
                            └── no ─► fine-tune ──┘
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from pareto_prune.core import cache
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import Problem, StudyFileError, TrialError
from pareto_prune.core.hashing import file_sha256
from pareto_prune.core.progress import Progress, Silent
from pareto_prune.inputs.checkpoint import Checkpoint, is_numbered, names_of, quiet_transformers
from pareto_prune.inputs.class_names import folded
from pareto_prune.inputs.decision import keep_decision
from pareto_prune.inputs.examples import TaskData
from pareto_prune.inputs.sampling import holdout
from pareto_prune.inputs.tasks import tasks
from pareto_prune.models.families import family_of
from pareto_prune.pruning.modeling_pruned import final_of
from pareto_prune.trials.evaluation import logits_of
from pareto_prune.trials.finetune import FinetuneSettings, finetune
from pareto_prune.trials.folders import RECORD, WEIGHTS, is_whole, record_of
from pareto_prune.trials.held_out import held_out

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

_PROBE = 256


@dataclass(frozen=True)
class DenseModel:
    """The unpruned model of a study.

    Attributes:
        model: in eval mode, float32.
        tokenizer: pads on the right.
        digest: SHA-256 of its weights' file.
        path: the folder that holds it.
        fine_tuned: whether it was fine-tuned here, rather than taken as the checkpoint has it.
    """

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    digest: str
    path: Path
    fine_tuned: bool


def make_dense(
    config: StudyConfig,
    data: TaskData,
    folder: Path,
    progress: Progress | None = None,
    device: str = "cpu",
    check: Callable[[], None] | None = None,
) -> DenseModel:
    """Return the dense model of a study, fine-tuning it if that has not been done.

    A folder that holds one, whole, made for this checkpoint, data and these settings, is loaded;
    anything else in it is replaced. The folder appears at once or not at all.

    Args:
        config: the study.
        data: its data set; the checkpoint is fine-tuned on the training split.
        folder: where the model is kept.
        progress: advanced by one a training step.
        device: where it is trained and returned.
        check: called before the folder is written; raises where it must stay as it is. Whoever has
            one does not wait for others who make the same: it says who may.

    Raises:
        UserError: the checkpoint cannot be loaded, is of no supported family or has no weights;
            the learning rate is so high that the loss is not finite.
    """
    progress = progress or Silent()
    with cache.made_once(folder) if check is None else nullcontext():
        if not is_whole(folder, _wanted(config, data)):
            _make(config, data, folder, progress, device, check or (lambda: None))
    return load_dense(config, folder, device)


def load_dense(config: StudyConfig, folder: Path, device: str = "cpu") -> DenseModel:
    """Return the dense model that a folder holds.

    Raises:
        UserError: there is none, or its weights are not those of its record.
    """
    if not is_whole(folder):
        raise StudyFileError(Problem(str(folder), "holds no whole dense model"))
    record = record_of(folder)
    task = tasks.create(config.data.task)
    checkpoint = Checkpoint(str(folder), attention=config.model.attention)
    model, _ = checkpoint.model(task, names_of(checkpoint.config()))
    return DenseModel(
        model=model.to(device).eval(),
        tokenizer=checkpoint.tokenizer(task),
        digest=record["digest"],
        path=folder,
        fine_tuned=record["fine_tuned"],
    )


def _wanted(config: StudyConfig, data: TaskData) -> str:
    """Return the digest of all that decides the weights."""
    return cache.digest(
        {
            "model": config.model.model_dump(mode="json", exclude={"attention"}),
            "data": data.digest,
            "task": data.task,
            "dense": config.dense.model_dump(mode="json"),
            "seed": config.seed,
        }
    )


def _make(
    config: StudyConfig,
    data: TaskData,
    folder: Path,
    progress: Progress,
    device: str,
    check: Callable[[], None],
) -> None:
    task = tasks.create(data.task)
    checkpoint = Checkpoint.find(config.model.path, config.model.revision, config.model.attention)
    tokenizer = checkpoint.tokenizer(task)
    known = names_of(checkpoint.config())
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        model, has_head = checkpoint.model(task, data.label_names)
    if not has_head:
        _guess_first(model, task.first_guess(data.train.labels))
    model.config.pad_token_id = tokenizer.pad_token_id
    model.to(device)
    knows = is_made(model, has_head, known, data)
    if knows:
        progress.note("the checkpoint has what this task asks for: it is the dense model as it is")
    else:
        _note_lost_head(known, has_head, data, progress)
        _fine_tune(model, data, config, progress)
    _tune(model, data, config)
    record = {"fine_tuned": not knows, "made_from": _wanted(config, data)}
    _save(model, tokenizer, folder, record, check)


def _guess_first(model: PreTrainedModel, guess: NDArray[np.float64] | None) -> None:
    """Let a new head say what is best without the texts, by the bias of its last projection.

    Steps of Adam are as long as the learning rate: a number far from 0 is hundreds of them away.
    """
    final = final_of(model, family_of(model).paths.to_json())
    if guess is not None and final is not None and final.bias is not None:
        with torch.no_grad():
            final.bias.copy_(torch.from_numpy(guess))


def is_made(model: PreTrainedModel, has_head: bool, known: tuple[str, ...], data: TaskData) -> bool:
    """Return whether a checkpoint is the dense model as it is: taken for it, or trained already.

    Args:
        model: the checkpoint, as in :func:`knows_task`.
        has_head: whether all its weights were in the checkpoint.
        known: the names of its classes.
        data: the data set.
    """
    return tasks.create(data.task).taught or (has_head and knows_task(model, known, data))


def knows_task(model: PreTrainedModel, known: tuple[str, ...], data: TaskData) -> bool:
    """Return whether a checkpoint's head was trained for these classes.

    By their names; where outputs only have numbers, what it says must be beyond chance, on a
    sample of the training split, and no two classes may stand in each other's place.

    Args:
        model: the checkpoint with a head of as many classes as the data has.
        known: the names of its classes, as the checkpoint has them.
        data: the data set.
    """
    if not is_numbered(known):
        return known == data.label_names or _folded(known) == _folded(data.label_names)
    task = tasks.create(data.task)
    _, rows = holdout(task, data.train, _PROBE, seed=0)
    sample = data.train.take(rows)
    logits = logits_of(model, sample)
    if not task.beats_chance(task.quality(logits, sample), sample):
        return False
    report = task.report(logits, sample)
    return not any(map(_has_swapped, (report, *report.values())))


def _has_swapped(table: Any) -> bool:
    """Return whether more would be right if two classes of a report changed their places."""
    if not isinstance(table, dict) or "confusion" not in table:
        return False
    counts = np.array(table["confusion"])
    right = np.diag(counts)
    return bool((counts + counts.T > right[:, None] + right).any())


def _note_lost_head(
    known: tuple[str, ...], has_head: bool, data: TaskData, progress: Progress
) -> None:
    if has_head and is_numbered(known):
        progress.note("the checkpoint's head does not tell these classes: it is fine-tuned anew")
    elif not is_numbered(known):
        names, wanted = (", ".join(some[:9]) for some in (known, data.label_names))
        progress.note(
            f"the checkpoint's head has the classes {names}, the data {wanted}: "
            "it is fine-tuned anew"
        )


def _folded(names: tuple[str, ...]) -> list[str]:
    return list(map(folded, names))


def _fine_tune(
    model: PreTrainedModel, data: TaskData, config: StudyConfig, progress: Progress
) -> None:
    table, task = config.dense, tasks.create(data.task)
    rows = held_out(data, config.seed)[0] if task.tunes else None
    steps = table.epochs * -(-len(data.train if rows is None else rows) // table.batch)
    settings = FinetuneSettings(
        steps=steps,
        batch=table.batch,
        learning_rate=table.learning_rate,
        distillation=0.0,
        dropout=True,
    )
    progress.stage("fine-tuning the dense model", steps)
    try:
        finetune(
            model,
            data.train,
            task,
            None,
            settings,
            steps,
            seed=config.seed,
            rows=rows,
            on_step=lambda _step, _loss: progress.advance(),
            frozen_embeddings=False,
        )
    except TrialError as error:
        if error.kind != "nan_loss":
            raise
        wrong = f"{table.learning_rate:g} is too high: {error.reason}"
        raise StudyFileError(
            Problem("dense.learning_rate", wrong, "allowed: a lower one, such as 2e-5")
        ) from error


def _tune(model: PreTrainedModel, data: TaskData, config: StudyConfig) -> None:
    """Tune what makes answers of the model's outputs, on texts that no trial learns from either."""
    task = tasks.create(data.task)
    if task.tunes:
        held = data.train.take(held_out(data, config.seed)[1])
        keep_decision(model.config, task.tuned(logits_of(model, held), held))


def _save(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    record: dict[str, Any],
    check: Callable[[], None],
) -> None:
    """Write a dense model, unless another process has made the same by now."""
    with cache.locked(folder.with_name(f"{folder.name}.saving")):
        if not is_whole(folder, record["made_from"]):
            _write(model, tokenizer, folder, record, check)


def _write(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    folder: Path,
    record: dict[str, Any],
    check: Callable[[], None],
) -> None:
    with cache.replacing(folder) as beside, quiet_transformers():
        model.save_pretrained(beside, max_shard_size="100GB")
        tokenizer.save_pretrained(beside)
        record = {**record, "digest": file_sha256(beside / WEIGHTS)}
        (beside / RECORD).write_text(json.dumps(record, indent=1), encoding="utf-8")
        check()
        shutil.rmtree(folder, ignore_errors=True)


def chance(data: TaskData, metric: str) -> float:
    """Return what a model that learned nothing reaches on the validation split."""
    return tasks.create(data.task).chance(data.validation)[metric]
