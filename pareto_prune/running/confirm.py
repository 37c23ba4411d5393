"""Confirming a front: its trials retrained longer, with several seeds, and measured afresh.

::

    candidate ─► the same plan ─► three times the steps, three seeds ─► mean metric, interval
                                └► measured, never from the cache ─────► latency and energy

Picking the best of many trials on the same validation examples is optimistic; what was chosen
for luck does not repeat it here. The values stand beside those of the search, and samplers never
see them. The model that is kept is that of the median seed, so that no new luck is picked.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter
from typing import TYPE_CHECKING

from pareto_prune.core.errors import ParetoPruneError, Problem, TrialError, UserError
from pareto_prune.core.progress import Progress, Silent
from pareto_prune.core.records import (
    DENSE_STARTER,
    Candidate,
    Confirmation,
    DenseReference,
    Interval,
    Quality,
    Study,
    Trial,
    TrialState,
)
from pareto_prune.export.kept_models.store import CONFIRMED, Artifacts, Kept
from pareto_prune.results.front import front_of
from pareto_prune.results.selection import why_empty
from pareto_prune.results.standard_error import standard_error
from pareto_prune.running.lease_keeper import Keeper
from pareto_prune.running.worker import default_name
from pareto_prune.search.promotion import multiple, origin
from pareto_prune.storage import LeaseLostError, StoredStudy
from pareto_prune.trials.bench import Bench, prepare
from pareto_prune.trials.context import TrialContext, context_of
from pareto_prune.trials.objective_values import objective_values
from pareto_prune.trials.seed import trial_seed
from pareto_prune.trials.stages import measure_pruned, prune_candidate, quality_of
from pareto_prune.trials.timings import Timings

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pareto_prune.pruning.plan import PruningPlan
    from pareto_prune.pruning.pruned import Pruned

SEEDS = 3
"""Retrainings of a trial."""
LONGER = 3
"""Steps of each, in multiples of the study's; of a promotion at least its own."""
_LEASE = "confirm"


def confirm_study(
    study: StoredStudy,
    numbers: Sequence[int] = (),
    progress: Progress | None = None,
) -> list[Confirmation]:
    """Retrain and measure trials afresh; each is written as soon as it is done.

    Args:
        study: in its storage, with the place of its models.
        numbers: of the trials; by default those of the front that are not confirmed yet.
        progress: told what is going on.

    Raises:
        UserError: there is no such trial, or it cannot be confirmed; the front has none; the model
            or data do not serve; the device is not the study's.
        ParetoPruneError: a retraining failed; the others were done all the same.
    """
    shown = progress or Silent()
    known = study.read()
    chosen = to_confirm(known, numbers)
    if not chosen:
        shown.note("every point of the front is confirmed already")
        return []
    store = Artifacts(study.artifacts)
    reference = study.reference
    assert reference is not None, "a trial has ended"
    store.fetch_dense(reference.digest)
    bench = prepare(study.config, store.folder, shown, reference)
    bench = replace(bench, rate=reference.rate)
    study.bind_profile(bench.measurer.profile())
    found, failed = [], []
    for trial in chosen:
        try:
            found.append(_written(study, bench, trial, reference, known))
        except TrialError as error:
            failed.append(f"trial {trial.number}: {error}")
            shown.note(failed[-1])
    if failed:
        raise ParetoPruneError(f"not confirmed: {'; '.join(failed)}")
    return found


def _written(
    study: StoredStudy, bench: Bench, trial: Trial, reference: DenseReference, known: Study
) -> Confirmation:
    """Confirm a trial and write what was found; return what another has found meanwhile.

    What is removed was there before the lease was had, and before it was seen that no copy of the
    study confirms that trial: whoever wrote it holds no lease any more, by which alone it could
    still come to count.

    Raises:
        TrialError: a retraining failed, its model cannot be kept, or somebody else confirms it.
    """
    store, number = Artifacts(study.artifacts), trial.number
    left, lease = store.confirmed(number), f"{_LEASE}:{number}"
    with _alone(study, lease) as check:
        meanwhile = _confirmation(study.read(), number)
        if meanwhile is not None and meanwhile != _confirmation(known, number):
            bench.progress.note(f"trial {number} was confirmed by another process meanwhile")
            return meanwhile
        if not study.held_by_copies(lease):
            store.remove_confirmed(left, _standing(study, number))
        pruner = origin(study.read(), trial)
        found = _confirmed(bench, trial, pruner, reference, store, check)
        study.confirm(found, lease)
    return found


