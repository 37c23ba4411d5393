"""One trial, from candidate to result: the heart.

::

    candidate ─► strategy ─► measure ─► rung 0 ─► fine-tune ─► evaluate ─► TrialResult
        │        plan and  │ ms and J │ metric  │ + distil,  │
        │        smaller   │          │ before  │ from dense │
        │        model     │          │ training│            │
        └──────────────────┴──────────┴─────────┴────────────┴─► stop early, if hopeless

Latency and energy depend on the architecture alone, so they are known before the expensive part.
Strategies that train before they cut spend from the same allowance of steps. What makes a trial
hopeless stands in :mod:`pareto_prune.search.early_stopping`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from time import perf_counter
from typing import TYPE_CHECKING, Any

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.config import bound
from pareto_prune.core.errors import TrialError
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.records import (
    Candidate,
    DenseReference,
    Interval,
    Measurement,
    Quality,
    Rung,
    TrialResult,
)
from pareto_prune.inputs.examples import Indices
from pareto_prune.models.families import architecture as architecture_of
from pareto_prune.pruning.context import Calibration, Penalty, Pruned, Shaped
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.strategies import strategies
from pareto_prune.pruning.surgery import cut_copy
from pareto_prune.search.early_stopping import (
    PREDICTABLE,
    TABLED,
    Progress,
    Referee,
    Stop,
    StoppedEarlyError,
    StopRule,
    audited,
    predict,
    rung_steps,
)
from pareto_prune.trials.bench import Bench, Fold
from pareto_prune.trials.deployment import Deployment
from pareto_prune.trials.evaluation import evaluate
from pareto_prune.trials.finetune import FinetuneSettings, examples_of, finetune

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedModel

DENSE = "dense"
"""The starter that is the dense model itself: nothing is pruned and nothing trained."""


@dataclass(frozen=True)
class Finished:
    """A trial that has ended: what it found out, and the plan and model if it got that far."""

    result: TrialResult
    plan: PruningPlan | None
    model: PreTrainedModel | None


@dataclass
class Timings:
    """Seconds by stage; a stage inside another one is not counted twice."""

    seconds: dict[str, float] = field(default_factory=dict)
    _inner: list[float] = field(default_factory=list)

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        """Add the time that the ``with`` block takes, less that of stages within, to ``stage``."""
        start = perf_counter()
        self._inner.append(0.0)
        try:
            yield
        finally:
            spent = perf_counter() - start
            own = spent - self._inner.pop()
            if self._inner:
                self._inner[-1] += spent
            self.seconds[stage] = self.seconds.get(stage, 0.0) + own


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
    def round_widths(self) -> bool:
        """Whether widths are rounded to what the hardware likes."""
        return self.bench.config.search.round_widths

    def train(
        self,
        model: PreTrainedModel,
        steps: int,
        penalty: Penalty | None = None,
        extra: Sequence[tuple[Tensor, float]] = (),
    ) -> None:
        """Fine-tune before the cut, on training data less the slice of :meth:`evaluate`."""
        self._train(model, min(steps, self.steps - self.used), self.fold.kept, penalty, extra)

    def finish(self, model: PreTrainedModel, after_step: Callable[[], None] = lambda: None) -> None:
        """Fine-tune for all steps that are left, on all training data."""
        self._train(model, self.steps - self.used, None, None, (), after_step)

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
            teacher = self._teacher(settings, steps, rows)
            progress.stage("fine-tune", steps)
            finetune(
                model,
                self.fold.data.train,
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
        self, settings: FinetuneSettings, steps: int, rows: Indices | None
    ) -> NDArray[np.float32] | None:
        if settings.distillation == 0:
            return None
        train, start = self.fold.data.train, self.used
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


def run_trial(
    bench: Bench,
    candidate: Candidate,
    reference: DenseReference,
    *,
    seed: int,
    check: Callable[[], None] = lambda: None,
    on_rung: Callable[[Rung], None] = lambda _: None,
    rule: Callable[[], StopRule] | None = None,
) -> Finished:
    """Prune, measure, fine-tune and evaluate one candidate.

    Args:
        bench: what the worker holds from trial to trial.
        candidate: what to try.
        reference: the dense model's numbers.
        seed: determines all that is random in the trial.
        check: called at every step; raises where the trial must not go on.
        on_rung: told the quality before the fine-tune, and at rungs in it.
        rule: returns when to stop early as the study stands; ``None`` for never.

    Raises:
        TrialError: the candidate cannot be made, training diverged, memory or time ran out.
    """
    timings, table = Timings(), bench.config.early_stopping
    judged = rule if table.enabled and candidate.starter != DENSE else None
    with timings("other"):
        context = context_of(bench, bench.whole, candidate, seed, check, timings)
        referee = Referee(judged, audited(seed, table.audit))
        course = Course(context, reference, referee, on_rung)
        with suppress(StoppedEarlyError):
            course.run()
        result = _result(course)
    seconds = {**timings.seconds, "total": sum(timings.seconds.values())}
    result = result.model_copy(update={"timings": seconds})
    pruned = course.pruned
    if pruned is None:
        return Finished(result, None, None)
    return Finished(result, pruned.plan, pruned.model)


@dataclass
class Course:
    """The way of one trial through its stages, and what is known on it so far.

    At each stage the referee may end it with :class:`StoppedEarlyError`.
    """

    context: TrialContext
    reference: DenseReference
    referee: Referee
    on_rung: Callable[[Rung], None]
    shape: Architecture | None = None
    predicted: dict[str, float] = field(default_factory=dict)
    pruned: Pruned | None = None
    measurement: Measurement | None = None
    quality: Quality | None = None
    rungs: list[Rung] = field(default_factory=list)

    def run(self) -> None:
        """Go through all stages, cheapest first."""
        context = self.context
        self._predict()
        self.pruned = pruned = prune_candidate(context)
        if self._is_reference():
            self._take_reference()
            return
        self._judge_costs()
        self.measurement = measure_pruned(context, pruned.model)
        self._judge_costs()
        self._judge_plan(pruned)
        self._take_rung()
        if context.used < context.steps:
            at = self._rung_steps()
            context.finish(pruned.model, lambda: self._take_rung() if context.used in at else None)
            self.quality = quality_of(context, pruned.model)
        if context.bench.folds:
            self.quality = _cross_validated(context)

    def _is_reference(self) -> bool:
        """Whether this is the dense model just as the study has it."""
        candidate = self.context.candidate
        own = candidate.deployment or self.context.bench.folds
        return candidate.starter == DENSE and not own

    def _take_reference(self) -> None:
        """Take the dense model's own numbers, which the study has: measured longer than a trial."""
        self.measurement, self.quality = self.reference.measurement, self.reference.quality
        self.rungs.append(Rung(step=0, quality=self.quality, seconds=0.0))
        self.on_rung(self.rungs[-1])

    def known(self) -> tuple[dict[str, float], dict[str, Interval]]:
        """Return the objectives that are known by now, and their intervals."""
        sizes = self.context.deployment.size(self.pruned.model) if self.pruned else {}
        return objective_values(self.reference, self.quality, self.measurement, sizes)

    def _predict(self) -> None:
        """Look costs up in the tables, where a constraint asks for one and the shape is known.

        The tables are of models deployed as the study says, not as a candidate may.
        """
        constrained = set(self.context.bench.config.constraints)
        if self.referee.rule is None or not constrained & set(PREDICTABLE):
            return
        if self.context.candidate.deployment:
            return
        self.shape = _shape(self.context)
        if self.shape is not None:
            calibration = self.context.calibration
            tabled = bool(constrained & set(TABLED))
            tables = (calibration.latency, calibration.energy) if tabled else None
            self.predicted = predict(self.shape, self.reference, tables)
            self.referee.ask(lambda rule: rule.on_prediction(self.predicted))

    def _judge_costs(self) -> None:
        values, intervals = self.known()
        self.referee.ask(lambda rule: rule.on_costs(values, intervals))

    def _judge_plan(self, pruned: Pruned) -> None:
        """Different candidates may end in the same plan: what that is worth is known."""
        if self.context.used == 0:
            candidate, plan = self.context.candidate, pruned.plan.digest()
            self.referee.ask(lambda rule: rule.on_plan(candidate, plan))

    def _take_rung(self) -> None:
        """Take the metric as the model is now; hopeless ones end here."""
        context = self.context
        assert self.pruned is not None
        self.quality = quality = quality_of(context, self.pruned.model)
        spent = sum(context.timings.seconds.values())
        self.rungs.append(Rung(step=context.used, quality=quality, seconds=spent))
        self.on_rung(self.rungs[-1])
        if context.used < context.steps and not context.bench.folds:
            progress = self._progress(quality)
            self.referee.ask(lambda rule: rule.on_rung(progress))

    def _progress(self, quality: Quality) -> Progress:
        context = self.context
        return Progress(
            strategy=context.candidate.strategy,
            share=context.used / context.steps,
            metric=quality.metrics[context.bench.config.metric],
            loss=quality.loss,
            costs=self.known()[0],
        )

    def _rung_steps(self) -> tuple[int, ...]:
        """Return the steps with a rung; none where trials are not stopped by the metric."""
        context, config = self.context, self.context.bench.config
        if self.referee.rule is None or context.bench.folds:
            return ()
        examples = len(context.fold.data.validation)
        return rung_steps(
            config.early_stopping, context.used, context.steps, examples, config.finetune.batch
        )


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
        bench=bench,
        fold=bench.at_length(fold, length),
        candidate=candidate,
        seed=seed,
        check=check,
        timings=timings,
        steps=0 if candidate.starter == DENSE else longer * bench.config.finetune.steps,
        generator=torch.Generator().manual_seed(seed),
        order=bench.config.seed if order is None else order,
    )


