"""What a trial offers its strategy: the dense model, training, timing, evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.records import (
    Candidate,
)
from pareto_prune.inputs.examples import Indices, Split, TaskData
from pareto_prune.models.families import architecture
from pareto_prune.pruning.context import Calibration, Penalty
from pareto_prune.pruning.even import EvenShapes
from pareto_prune.pruning.stock import even_shapes
from pareto_prune.trials.allotment import AS_ASKED, Allotment
from pareto_prune.trials.bench import Bench, Fold
from pareto_prune.trials.cut_vocabulary import CutTexts
from pareto_prune.trials.deployment import Deployment
from pareto_prune.trials.finetune import (
    FinetuneSettings,
    embedding_parameters,
    examples_of,
    finetune,
)
from pareto_prune.trials.held_out import HeldOut
from pareto_prune.trials.told import as_told

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedModel, PreTrainedTokenizerBase
from pareto_prune.core.records import DENSE_STARTER
from pareto_prune.trials.timings import Timings


@dataclass
class TrialContext:
    """What one trial offers its strategy; see :class:`pareto_prune.pruning.context.Context`.

    Attributes:
        asked: steps of a model as the study has them in mind.
        steps: those of this one, once it is known how much is left of it.
        used: steps taken so far.
        rate: share of the candidate's learning rate that its model bears.
    """

    bench: Bench
    fold: Fold
    candidate: Candidate
    seed: int
    check: Callable[[], None]
    timings: Timings
    asked: int
    generator: torch.Generator
    order: int
    used: int = 0
    cut_texts: CutTexts | None = None
    part: int = 0
    allotment: Allotment = AS_ASKED
    rate: float = 1.0

    @property
    def steps(self) -> int:
        """Steps of the trial, those before the cut included."""
        return max(self.used, round(self.asked * self.allotment.longer))

    @property
    def dense(self) -> PreTrainedModel:
        """The dense model."""
        return self.fold.dense.model

    @property
    def architecture(self) -> Architecture:
        """The dense model's shape."""
        return self.fold.architecture

    @property
    def calibration(self) -> Calibration:
        """What was computed once for the dense model."""
        return self.fold.calibration

    @property
    def deployment(self) -> Deployment:
        """How the candidate is deployed."""
        return Deployment.of(self.bench.config, self.candidate.deployment)

    @property
    def data(self) -> TaskData:
        """The texts as the candidate reads them once its vocabulary is cut."""
        if self.cut_texts is None:
            return self.fold.data
        parts = (self.cut_texts.whole, *self.cut_texts.folds)
        return as_told(parts[self.part], self.fold.data)

    @property
    def rows(self) -> tuple[int, ...] | None:
        """Rows of the vocabulary that stay; ``None``: all."""
        return None if self.cut_texts is None else self.cut_texts.vocabulary.rows

    @property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The tokenizer of the candidate's vocabulary."""
        if self.cut_texts is None:
            return self.fold.dense.tokenizer
        return self.cut_texts.vocabulary.tokenizer

    @property
    def round_widths(self) -> bool:
        """Whether widths are rounded to what the hardware likes."""
        return self.bench.config.search.round_widths

    @property
    def even(self) -> EvenShapes | None:
        """What shapes are allowed where all layers must be alike."""
        native = self.bench.config.search.shapes == "native"
        return even_shapes(self.dense) if native else None

    def train(
        self,
        model: PreTrainedModel,
        steps: int,
        penalty: Penalty | None = None,
        extra: Sequence[tuple[Tensor, float]] = (),
    ) -> None:
        """Fine-tune before the cut, on training data less the slice of :meth:`divergence`."""
        steps = min(steps, self.steps - self.used)
        self._train(model, self.fold.data.train, steps, self.fold.kept, penalty, extra)

    def allot(self, model: PreTrainedModel) -> None:
        """Let steps and learning rate follow from how much of the dense model is left."""
        if not self.bench.config.finetune.by_size:
            return
        tokens = max(1, round(float(self.data.train.lengths.mean())))
        left, whole = architecture(model).macs(tokens), self.architecture.macs(tokens)
        self.allotment = Allotment.of(left / whole)

    def finish(self, model: PreTrainedModel, after_step: Callable[[], None] = lambda: None) -> bool:
        """Fine-tune for all steps that are left; return whether the model is better for it.

        Better is nearer to the dense model, as :meth:`apart` has it. A model that is not is put
        back as it was.
        """
        self.allot(model)
        left = self.steps - self.used
        if left <= 0:
            return False
        before, weights = self.apart(model), _learning(model)
        self._train(model, self.data.train, left, self.fold.kept, None, (), after_step)
        better = self.apart(model) <= before
        if not better:
            _put_back(weights)
        return better

    def apart(self, model: PreTrainedModel) -> float:
        """Return how far the predictions are from the dense ones, on texts new to both.

        The divergence at the temperature of the fine-tune, on some of the validation texts without
        their labels, so that nothing is chosen by what it is scored by.
        """
        unseen = self.fold.unseen
        texts = self.data.validation.take(unseen.rows)
        with self.timings("evaluate"):
            found = HeldOut(texts, unseen.dense, self.bench.task)
            return found.divergence(model, self.bench.config.finetune.temperature)

    def try_out(self, model: PreTrainedModel, steps: int, rate: float) -> None:
        """Fine-tune a model that nothing else is done with: a whole schedule of ``steps``."""
        trial = replace(self, asked=steps, used=0, rate=rate)
        trial.allotment = replace(self.allotment, longer=1.0)
        trial._train(model, self.data.train, steps, self.fold.kept, None, ())

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Show and time a part of a strategy's work."""
        self.bench.progress.stage(name)
        with self.timings(name):
            yield

    def divergence(self, model: PreTrainedModel) -> float:
        """Return how far the predictions are from the dense ones, on a slice held out."""
        with self.timings("evaluate"):
            return self._held_out(self.fold.data).divergence(model)

    def _held_out(self, data: TaskData) -> HeldOut:
        train, rows = data.train, self.fold.held
        dense = self.fold.teacher.logits(rows)[train.targets(rows)]
        return HeldOut(train.take(rows), dense, self.bench.task)

    def _train(
        self,
        model: PreTrainedModel,
        train: Split,
        steps: int,
        rows: Indices | None,
        penalty: Penalty | None,
        extra: Sequence[tuple[Tensor, float]],
        after_step: Callable[[], None] = lambda: None,
    ) -> None:
        if steps <= 0:
            return
        progress, settings = self.bench.progress, self._settings()
        with self.timings("finetune"), self.bench.measurer.training() as pause:
            teacher = self._teacher(train, settings, steps, rows)
            progress.stage("fine-tune", steps)
            finetune(
                model,
                train,
                self.bench.task,
                teacher,
                settings,
                steps,
                seed=self.order,
                start_step=self.used,
                rows=rows,
                penalty=penalty,
                extra=extra,
                pause=pause,
                on_step=lambda step, _: self._stepped(step, after_step),
            )

    def _teacher(
        self, train: Split, settings: FinetuneSettings, steps: int, rows: Indices | None
    ) -> NDArray[np.float32] | None:
        if settings.distillation == 0 and not self.bench.task.taught:
            return None
        start = self.used
        seen = examples_of(
            train, settings.batch, steps, seed=self.order, start_step=start, rows=rows
        )
        return self.fold.teacher.logits(seen)

    def _settings(self) -> FinetuneSettings:
        table = self.bench.config.finetune
        return FinetuneSettings(
            steps=self.steps,
            batch=table.batch,
            learning_rate=self.rate * self.candidate.learning_rate * self.allotment.faster,
            distillation=table.distillation,
            temperature=table.temperature,
        )

    def _stepped(self, step: int, after_step: Callable[[], None]) -> None:
        self.used = step
        self.bench.progress.advance()
        self.check()
        after_step()


