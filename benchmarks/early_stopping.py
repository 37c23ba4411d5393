"""What stopping early would have saved and cost, replayed over trials that all ran to their end.

The trials of a study are gone through in the order in which they ended. Each is judged at every
rung by what had completed *in the replay* until then: a trial that would have been stopped teaches
nothing and dominates nobody afterwards, unless it is one of the audited. Reported are the share of
the fine-tuning saved, the points of the eventual front lost, by how much of the metric at most what
is left and no dearer falls short of a lost point, and the hypervolume left.

    pareto-prune run STUDY.toml       with  [early_stopping] audit = 1.0, rung_cost = 1000
    python benchmarks/early_stopping.py --study NAME [--storage URL]

Such a study runs every trial to its end and takes every rung. Without ``--study`` a made-up one
is replayed. Several audit seeds are averaged, since which trials run on is chance.

    python benchmarks/early_stopping.py [--quick] [--json FILE] [--study NAME] [--storage URL]
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.core.config import EarlyStoppingTable, StudyConfig
from pareto_prune.core.defaults import DEFAULT_STORAGE
from pareto_prune.core.records import (
    DENSE_STARTER,
    Candidate,
    DenseReference,
    Measurement,
    Quality,
    Reading,
    Rung,
    Study,
    Trial,
    TrialResult,
    TrialState,
)
from pareto_prune.measure.environment import environment
from pareto_prune.results.front import front_of
from pareto_prune.results.members import competes
from pareto_prune.results.yardstick import Yardstick, yardstick
from pareto_prune.search.early_stopping import Completed, Progress, StopRule, audited
from pareto_prune.storage import open_storage
from pareto_prune.trials.seed import trial_seed

STEPS = 60


@dataclass(frozen=True)
class Replay:
    """How one replay ended.

    Attributes:
        stopped: number of a trial → the step at which it was stopped.
        audits: numbers of the trials that were to be stopped and ran on.
        steps: of all trials, had none been stopped.
        seconds: of fine-tuning of all trials; steps, where no time was taken.
    """

    stopped: dict[int, int]
    audits: tuple[int, ...]
    steps: dict[int, int]
    seconds: dict[int, float]

    @property
    def saved(self) -> float:
        """Share of all fine-tuning time that was not spent."""
        taken = sum(self.seconds.values())
        left = sum(
            self.seconds[number] * (1 - step / self.steps[number])
            for number, step in self.stopped.items()
        )
        return left / taken if taken else 0.0


def replay(study: Study, config: StudyConfig, table: EarlyStoppingTable, seed: int) -> Replay:
    """Go through the trials of a study and decide on each at its rungs."""
    measure = yardstick(study)
    ended = [t for t in study.trials if t.state is TrialState.COMPLETE and t.result]
    ended.sort(key=lambda trial: (trial.ended or 0.0, trial.number))
    taught: list[Completed] = []
    stopped: dict[int, int] = {}
    audits: list[int] = []
    for trial in ended:
        rule = StopRule(table, config.constraints, measure, tuple(taught))
        at = stop_step(trial, rule, measure)
        if at is not None and not audited(trial_seed(seed, trial.number), table.audit):
            stopped[trial.number] = at
            continue
        if at is not None:
            audits.append(trial.number)
        lesson = Completed.of(trial, measure)
        if lesson is not None:
            taught.append(lesson)
    results = {trial.number: trial.result for trial in ended if trial.result}
    steps = {number: result.steps for number, result in results.items()}
    seconds = {n: r.timings.get("finetune", float(r.steps)) for n, r in results.items()}
    return Replay(stopped, tuple(audits), steps, seconds)


def stop_step(trial: Trial, rule: StopRule, measure: Yardstick) -> int | None:
    """Return the step at which a trial is stopped, ``None`` if it never is."""
    result = trial.result
    if result is None or result.candidate.starter == DENSE_STARTER or result.steps == 0:
        return None
    if rule.on_costs(result.values, result.intervals) is not None:
        return 0
    plan, untrained = result.plan_digest, bool(result.rungs) and result.rungs[0].step == 0
    if plan is not None and untrained and rule.on_plan(result.candidate, plan) is not None:
        return 0
    metric = measure.metric.name
    for rung in result.rungs:
        progress = Progress(
            strategy=result.candidate.strategy,
            share=rung.step / result.steps,
            metric=rung.quality.metrics[metric],
            loss=rung.quality.loss,
            costs=result.values,
        )
        if rung.step < result.steps and rule.on_rung(progress) is not None:
            return rung.step
    return None


def row_of(
    study: Study, config: StudyConfig, changes: dict[str, Any], seeds: int
) -> dict[str, Any]:
    """Return what one setting of the table saves and costs, on average over audit seeds."""
    table = config.early_stopping.model_copy(update={"audit": 0.05, **changes})
    runs = [replay(study, config, table, seed) for seed in range(seeds)]
    front = [point for point in front_of(study).members if point.starter != DENSE_STARTER]
    lost = [_lost(study, [point.number for point in front], run.stopped) for run in runs]
    short = [_shortfall(study, gone, run.stopped) for gone, run in zip(lost, runs, strict=True)]
    volumes = [front_of(_without(study, run.stopped)).hypervolume or 0.0 for run in runs]
    whole = front_of(study).hypervolume or 0.0
    return {
        **changes,
        "trials": len(runs[0].steps),
        "stopped": statistics.fmean(len(run.stopped) for run in runs),
        "audited": statistics.fmean(len(run.audits) for run in runs),
        "saved": statistics.fmean(run.saved for run in runs),
        "front": len(front),
        "front_lost": statistics.fmean(map(len, lost)) / max(1, len(front)),
        "shortfall": max(short),
        "hypervolume_kept": statistics.fmean(volumes) / whole if whole else 1.0,
        "wrong_audits": statistics.fmean(
            sum(point.number in run.audits for point in front) for run in runs
        ),
    }


def _lost(study: Study, front: Iterable[int], stopped: Iterable[int]) -> set[int]:
    """Return the points of the front of which no trial with the same model is left."""
    gone, measure = set(stopped), yardstick(study)
    ended = {trial.number: Completed.of(trial, measure) for trial in study.trials}
    made = {number: one.made for number, one in ended.items() if one and one.made is not None}
    left = {model for number, model in made.items() if number not in gone}
    return {number for number in front if number in gone and made.get(number) not in left}


def _shortfall(study: Study, lost: Iterable[int], stopped: Iterable[int]) -> float:
    """Return how far what is left and no dearer falls short of a lost point at most."""
    measure, gone = yardstick(study), set(stopped)
    known = {t.number: t.result.values for t in study.trials if t.result and competes(t, measure)}
    left = measure.values(v for number, v in known.items() if number not in gone)
    points = measure.values(known[number] for number in lost)
    metric = np.array([o.kind == "quality" for o in measure.objectives])
    found = 0.0
    for point in points:
        no_dearer = ((left - point) * measure.signs() <= 0)[:, ~metric].all(axis=1)
        best = left[no_dearer][:, metric].max(initial=measure.chance)
        found = max(found, float(point[metric][0] - best))
    return found


def _without(study: Study, stopped: Iterable[int]) -> Study:
    gone = set(stopped)
    kept = tuple(trial for trial in study.trials if trial.number not in gone)
    return study.model_copy(update={"trials": kept})


# ------------------------------------------------------------------------- a made-up study


def made_up(trials: int, seed: int = 0) -> Study:
    """Return a study of trials whose metric rises along a curve of its own from rung to rung.

    The cheaper a model the worse, a good strategy loses less and recovers less slowly; each has
    luck of its own, and every metric and loss the noise of 853 examples.
    """
    rng = np.random.default_rng(seed)
    dense = {"accuracy": 0.84, "latency_ms": 10.0, "energy_j": 0.1}
    made = [_trial(number, rng, dense) for number in range(trials)]
    reading = {name: _reading(dense[name]) for name in ("latency_ms", "energy_j")}
    reference = DenseReference(
        architecture=Architecture(
            hidden=384, head_size=32, layers=(LayerShape(heads=12, neurons=1536),)
        ),
        parameters=1,
        bytes=4,
        quality=_quality(dense["accuracy"], 0.36),
        chance=0.5,
        measurement=Measurement(readings=reading, ratios={}, protocol=1, seconds=1.0),
        digest="d",
        environment=environment(),
    )
    config = {"name": "made-up", "model": {"path": "none"}, "data": {"path": "none"}}
    return Study(
        name="made-up",
        config=config,
        created=0.0,
        trials_asked=trials,
        reference=reference,
        trials=tuple(made),
    )


def _trial(number: int, rng: np.random.Generator, dense: dict[str, float]) -> Trial:
    strategy = str(rng.choice(("balanced", "layer_wise", "l1")))
    cost = float(np.exp(rng.uniform(np.log(0.08), 0.0)))
    badness = {"balanced": 0.005, "layer_wise": 0.01, "l1": 0.04}[strategy]
    lost = badness * (1 / cost - 1) ** 0.8 * float(rng.lognormal(0.0, 0.5))
    final = max(0.5, dense["accuracy"] - lost)
    first = max(0.5, final - lost * float(rng.lognormal(0.3, 0.5)))
    curve = {0: first, STEPS // 4: first + 0.55 * (final - first)}
    curve |= {STEPS // 2: first + 0.8 * (final - first), STEPS: final}
    seen = {step: float(a + rng.normal(0, 0.006)) for step, a in curve.items()}
    losses = {step: float(1.2 - a + rng.normal(0, 0.01)) for step, a in curve.items()}
    values = {
        "accuracy": seen.pop(STEPS),
        "latency_ms": dense["latency_ms"] * cost,
        "energy_j": dense["energy_j"] * cost * float(rng.lognormal(0.0, 0.05)),
    }
    candidate = Candidate(strategy=strategy, importance="obs", cost_target=cost)
    rungs = tuple(
        Rung(step=step, quality=_quality(metric, losses[step]), seconds=1.0)
        for step, metric in seen.items()
    )
    result = TrialResult(candidate=candidate, values=values, rungs=rungs, steps=STEPS)
    return Trial(
        number=number,
        state=TrialState.COMPLETE,
        candidate=candidate,
        result=result,
        started=float(number),
        ended=number + 1.0,
    )


def _quality(accuracy: float, loss: float) -> Quality:
    return Quality(metrics={"accuracy": accuracy}, examples=853, loss=loss)


def _reading(value: float) -> Reading:
    return Reading(value=value, unit="", grade="measured", source="made up")


# --------------------------------------------------------------------------------- the table


def settings(quick: bool) -> list[dict[str, Any]]:
    """Return the changes to the defaults that are compared; the defaults come first."""
    found: list[dict[str, Any]] = [{"quantile": 0.9, "after": 10}]
    pairs = product((0.5, 0.75, 0.9, 1.0), (5, 10, 20))
    more = [{"quantile": q, "after": a} for q, a in pairs if (q, a) != (0.9, 10)]
    return found if quick else found + more


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    print(
        f"{'quantile':>9}{'after':>7}{'trials':>8}{'stopped':>9}{'audited':>9}{'saved':>8}", end=""
    )
    print(f"{'front':>7}{'lost':>7}{'short':>8}{'volume kept':>13}")
    for row in rows:
        print(
            f"{row['quantile']:>9.2f}{row['after']:>7}{row['trials']:>8}{row['stopped']:>9.1f}"
            f"{row['audited']:>9.1f}{row['saved']:>8.1%}{row['front']:>7}{row['front_lost']:>7.1%}"
            f"{row['shortfall']:>8.4f}{row['hypervolume_kept']:>13.1%}"
        )


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="the defaults only, two seeds")
    parser.add_argument("--json", type=Path, help="write rows and environment to this file")
    parser.add_argument("--study", help="name of a stored study; a made-up one without")
    parser.add_argument("--storage", default=DEFAULT_STORAGE, help="URL of its database")
    options = parser.parse_args(arguments)
    if options.study:
        stored = open_storage(options.storage).open_study(options.study)
        study, config = stored.read(), stored.config
    else:
        study = made_up(120)
        config = StudyConfig.from_json({**study.config, "finetune": {"steps": STEPS}})
    steps = sum(competes(trial, yardstick(study)) for trial in study.trials)
    print(f"study {study.name}: {steps} trials that ran to their end")
    seeds = 2 if options.quick else 20
    rows = [row_of(study, config, changes, seeds) for changes in settings(options.quick)]
    print_rows(rows)
    if options.json:
        content = {"rows": rows, "environment": environment().to_json()}
        options.json.write_text(json.dumps(content, indent=1))


if __name__ == "__main__":
    main()