def prune_candidate(context: TrialContext) -> Pruned:
    """Return what the candidate's strategy makes of a copy of the dense model."""
    candidate, options = context.candidate, context.bench.config.strategy
    everything = PruningPlan.dense(context.architecture)
    context.bench.progress.stage("prune")
    context.check()
    with context.timings("prune"):
        model = cut_copy(context.dense, everything)
        if candidate.starter == DENSE:
            return Pruned(everything, model)
        name = candidate.strategy
        strategy = strategies.create(name, options.get(name), f"strategy.{name}")
        return strategy.prune(model, candidate, context)


def _shape(context: TrialContext) -> Architecture | None:
    """Return the shape that the candidate will have, where its strategy knows it beforehand."""
    name, options = context.candidate.strategy, context.bench.config.strategy
    strategy: Any = strategies.create(name, options.get(name), f"strategy.{name}")
    if not isinstance(strategy, Shaped):
        return None
    with context.timings("predict"):
        return strategy.shape(context.candidate, context)


def measure_pruned(
    context: TrialContext, model: PreTrainedModel, fresh: bool = False
) -> Measurement:
    """Measure a model as the candidate deploys it; ``fresh``: never from a cache."""
    context.bench.progress.stage("measure")
    context.bench.progress.quiet()
    with context.timings("measure"):
        return context.bench.measurer.measure(model, fresh=fresh, **context.deployment.knobs())