Weights = list[tuple["Tensor", "Tensor"]]
"""Parameters, and what they were."""


def _learning(model: PreTrainedModel) -> Weights:
    """Return what a fine-tune changes: all but the embeddings, which may be most of a model."""
    frozen = {id(parameter) for parameter in embedding_parameters(model)}
    return [(p, p.detach().clone()) for p in model.parameters() if id(p) not in frozen]


def _put_back(weights: Weights) -> None:
    for parameter, before in weights:
        parameter.data.copy_(before)


def context_of(
    bench: Bench,
    fold: Fold,
    candidate: Candidate,
    seed: int,
    check: Callable[[], None],
    timings: Timings,
    longer: int = 1,
    order: int | None = None,
) -> TrialContext:
    """Return what a trial offers its strategy.

    It may take ``longer`` times the steps of the study. ``order`` is the seed of the training
    data's order, by default the study's: all trials learn from the same examples, so that they
    differ by what was pruned, and the dense model's logits are needed of those only.
    """
    import torch

    length = Deployment.of(bench.config, candidate.deployment).max_length
    return TrialContext(
        cut_texts=bench.cut_texts(candidate, length),
        part=[bench.whole, *bench.folds].index(fold),
        bench=bench,
        fold=bench.at_length(fold, length),
        candidate=candidate,
        seed=seed,
        check=check,
        timings=timings,
        asked=0 if candidate.starter == DENSE_STARTER else longer * bench.config.finetune.steps,
        generator=torch.Generator().manual_seed(seed),
        order=bench.config.seed if order is None else order,
        rate=bench.rate,
    )
