"""How good a front is after so many minutes: ours, random search, and the script one would write.

Real trials of the demo model on the demo data. The dense model is given to all arms; everything
else counts: reading the data, calibrating the meter, measuring the dense model and, for our arms,
importances, pruning database and cost tables. Each arm has a cache of its own.

``plain``
    Optuna's NSGA-II with its defaults, one L1 sparsity a layer, 60 fine-tuning steps a trial. It
    stands below in full. Fine-tuning, evaluation, measurement and data are ours.
``random``
    Our trials and starters, candidates at random.
``ours``
    The defaults.

Arms run one after the other, and go on where they were when the same command is given again.

    python benchmarks/search_quality.py [--quick] [--json FILE] [--minutes 20 | plain=60,ours=20]
        [--arms ours,random,plain] [--seeds 0,1] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import optuna

from pareto_prune import api
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import TrialError
from pareto_prune.core.progress import Silent
from pareto_prune.core.records import (
    Candidate,
    DenseReference,
    Study,
    Trial,
    TrialResult,
    TrialState,
)
from pareto_prune.inputs import data as data_sets
from pareto_prune.measure import measurer
from pareto_prune.measure.environment import environment
from pareto_prune.pruning.norms import detached, unit_norms
from pareto_prune.pruning.selection import plan_by_sparsity
from pareto_prune.pruning.surgery import cut_copy
from pareto_prune.results.front import front_of
from pareto_prune.results.history import history
from pareto_prune.running.display import Display
from pareto_prune.storage import open_storage
from pareto_prune.trials.bench import Bench, prepare
from pareto_prune.trials.dense import make_dense
from pareto_prune.trials.evaluation import evaluate
from pareto_prune.trials.finetune import FinetuneSettings, finetune
from pareto_prune.trials.objective_values import objective_values
from pareto_prune.trials.reference import measured_reference
from pareto_prune.trials.seed import trial_seed

ARMS = ("ours", "random", "plain")
MARKS = (2.0, 6.0, 12.0, 20.0, 60.0)
"""Minutes at which the hypervolume is read."""
TRIALS = 180
"""Asked for at a time: the sampler takes its population from it."""
POINTS_LOST = 2
QUICK_LIMIT_S = 0.5
"""A measurement takes at most this long in a quick run."""


@dataclass(frozen=True)
class Arm:
    """One way to search, with a seed and a folder of its own.

    Attributes:
        seconds: it may take in all; ``None`` in quick runs, which end after a few trials.
    """

    name: str
    seed: int
    config: StudyConfig
    folder: Path
    seconds: float | None

    @property
    def title(self) -> str:
        """The study's name."""
        return self.config.name

    @property
    def storage(self) -> str:
        """URL of its database."""
        return f"sqlite:///{self.folder}/study.db"


# ------------------------------------------------------------------ the script one would write


def plain(arm: Arm) -> Study:
    """Run the plain script for the rest of its time, and return all it found."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(
        study_name=arm.title,
        storage=arm.storage,
        directions=["maximize", "minimize", "minimize"],
        sampler=optuna.samplers.NSGAIISampler(seed=arm.seed),
        load_if_exists=True,
    )
    if "created" not in study.user_attrs:
        study.set_user_attr("created", time.time())
    bench = prepare(arm.config, arm.folder / arm.title, Silent())
    reference = _reference(study, bench)
    layers = len(bench.whole.architecture.layers)
    steps = arm.config.finetune.steps
    teacher = bench.whole.teacher.logits(np.arange(len(bench.whole.data.train)))

    def objective(trial: optuna.Trial) -> tuple[float, float, float]:
        sparsity = [trial.suggest_float(f"layer_{i}", 0.0, 0.95) for i in range(layers)]
        model = l1_pruned(bench, sparsity)
        measurement = bench.measurer.measure(model)
        finetune(
            model,
            bench.whole.data.train,
            bench.task,
            teacher,
            FinetuneSettings(steps=steps, batch=arm.config.finetune.batch),
            steps,
            seed=trial_seed(arm.seed, trial.number),
        )
        quality = evaluate(model, bench.whole.data.validation, bench.task)
        values, _ = objective_values(reference, quality, measurement, {})
        return values["accuracy"], values["latency_ms"], values["energy_j"]

    left = _left(arm, _as_study(arm, study, reference))
    if left is None:
        study.optimize(objective, n_trials=arm.config.limits.trials, catch=(TrialError,))
    elif left > 0:
        study.optimize(objective, timeout=left, catch=(TrialError,))
    return _as_study(arm, study, reference)


def l1_pruned(bench: Bench, sparsity: Sequence[float]) -> Any:
    """Return the dense model without the heads and neurons of least L1 norm of each layer."""
    model = bench.whole.dense.model
    scores = detached(unit_norms(model, 1))
    sublayers = [share for share in sparsity for _ in range(2)]
    return cut_copy(model, plan_by_sparsity(scores, sublayers, round_widths=True))


def _reference(study: optuna.Study, bench: Bench) -> DenseReference:
    """Return the dense model's own numbers, taken once, as our studies take theirs."""
    text = study.user_attrs.get("reference")
    if text is not None:
        return DenseReference.model_validate_json(text)
    found = measured_reference(bench)
    study.set_user_attr("reference", json.dumps(found.to_json()))
    return found