def quality_of(context: TrialContext, model: PreTrainedModel) -> Quality:
    """Take the metric of a model on the validation split."""
    context.bench.progress.stage("evaluate")
    context.check()
    with context.timings("evaluate"):
        return context.deployment.quality(
            model, context.fold.data.validation, context.bench.task, context.bench.measurer
        )


def _cross_validated(whole: TrialContext) -> Quality:
    """Return the mean quality over the folds, each pruned and tuned by itself."""
    found = []
    for fold in whole.bench.folds:
        context = context_of(
            whole.bench, fold, whole.candidate, whole.seed, whole.check, whole.timings
        )
        pruned = prune_candidate(context)
        context.finish(pruned.model)
        found.append(quality_of(context, pruned.model))
    return _mean(found)


def _mean(found: Sequence[Quality]) -> Quality:
    """Return the mean over folds; its interval is ±1.96 standard errors of that mean."""
    import numpy as np

    metrics, intervals = {}, {}
    for name in found[0].metrics:
        values = np.array([quality.metrics[name] for quality in found])
        error = 1.96 * values.std(ddof=1) / np.sqrt(len(values))
        metrics[name] = float(values.mean())
        intervals[name] = (float(values.mean() - error), float(values.mean() + error))
    return Quality(
        metrics=metrics,
        intervals=intervals,
        examples=sum(quality.examples for quality in found),
        loss=float(np.mean([quality.loss for quality in found])),
    )


