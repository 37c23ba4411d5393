"""Brief fine-tuning with distillation from the dense model's logits, known beforehand.

A step costs one forward and one backward pass of the small model: the dense model does not run,
the embeddings are frozen, batches hold texts of similar length, dropout is off, and matrices are
multiplied in bfloat16 where that is faster.
"""

from __future__ import annotations

import contextlib
import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from transformers import PreTrainedModel

from pareto_prune.core.errors import TrialError
from pareto_prune.inputs.examples import Indices, Split, epoch_batches, labelled
from pareto_prune.inputs.tasks import Task
from pareto_prune.models.families import family_of
from pareto_prune.models.layout import find
from pareto_prune.pruning.context import Penalty
from pareto_prune.trials.precision import Precision, forward_precision


@dataclass(frozen=True)
class FinetuneSettings:
    """How a fine-tune runs.

    Attributes:
        steps: all steps that there will be; the learning rate falls to 0 over them.
        batch: examples a step.
        learning_rate: its highest value.
        distillation: share of the loss that comes from the dense model's logits, in [0, 1].
        temperature: of the distillation, see :meth:`pareto_prune.inputs.tasks.Task.divergence`.
        warmup: share of the steps over which the learning rate rises.
        weight_decay: of matrices.
        dropout: whether dropout is on.
        precision: of the forward and backward passes; weights and gradients are float32.
    """

    steps: int
    batch: int = 32
    learning_rate: float = 1e-4
    distillation: float = 0.5
    temperature: float = 2.0
    warmup: float = 0.1
    weight_decay: float = 0.01
    dropout: bool = False
    precision: Precision = "auto"

    def rate(self, step: int) -> float:
        """Return the learning rate of a step, counted from 0: up to the highest, then to 0."""
        rising = max(1, round(self.warmup * self.steps))
        falling = max(1, self.steps - rising)
        share = min((step + 1) / rising, (self.steps - step) / falling)
        return self.learning_rate * min(1.0, max(0.0, share))


@dataclass(frozen=True)
class FinetuneResult:
    """What a fine-tune did: steps taken, and the mean loss of the last few of them."""

    steps: int
    loss: float


def finetune(
    model: PreTrainedModel,
    train: Split,
    task: Task,
    teacher_logits: NDArray[np.float32] | None,
    settings: FinetuneSettings,
    steps: int,
    *,
    seed: int,
    start_step: int = 0,
    rows: Indices | None = None,
    penalty: Penalty | None = None,
    extra: Sequence[tuple[Tensor, float]] = (),
    pause: Callable[[], None] | None = None,
    on_step: Callable[[int, float], None] | None = None,
    frozen_embeddings: bool = True,
) -> FinetuneResult:
    """Train ``model`` in place for some of the settings' steps, from ``start_step`` on.

    The loss is ``(1 - d) · loss + d · distillation`` from the dense model, both as the task has
    them, over the labelled examples or tokens; distillation alone where the task is ``taught``.
    Which examples a step sees depends
    on seed and step alone, so two calls over 30 steps each see what one over 60 does. Afterwards
    the model is in eval mode and holds no gradients.

    Args:
        model: trained on the device it is on.
        train: training examples.
        task: gives the loss and the divergence.
        teacher_logits: of the dense model on all of ``train``, as
            :func:`~pareto_prune.trials.evaluation.logits_of` returns them; ``None`` without
            distillation: a task that is ``taught`` then learns nothing. Those outside of
            :func:`examples_of` are not looked at.
        settings: how to train.
        steps: steps of this call.
        seed: of the order of examples, and of dropout.
        start_step: steps taken before.
        rows: indices of the examples to train on; all by default.
        penalty: called every step; what it returns is added to the loss.
        extra: tensors outside the model to be trained too, each with its own learning rate.
        pause: called before every step; may block, for as long as somebody measures.
        on_step: called after every step with the steps taken so far and that step's loss.
        frozen_embeddings: whether embeddings stay as they are.

    Raises:
        TrialError: ``nan_loss`` or ``out_of_memory``.
    """
    part, teacher = _restricted(train, teacher_logits, rows)
    losses: list[float] = []
    with _training(model, settings, frozen_embeddings, seed + start_step), _memory():
        optimizer = _optimizer(model, settings, extra)
        batches = _batches(part, settings.batch, seed, start_step)
        for step, batch in zip(range(start_step, start_step + steps), batches, strict=False):
            if pause is not None:
                pause()
            _set_rates(optimizer, settings.rate(step) / settings.learning_rate)
            loss = _batch_loss(model, part, task, teacher, batch, settings)
            if penalty is not None:
                loss = loss + penalty()
            losses.append(_checked(loss, step))
            loss.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(_trained(optimizer), 1.0)
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            if on_step is not None:
                on_step(step + 1, losses[-1])
    return FinetuneResult(len(losses), float(np.mean(losses[-10:])) if losses else math.nan)


