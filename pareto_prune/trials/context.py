"""What a trial offers its strategy: the dense model, training, timing, evaluation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.records import (
    Candidate,
)
from pareto_prune.inputs.examples import Indices, Split, TaskData
from pareto_prune.pruning.context import Calibration, Penalty
from pareto_prune.pruning.even import EvenShapes
from pareto_prune.pruning.stock import even_shapes
from pareto_prune.trials.bench import Bench, Fold
from pareto_prune.trials.cut_vocabulary import CutTexts
from pareto_prune.trials.deployment import Deployment
from pareto_prune.trials.evaluation import evaluate
from pareto_prune.trials.finetune import FinetuneSettings, examples_of, finetune

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
    """What one trial offers its strategy; see :class:`pareto_prune.pruning.context.Context`."""

    bench: Bench
    fold: Fold
    candidate: Candidate
    seed: int
    check: Callable[[], None]
    timings: Timings
    steps: int
    generator: torch.Generator
    order: int
    used: int = 0
    cut_texts: CutTexts | None = None
    part: int = 0

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
        return parts[self.part]

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
        """Fine-tune before the cut, on training data less the slice of :meth:`evaluate`."""
        steps = min(steps, self.steps - self.used)
        self._train(model, self.fold.data.train, steps, self.fold.kept, penalty, extra)

    def finish(self, model: PreTrainedModel, after_step: Callable[[], None] = lambda: None) -> None:
        """Fine-tune for all steps that are left, on all training data."""
        left = self.steps - self.used
        self._train(model, self.data.train, left, None, None, (), after_step)

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Show and time a part of a strategy's work."""
        self.bench.progress.stage(name)
        with self.timings(name):
            yield

    def evaluate(self, model: PreTrainedModel) -> float:
        """Return the metric on a slice held out of the training data."""
        with self.timings("evaluate"):
            quality = evaluate(model, self.fold.probe, self.bench.task)
        return quality.metrics[self.bench.config.metric]

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
        if settings.distillation == 0:
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
            learning_rate=self.candidate.learning_rate,
            distillation=table.distillation,
            temperature=table.temperature,
        )

    def _stepped(self, step: int, after_step: Callable[[], None]) -> None:
        self.used = step
        self.bench.progress.advance()
        self.check()
        after_step()


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
        steps=0 if candidate.starter == DENSE_STARTER else longer * bench.config.finetune.steps,
        generator=torch.Generator().manual_seed(seed),
        order=bench.config.seed if order is None else order,
    )
