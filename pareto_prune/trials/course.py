"""The way of a trial through its stages, and what is known on it so far."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.records import (
    DENSE_STARTER,
    DenseReference,
    Interval,
    Measurement,
    Quality,
    Rung,
)
from pareto_prune.pruning.context import Shaped
from pareto_prune.pruning.pruned import Pruned
from pareto_prune.pruning.strategies import strategies
from pareto_prune.search.early_stopping import (
    PREDICTABLE,
    TABLED,
    Progress,
    Referee,
    predict,
    rung_steps,
)
from pareto_prune.trials.context import TrialContext
from pareto_prune.trials.cross_validation import cross_validated
from pareto_prune.trials.finished import Finished
from pareto_prune.trials.objective_values import objective_values
from pareto_prune.trials.stages import measure_pruned, prune_candidate, quality_of


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
        context.allot(pruned.model)
        self._take_rung()
        if context.used < context.steps:
            at = self._rung_steps()
            context.finish(pruned.model, lambda: self._take_rung() if context.used in at else None)
            self.quality = quality_of(context, pruned.model)
        if context.bench.folds:
            self.quality = cross_validated(context)

    def go_on(self, began: Finished) -> None:
        """Train what another trial ended with further; where that does not help, it stays as it is.

        Or take it as it is, in another number format.

        Args:
            began: with its plan and model.
        """
        context, result = self.context, began.result
        assert began.plan is not None
        assert began.model is not None
        self.pruned = pruned = Pruned(began.plan, began.model)
        self.measurement, self.quality = result.measurement, result.quality
        self.rungs = list(result.rungs)
        context.used = result.steps
        if context.candidate.redeployed:
            self.measurement = measure_pruned(context, pruned.model)
            self.quality = quality_of(context, pruned.model)
        elif context.finish(pruned.model):
            self.quality = quality_of(context, pruned.model)

    def _is_reference(self) -> bool:
        """Whether this is the dense model just as the study has it."""
        candidate = self.context.candidate
        own = candidate.deployment or self.context.bench.folds
        return candidate.starter == DENSE_STARTER and not own

    def _take_reference(self) -> None:
        """Take the dense model's own numbers, which the study has: measured longer than a trial."""
        self.measurement, self.quality = self.reference.measurement, self.reference.quality
        self._keep_rung(0, self.quality, 0.0)

    def known(self) -> tuple[dict[str, float], dict[str, Interval]]:
        """Return the objectives that are known by now, and their intervals."""
        sizes = self.context.deployment.size(self.pruned.model) if self.pruned else {}
        return objective_values(self.reference, self.quality, self.measurement, sizes)

    def _predict(self) -> None:
        """Look costs up in the tables, where a constraint asks for one and the shape is known.

        The tables are of models deployed as the study says, not as a candidate may, with the whole
        vocabulary.
        """
        constrained = set(self.context.bench.config.constraints)
        if self.referee.rule is None or not constrained & set(PREDICTABLE):
            return
        if self.context.candidate.deployment or self.context.rows is not None:
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
        """Take the metric as the model is now; hopeless ones end here.

        That of a model that is trained no more is its last, so it is of the whole split.
        """
        context = self.context
        assert self.pruned is not None
        rung = context.used < context.steps
        self.quality = quality = quality_of(context, self.pruned.model, rung)
        spent = sum(context.timings.seconds.values())
        self._keep_rung(context.used, quality, spent)
        if context.used < context.steps and not context.bench.folds:
            progress = self._progress(quality)
            self.referee.ask(lambda rule: rule.on_rung(progress))

    def _keep_rung(self, step: int, quality: Quality, seconds: float) -> None:
        bare = quality.model_copy(update={"outcomes": None})
        self.rungs.append(Rung(step=step, quality=bare, seconds=seconds))
        self.on_rung(self.rungs[-1])

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
        examples = len(context.fold.rung)
        return rung_steps(
            config.early_stopping, context.used, context.steps, examples, config.finetune.batch
        )


def _shape(context: TrialContext) -> Architecture | None:
    """Return the shape that the candidate will have, where its strategy knows it beforehand."""
    name, options = context.candidate.strategy, context.bench.config.strategy
    strategy: Any = strategies.create(name, options.get(name), f"strategy.{name}")
    if not isinstance(strategy, Shaped):
        return None
    with context.timings("predict"):
        return strategy.shape(context.candidate, context)