def _confirmation(study: Study, number: int) -> Confirmation | None:
    """Return what confirming a trial found, where it was confirmed."""
    return next((one for one in study.confirmations if one.number == number), None)


@contextmanager
def _alone(study: StoredStudy, lease: str) -> Iterator[Callable[[], None]]:
    """Hold the lease on confirming a trial; yield what raises once it is lost.

    Raises:
        TrialError: somebody else has it, or has it by now.
    """
    name = f"{default_name()}/{_LEASE}"

    def check() -> None:
        if keeper.lost.is_set():
            raise LeaseLostError(lease)

    try:
        if not study.acquire(lease, name):
            raise TrialError("elsewhere", "another process is confirming it")
        with Keeper(lambda: study.keep(lease), study.lease_seconds) as keeper:
            yield check
    except LeaseLostError:
        raise TrialError("elsewhere", "another process has taken over confirming it") from None
    finally:
        study.release(lease)
        study.leave(name)


def _standing(study: StoredStudy, number: int) -> list[str]:
    """Return the places of the models of a trial that was confirmed, here or in a copy."""
    found = [one for each in (study.read(), *study.sharing()) for one in each.confirmations]
    return [one.artifact for one in found if one.number == number and one.artifact]


def to_confirm(study: Study, numbers: Sequence[int] = ()) -> list[Trial]:
    """Return the trials to confirm, best metric first; the dense model is never one of them.

    Raises:
        UserError: a number is of no trial that can be confirmed, or the front has none that is.
    """
    trials = {trial.number: trial for trial in study.trials}
    if numbers:
        return [_allowed(study, trials.get(number), number) for number in dict.fromkeys(numbers)]
    front = front_of(study)
    pruned = [trials[p.number] for p in front.members if p.starter != DENSE_STARTER]
    if not pruned:
        dense = "the dense model alone is on the front, and is not retrained"
        raise UserError(Problem("confirm", dense if front.members else why_empty(front)))
    done = {one.number for one in study.confirmations}
    return [trial for trial in pruned if trial.number not in done]


def _allowed(study: Study, trial: Trial | None, number: int) -> Trial:
    wrong = None
    if trial is None:
        wrong = "there is no such trial"
    elif trial.state not in (TrialState.COMPLETE, TrialState.STOPPED):
        wrong = f"is {trial.state.value}"
    elif trial.candidate is None or trial.candidate.starter == DENSE_STARTER:
        wrong = "is the dense model, which is not retrained"
    if trial is None or wrong is not None:
        listed = ", ".join(
            str(p.number) for p in front_of(study).members if p.starter != DENSE_STARTER
        )
        allowed = f"on the front: {listed or 'none'}"
        raise UserError(Problem(f"trial {number}", str(wrong), allowed))
    return trial


