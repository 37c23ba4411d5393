"""One trial, from candidate to result: the heart.

::

    candidate ─► strategy ─► measure ─► rung 0 ─► fine-tune ─► evaluate ─► TrialResult
        │        plan and  │ ms and J │ metric  │ + distil,  │
        │        smaller   │          │ before  │ from dense │
        │        model     │          │ training│            │
        └──────────────────┴──────────┴─────────┴────────────┴─► stop early, if hopeless

A promotion starts where another trial ended: its model is trained on, its costs are known.

Latency and energy depend on the architecture alone, so they are known before the expensive part.
Strategies that train before they cut spend from the same allowance of steps. What makes a trial
hopeless stands in :mod:`pareto_prune.search.early_stopping`.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import suppress

from pareto_prune.core.records import (
    DENSE_STARTER,
    Candidate,
    DenseReference,
    Quality,
    Rung,
    TrialResult,
)
from pareto_prune.models.families import architecture as architecture_of
from pareto_prune.pruning.stock import is_plain
from pareto_prune.search.early_stopping import (
    Referee,
    Stop,
    StoppedEarlyError,
    StopRule,
    audited,
)
from pareto_prune.search.promotion import multiple
from pareto_prune.trials.bench import Bench
from pareto_prune.trials.context import context_of
from pareto_prune.trials.course import Course
from pareto_prune.trials.finished import Finished
from pareto_prune.trials.objective_values import check_known, violations
from pareto_prune.trials.timings import Timings


def run_trial(
    bench: Bench,
    candidate: Candidate,
    reference: DenseReference,
    *,
    seed: int,
    check: Callable[[], None] = lambda: None,
    on_rung: Callable[[Rung], None] = lambda _: None,
    rule: Callable[[], StopRule] | None = None,
    began: Finished | None = None,
) -> Finished:
    """Prune, measure, fine-tune and evaluate one candidate; train a promoted one further.

    Args:
        bench: what the worker holds from trial to trial.
        candidate: what to try.
        reference: the dense model's numbers.
        seed: determines all that is random in the trial.
        check: called at every step; raises where the trial must not go on.
        on_rung: told the quality before the fine-tune, and at rungs in it.
        rule: returns when to stop early as the study stands; ``None`` for never. Promotions are
            never stopped: nothing was better when they were chosen.
        began: what a promotion goes on from, with its plan and model; trained in place.

    Raises:
        TrialError: the candidate cannot be made, training diverged, memory or time ran out.
    """
    timings, table = Timings(), bench.config.early_stopping
    judged = rule if table.enabled and _may_stop(candidate) else None
    with timings("other"):
        longer = multiple(candidate, bench.config)
        context = context_of(bench, bench.whole, candidate, seed, check, timings, longer)
        referee = Referee(judged, audited(seed, table.audit))
        course = Course(context, reference, referee, on_rung)
        with suppress(StoppedEarlyError):
            course.run() if began is None else course.go_on(began)
        result = _result(course)
    seconds = {**timings.seconds, "total": sum(timings.seconds.values())}
    result = result.model_copy(update={"timings": seconds})
    pruned = course.pruned
    if pruned is None:
        return Finished(result, None, None)
    return Finished(result, pruned.plan, pruned.model, context.tokenizer)


def _may_stop(candidate: Candidate) -> bool:
    return candidate.starter != DENSE_STARTER and candidate.parent is None


def _result(course: Course) -> TrialResult:
    context, pruned, stop = course.context, course.pruned, course.referee.stop
    config, (values, intervals) = context.bench.config, course.known()
    stopped = stop is not None and not course.referee.audited
    sizes = context.deployment.size(pruned.model) if pruned else {}
    if not stopped:
        check_known(config.objectives, values, course.measurement)
    return TrialResult(
        candidate=context.candidate,
        architecture=architecture_of(pruned.model) if pruned else course.shape,
        plan_digest=pruned.plan.digest() if pruned else None,
        native=is_plain(pruned.model) if pruned else None,
        parameters=sizes.get("parameters"),
        bytes=sizes.get("bytes"),
        quality=_bare(course.quality) if stopped else course.quality,
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
        vocabulary=context.cut_texts.cut if context.cut_texts else None,
    )


def _bare(quality: Quality | None) -> Quality | None:
    """Return a quality without what became of each example, which only points of a front need."""
    return quality.model_copy(update={"outcomes": None}) if quality else None


def _taught(course: Course) -> dict[str, float]:
    """Return what a trial that was stopped is taken for: its costs, and the optimistic metric."""
    optimistic = _finite(course.referee.stop)
    metric = {} if optimistic is None else {course.context.bench.config.metric: optimistic}
    return {**course.predicted, **course.known()[0], **metric}


def _finite(stop: Stop | None) -> float | None:
    return stop.optimistic if stop is not None and math.isfinite(stop.optimistic) else None