def _as_study(arm: Arm, study: optuna.Study, reference: DenseReference) -> Study:
    """Return what the plain script found as a study of ours, to be judged alike."""
    return Study(
        name=arm.title,
        config=arm.config.canonical(),
        created=study.user_attrs["created"],
        trials_asked=arm.config.limits.trials,
        reference=reference,
        trials=tuple(_as_trial(one) for one in study.trials if one.state.is_finished()),
    )


def _as_trial(found: optuna.trial.FrozenTrial) -> Trial:
    assert found.datetime_start is not None
    assert found.datetime_complete is not None
    names = ("accuracy", "latency_ms", "energy_j")
    complete = found.state is optuna.trial.TrialState.COMPLETE
    candidate = Candidate(strategy="l1", importance="l1")
    values = dict(zip(names, found.values, strict=True)) if complete else {}
    return Trial(
        number=found.number,
        state=TrialState.COMPLETE if complete else TrialState.FAILED,
        candidate=candidate,
        result=TrialResult(candidate=candidate, values=values),
        started=found.datetime_start.timestamp(),
        ended=found.datetime_complete.timestamp(),
    )


# ------------------------------------------------------------------------------- our arms


def searched(arm: Arm) -> Study:
    """Run a study of ours for the rest of its time, and return it."""
    while True:
        study = _stored(arm)
        left = None if study is None else _left(arm, study)
        if study is None:
            left = arm.seconds
        done = 0 if study is None else sum(trial.state.finished for trial in study.trials)
        if left is not None and left <= 0:
            break
        if left is None and done >= arm.config.limits.trials:
            break
        asked = arm.config.limits.trials
        while arm.seconds is not None and asked <= done:
            asked += TRIALS
        time_limit = None if left is None else f"{left:.1f}s"
        limits = arm.config.limits.model_copy(update={"trials": asked, "time": time_limit})
        with Display(time_limit=left) as display:
            config = arm.config.model_copy(update={"limits": limits})
            api.run(config, arm.storage, output=arm.folder, watcher=display)
        after = _stored(arm)
        assert after is not None
        if sum(trial.state.finished for trial in after.trials) < asked:
            break
    study = _stored(arm)
    assert study is not None
    return study


def _stored(arm: Arm) -> Study | None:
    storage = open_storage(arm.storage)
    known = [summary.name for summary in storage.studies()]
    return storage.open_study(arm.title).read() if arm.title in known else None


# --------------------------------------------------------------------------------- the table


def _left(arm: Arm, study: Study) -> float | None:
    """Return the seconds that an arm still has."""
    return None if arm.seconds is None else arm.seconds - _spent(study)


def _spent(study: Study) -> float:
    found = history(study)
    return found[-1].seconds if found else 0.0


def rows_of(arm: Arm, study: Study) -> Iterator[dict[str, Any]]:
    """Yield hypervolume and speed-up of one arm at each mark it has reached, and at its end.

    A quick run has one row of all its trials; its dense model seldom beats chance, and then there
    is no hypervolume.
    """
    found = history(study)
    limit = arm.seconds or _spent(study)
    marks = [60 * mark for mark in MARKS if 60 * mark < limit]
    for mark in [*marks, limit]:
        reached = [point for point in found if point.seconds <= mark + 1e-6]
        numbers = {point.number for point in reached}
        kept = tuple(t for t in study.trials if arm.seconds is None or t.number in numbers)
        until = study.model_copy(update={"trials": kept})
        at_loss = next((a for a in front_of(until).at_points_lost if a.points == POINTS_LOST), None)
        yield {
            "arm": arm.name,
            "seed": arm.seed,
            "minutes": round(mark / 60, 2),
            "trials": sum(trial.state.finished for trial in kept),
            "stopped": sum(trial.state is TrialState.STOPPED for trial in until.trials),
            "failed": sum(trial.state is TrialState.FAILED for trial in until.trials),
            "hypervolume": reached[-1].hypervolume if reached else 0.0,
            "hypervolume_v1": reached[-1].hypervolume_v1 if reached else 0.0,
            "speedup_2_points": at_loss.speedup if at_loss else None,
        }


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    print(f"{'arm':<8}{'seed':>5}{'min':>8}{'trials':>8}{'stopped':>9}{'failed':>8}", end="")
    print(f"{'volume':>9}{'by v1':>9}{'2 points lost':>15}")
    for row in rows:
        speed = row["speedup_2_points"]
        print(
            f"{row['arm']:<8}{row['seed']:>5}{row['minutes']:>8.2f}{row['trials']:>8}"
            f"{row['stopped']:>9}{row['failed']:>8}{row['hypervolume']:>9.4f}{row['hypervolume_v1']:>9.4f}"
            f"{'–' if speed is None else f'{speed:.2f}× faster':>15}"
        )