def _confirmed(
    bench: Bench,
    trial: Trial,
    pruner: int,
    reference: DenseReference,
    store: Artifacts,
    check: Callable[[], None],
) -> Confirmation:
    began = perf_counter()
    candidate, number = _candidate(trial), trial.number
    own = trial_seed(bench.config.seed, number)
    pruned = _again(bench, trial, pruner, check)
    seeds = [trial_seed(own, index + 1) for index in range(SEEDS)]
    contexts = [_longer(bench, candidate, seed, check) for seed in seeds]
    measurement = measure_pruned(contexts[0], pruned.model, fresh=True)
    trained = [_retrained(context, pruned.model) for context in contexts]
    metric = bench.config.metric
    mean = together([quality for _, quality in trained], metric)
    sizes = contexts[0].deployment.size(pruned.model)
    values, intervals = objective_values(reference, mean, measurement, sizes)
    model = _median(trained, metric)
    check()
    kept = _kept(store, number, model, contexts[0].tokenizer, pruned.plan)
    return Confirmation(
        number=number,
        steps=contexts[0].steps,
        metrics=tuple(quality.metrics[metric] for _, quality in trained),
        outcomes=tuple(quality.outcomes for _, quality in trained if quality.outcomes),
        values=values,
        intervals=intervals,
        measurement=measurement,
        artifact=kept.place,
        artifact_digest=kept.digest,
        seconds=perf_counter() - began,
        environment=bench.environment,
    )


def _kept(
    store: Artifacts,
    number: int,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    plan: PruningPlan,
) -> Kept:
    """Keep a model; where that fails the values of the search stand, with the model they are of."""
    try:
        return store.keep(number, model, tokenizer, plan, CONFIRMED)
    except Exception as error:  # every file system has errors of its own
        said = f"its model is not kept: {type(error).__name__}: {error}"
        raise TrialError("not_kept", said) from error


def _candidate(trial: Trial) -> Candidate:
    assert trial.candidate is not None
    return trial.candidate


def _again(bench: Bench, trial: Trial, pruner: int, check: Callable[[], None]) -> Pruned:
    """Return the trial's pruned model, made as it was then, before any fine-tuning.

    Args:
        bench: what the study's trials are run on.
        trial: that is confirmed.
        pruner: number of the trial that pruned its model; the trial itself if it is no promotion.
        check: raises where the work must not go on.

    Raises:
        TrialError: it has become another plan.
    """
    bench.progress.note(f"confirming trial {trial.number}")
    candidate, seed = _candidate(trial), trial_seed(bench.config.seed, pruner)
    context = context_of(bench, bench.whole, candidate, seed, check, Timings())
    pruned = prune_candidate(context)
    wanted = trial.result.plan_digest if trial.result else None
    if wanted is not None and pruned.plan.digest() != wanted:
        reason = "its candidate ends in another plan here than it did in the trial"
        raise TrialError("other_plan", reason)
    return pruned


def _longer(
    bench: Bench, candidate: Candidate, seed: int, check: Callable[[], None]
) -> TrialContext:
    longer = max(LONGER, multiple(candidate, bench.config))
    return context_of(bench, bench.whole, candidate, seed, check, Timings(), longer, order=seed)


def _retrained(context: TrialContext, model: PreTrainedModel) -> tuple[PreTrainedModel, Quality]:
    trained = copy.deepcopy(model)
    context.finish(trained)
    return trained, quality_of(context, trained)


def _median(trained: Sequence[tuple[PreTrainedModel, Quality]], metric: str) -> PreTrainedModel:
    ordered = sorted(trained, key=lambda one: one[1].metrics[metric])
    return ordered[len(ordered) // 2][0]


def together(found: Sequence[Quality], metric: str) -> Quality:
    """Return the mean over retrainings.

    The interval of the metric is ±1.96 √(e² + s²/n): e the standard error of one model on these
    examples, which n retrainings share, s the spread between them.
    """
    import numpy as np

    metrics = {
        name: float(np.mean([quality.metrics[name] for quality in found]))
        for name in found[0].metrics
    }
    values = np.array([quality.metrics[metric] for quality in found])
    spread = float(values.std(ddof=1) ** 2 / len(values)) if len(values) > 1 else 0.0
    examples = float(np.mean([standard_error(quality, metric) for quality in found]))
    half = 1.96 * float(np.sqrt(examples**2 + spread))
    interval: Interval = (metrics[metric] - half, metrics[metric] + half)
    return Quality(
        metrics=metrics,
        intervals={metric: interval},
        examples=found[0].examples,
        loss=float(np.mean([quality.loss for quality in found])),
    )
