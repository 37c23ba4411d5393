"""The stages of a trial: prune, measure, evaluate."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pareto_prune.core.errors import TrialError
from pareto_prune.core.records import (
    DENSE_STARTER,
    Measurement,
    Quality,
)
from pareto_prune.measure import Workload
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.pruned import Pruned
from pareto_prune.pruning.stock import is_plain
from pareto_prune.pruning.strategies import strategies
from pareto_prune.pruning.surgery import cut, cut_copy

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from pareto_prune.models.onnx_graph import CalibrationTexts
from pareto_prune.trials.calibration_texts import calibration_texts
from pareto_prune.trials.context import TrialContext


def prune_candidate(context: TrialContext) -> Pruned:
    """Return what the candidate's strategy makes of a copy of the dense model.

    Raises:
        TrialError: as the strategy does, or it made layers unlike where they must be alike.
    """
    candidate, options = context.candidate, context.bench.config.strategy
    everything = PruningPlan.dense(context.architecture)
    context.bench.progress.stage("prune")
    context.check()
    with context.timings("prune"):
        model = cut_copy(context.dense, everything)
        if candidate.starter == DENSE_STARTER:
            return Pruned(everything, model)
        name = candidate.strategy
        strategy = strategies.create(name, options.get(name), f"strategy.{name}")
        pruned = strategy.prune(model, candidate, context)
    if context.even is not None and not is_plain(pruned.model):
        raise TrialError("not_native", f"{name} left a shape that no stock class holds")
    return _with_rows(pruned, context.rows)


def _with_rows(pruned: Pruned, rows: tuple[int, ...] | None) -> Pruned:
    """Cut the vocabulary of what a strategy made; ``None`` keeps all."""
    if rows is None:
        return pruned
    plan = pruned.plan.with_rows(rows)
    return Pruned(plan, cut(pruned.model, plan), pruned.steps_used)


def measure_pruned(
    context: TrialContext, model: PreTrainedModel, fresh: bool = False
) -> Measurement:
    """Measure a model as the candidate deploys it; ``fresh``: never from a cache."""
    context.bench.progress.stage("measure")
    context.bench.progress.quiet()
    with context.timings("measure"):
        return context.bench.measurer.measure(
            model,
            fresh=fresh,
            workload=_workload(context),
            texts=_texts(context),
            **context.deployment.knobs(),
        )


def _workload(context: TrialContext) -> Workload | None:
    """Return the inputs by the tokens of a smaller vocabulary; ``None``: those of the study."""
    if context.rows is None:
        return None
    config = context.bench.config
    return Workload.of(context.data.validation, config.measure, config.seed)


def _texts(context: TrialContext) -> CalibrationTexts | None:
    """Return what int8 is calibrated on by these tokens; ``None``: as the study has it."""
    if context.rows is None:
        return None
    bench = context.bench
    return calibration_texts(context.data.train, bench.task, bench.config.seed)


def quality_of(context: TrialContext, model: PreTrainedModel, rung: bool = False) -> Quality:
    """Take the metric of a model on the validation split, or on that part of it that a rung is."""
    context.bench.progress.stage("evaluate")
    context.check()
    validation, bench = context.data.validation, context.bench
    if rung:
        validation = validation.take(context.fold.rung)
    held = context.data.train.take(context.fold.held)
    with context.timings("evaluate"):
        texts = _texts(context)
        context.deployment.tune(model, held, bench.task, bench.measurer, texts)
        return context.deployment.quality(model, validation, bench.task, bench.measurer, texts)