def verdicts(rows: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Yield how ours compares with the other arms, where both have come that far."""

    def volume(arm: str, seed: int, minutes: float) -> float | None:
        found = [r for r in rows if (r["arm"], r["seed"], r["minutes"]) == (arm, seed, minutes)]
        return found[0]["hypervolume"] if found else None

    for seed in sorted({row["seed"] for row in rows}):
        for arm, own, their in (
            ("plain", 6.0, 60.0),
            ("plain", 20.0, 20.0),
            ("random", 20.0, 20.0),
        ):
            one, other = volume("ours", seed, own), volume(arm, seed, their)
            if one is not None and other is not None:
                ratio = f"{one / other:.2f}×" if other > 0 else "∞"
                yield f"seed {seed}: ours after {own:.0f} min / {arm} after {their:.0f}: {ratio}"


# ------------------------------------------------------------------------------- the set-up


def config_of(name: str, seed: int, folder: Path, quick: bool) -> StudyConfig:
    """Return the study file of one arm."""
    content: dict[str, Any] = {
        "name": f"{name}-{seed}",
        "seed": seed,
        "model": {"path": str(small_model(folder)) if quick else "demo:minilm-l6"},
        "data": {"path": "demo:rotten-tomatoes", "max_length": 64},
        "sampler": {"name": "random" if name == "random" else "nsga2"},
        "finetune": {"steps": 60},
        "limits": {"trials": TRIALS},
    }
    if quick:
        content["data"] |= {"limit": 128, "max_length": 32}
        content["dense"] = {"epochs": 1}
        content["calibration"] = {"samples": 32, "sensitivity_samples": 16}
        content["finetune"] = {"steps": 2}
        content["limits"] = {"trials": 3}
        content["search"] = {"references": []}
    return StudyConfig.from_json(content)


def small_model(folder: Path) -> Path:
    """Return the demo model's two lowest layers as a checkpoint of their own."""
    from transformers import AutoModel, AutoTokenizer

    from pareto_prune.inputs.checkpoint import quiet_transformers
    from pareto_prune.inputs.demo import model_folder

    path, source = folder / "two-layers", model_folder("demo:minilm-l6")
    if not path.is_dir():
        with quiet_transformers():
            model = AutoModel.from_pretrained(source)
            model.encoder.layer = model.encoder.layer[:2]
            model.config.num_hidden_layers = 2
            model.save_pretrained(path)
            AutoTokenizer.from_pretrained(source).save_pretrained(path)
    return path


def give_dense(arm: Arm, shared: Path) -> None:
    """Put the dense model of this seed, made once for all arms, into the arm's folder."""
    os.environ["PARETO_PRUNE_CACHE"] = str(shared / "cache")
    dense = shared / f"dense-{arm.seed}"
    make_dense(arm.config, data_sets.load(arm.config), dense)
    own = arm.folder / arm.title / "dense"
    if not own.is_dir():
        shutil.copytree(dense, own)
    os.environ["PARETO_PRUNE_CACHE"] = str(arm.folder / "cache")


def minutes_of(text: str, arms: Sequence[str]) -> dict[str, float]:
    """Return the minutes of each arm, from one number or from ``arm=number,…``."""
    if "=" not in text:
        return {arm: float(text) for arm in arms}
    given = dict(part.split("=") for part in text.split(","))
    return {arm: float(given.get(arm, 20.0)) for arm in arms}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the arms and print the table."""
    options = _options(arguments)
    arms = [name for name in ARMS if name in options.arms.split(",")]
    if options.quick:
        measurer.LIMIT_S = QUICK_LIMIT_S
    minutes = minutes_of(options.minutes, arms)
    with tempfile.TemporaryDirectory() as beside:
        root = Path(beside if options.quick else options.folder).resolve()
        rows = []
        for seed in map(int, options.seeds.split(",")):
            for name in arms:
                folder = root / f"{name}-{seed}"
                folder.mkdir(parents=True, exist_ok=True)
                seconds = None if options.quick else 60 * minutes[name]
                config = config_of(name, seed, root, options.quick)
                arm = Arm(name, seed, config, folder, seconds)
                give_dense(arm, root)
                study = plain(arm) if name == "plain" else searched(arm)
                rows += list(rows_of(arm, study))
    print_rows(rows)
    for line in verdicts(rows):
        print(line)
    if options.json:
        content = {"rows": rows, "environment": environment().to_json()}
        options.json.write_text(json.dumps(content, indent=1))


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two layers, three trials an arm")
    parser.add_argument("--json", type=Path, help="write rows and environment to this file")
    parser.add_argument("--minutes", default="20", help="of each arm, or arm=minutes,…")
    parser.add_argument("--arms", default=",".join(ARMS), help="comma-separated")
    parser.add_argument("--seeds", default="0", help="comma-separated")
    parser.add_argument(
        "--folder", type=Path, default=Path("pareto_prune_output/search_quality"), help="kept here"
    )
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