def _result(course: Course) -> TrialResult:
    context, pruned, stop = course.context, course.pruned, course.referee.stop
    config, (values, intervals) = context.bench.config, course.known()
    stopped = stop is not None and not course.referee.audited
    sizes = context.deployment.size(pruned.model) if pruned else {}
    if not stopped:
        _check_known(config.objectives, values, course.measurement)
    return TrialResult(
        candidate=context.candidate,
        architecture=architecture_of(pruned.model) if pruned else course.shape,
        plan_digest=pruned.plan.digest() if pruned else None,
        parameters=sizes.get("parameters"),
        bytes=sizes.get("bytes"),
        quality=course.quality,
        measurement=course.measurement,
        rungs=tuple(course.rungs),
        values=values,
        intervals=intervals,
        violations=violations(config.constraints, _taught(course) if stopped else values),
        predicted=course.predicted,
        stop_reason=stop.reason if stop else None,
        audited=stop is not None and not stopped,
        optimistic=_finite(stop),
        steps=context.used,
        environment=context.bench.environment,
    )


def _taught(course: Course) -> dict[str, float]:
    """Return what a trial that was stopped is taken for: its costs, and the optimistic metric."""
    optimistic = _finite(course.referee.stop)
    metric = {} if optimistic is None else {course.context.bench.config.metric: optimistic}
    return {**course.predicted, **course.known()[0], **metric}


def _finite(stop: Stop | None) -> float | None:
    return stop.optimistic if stop is not None and math.isfinite(stop.optimistic) else None


def objective_values(
    reference: DenseReference,
    quality: Quality | None,
    measurement: Measurement | None,
    sizes: dict[str, int],
) -> tuple[dict[str, float], dict[str, Interval]]:
    """Return every objective that is known, by name, and the intervals of those that have one.

    Latency and energy are the ratio to the dense model in this process times the study's
    reference value.
    """
    values: dict[str, float] = {**(quality.metrics if quality else {}), **sizes}
    intervals = dict(quality.intervals) if quality else {}
    for name, ratio in (measurement.ratios if measurement else {}).items():
        standing = reference.measurement.readings.get(name)
        if ratio.value is None or standing is None or standing.value is None:
            continue
        values[name] = ratio.value * standing.value
        if ratio.interval is not None:
            low, high = ratio.interval
            intervals[name] = (low * standing.value, high * standing.value)
    kept = {name: value for name, value in values.items() if name in OBJECTIVES}
    return kept, {name: span for name, span in intervals.items() if name in kept}


def _check_known(
    objectives: Sequence[str], values: dict[str, float], measurement: Measurement | None
) -> None:
    """Raise ``TrialError`` where an objective of the study is not known, with the reason."""
    for name in objectives:
        if name not in values:
            reading = measurement.readings.get(name) if measurement else None
            reason = reading.reason if reading and reading.reason else "not measured"
            raise TrialError("not_measured", f"{name} is not known: {reason}")


def violations(constraints: dict[str, str], values: dict[str, float]) -> dict[str, float]:
    """Return by how much each constraint is violated, as a share of its bound; ≤ 0 is met."""
    found = {}
    for name, text in constraints.items():
        if name in values:
            operator, limit = bound(text)
            excess = values[name] - limit if operator == "<=" else limit - values[name]
            found[name] = excess / max(abs(limit), 1e-12)
    return found