def examples_of(
    train: Split, batch: int, steps: int, *, seed: int, start_step: int = 0, rows: Indices | None
) -> Indices:
    """Return which examples of ``train`` a :func:`finetune` with these arguments sees, sorted."""
    part = train if rows is None else train.take(rows)
    seen = list(itertools.islice(_batches(part, batch, seed, start_step), steps))
    found = np.unique(np.concatenate(seen))
    return found if rows is None else np.sort(rows[found])


def _restricted(
    train: Split, teacher_logits: NDArray[np.float32] | None, rows: Indices | None
) -> tuple[Split, Tensor | None]:
    if rows is not None and teacher_logits is not None:
        teacher_logits = teacher_logits[train.targets(rows)]
    teacher = None if teacher_logits is None else torch.from_numpy(teacher_logits)
    return (train if rows is None else train.take(rows)), teacher


def _batches(train: Split, size: int, seed: int, start_step: int) -> Iterator[Indices]:
    """Return the batches of every step from ``start_step`` on, epoch after epoch, for ever."""
    in_epoch = math.ceil(len(train) / size)
    epochs = itertools.count(start_step // in_epoch)
    batches = itertools.chain.from_iterable(
        epoch_batches(train, size, seed, epoch) for epoch in epochs
    )
    return itertools.islice(batches, start_step % in_epoch, None)


def _batch_loss(
    model: PreTrainedModel,
    train: Split,
    task: Task,
    teacher: Tensor | None,
    rows: Indices,
    settings: FinetuneSettings,
) -> Tensor:
    inputs = train.batch(rows, model.device)
    labels = inputs.pop("labels")
    known = labelled(labels)
    with forward_precision(model, settings.precision):
        logits = model(**inputs, return_dict=True).logits.float()
    logits, labels = logits[known], labels[known]
    dense = logits.detach() if teacher is None else _dense(train, teacher, rows).to(logits.device)
    if task.taught:
        return task.distillation(logits, dense, settings.temperature)
    loss = task.loss(logits, labels)
    if teacher is None or settings.distillation == 0:
        return loss
    share = settings.distillation
    distilled = task.distillation(logits, dense, settings.temperature)
    return (1 - share) * loss + share * distilled


def _dense(train: Split, teacher: Tensor, rows: Indices) -> Tensor:
    """Return what the dense model says of the labelled targets of some examples."""
    targets = train.targets(rows)
    return teacher[torch.from_numpy(targets[labelled(train.labels[targets])])]


def _checked(loss: Tensor, step: int) -> float:
    value = float(loss.detach())
    if not math.isfinite(value):
        raise TrialError("nan_loss", f"the loss is {value} at step {step + 1}")
    return value


def _optimizer(
    model: PreTrainedModel, settings: FinetuneSettings, extra: Sequence[tuple[Tensor, float]]
) -> torch.optim.Optimizer:
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    groups: list[dict[str, Any]] = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": settings.weight_decay},
        {"params": [p for p in trained if p.ndim < 2]},
        *({"params": [tensor], "lr": rate} for tensor, rate in extra),
    ]
    optimizer = torch.optim.AdamW(
        [group for group in groups if group["params"]],
        lr=settings.learning_rate,
        weight_decay=0.0,
        fused=True,
    )
    for group in optimizer.param_groups:
        group["highest"] = group["lr"]
    return optimizer


def _set_rates(optimizer: torch.optim.Optimizer, share: float) -> None:
    for group in optimizer.param_groups:
        group["lr"] = share * group["highest"]


def _trained(optimizer: torch.optim.Optimizer) -> list[Tensor]:
    return [tensor for group in optimizer.param_groups for tensor in group["params"]]


@contextlib.contextmanager
def _training(
    model: PreTrainedModel, settings: FinetuneSettings, frozen_embeddings: bool, seed: int
) -> Iterator[None]:
    """Set modes, gradients and the seed of dropout for a training, and undo all of it."""
    frozen = embedding_parameters(model) if frozen_embeddings else []
    frozen = [parameter for parameter in frozen if parameter.requires_grad]
    device = model.device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        model.train(settings.dropout)
        for parameter in frozen:
            parameter.requires_grad_(False)
        try:
            yield
        finally:
            for parameter in frozen:
                parameter.requires_grad_(True)
            model.zero_grad(set_to_none=True)
            model.eval()


def embedding_parameters(model: PreTrainedModel) -> list[nn.Parameter]:
    """Return the tables of the embeddings and the LayerNorms over them."""
    paths = family_of(model).paths
    modules = [find(model.base_model, path) for path in (*paths.embeddings, *paths.embedding_norms)]
    tables = [module for module in modules if module is not None]
    return [parameter for module in tables for parameter in module.parameters()]


@contextlib.contextmanager
def _memory() -> Iterator[None]:
    """Turn a lack of memory into the failure of a trial."""
    try:
        yield
    except (torch.OutOfMemoryError, MemoryError) as error:
        raise TrialError("out_of_memory", str(error).splitlines()[0]) from error
    except RuntimeError as error:
        if "DefaultCPUAllocator" not in str(error):
            raise
        raise TrialError("out_of_memory", str(error).splitlines()[0]) from error
