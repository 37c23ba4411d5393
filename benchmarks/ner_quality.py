"""Named-entity recognition: every strategy end to end, and what half of the encoder keeps.

The demo model is fine-tuned on CoNLL files of your own (``--data FOLDER`` with a training, a
validation and a test file, such as WNUT-17's), once a seed. ``balanced`` then keeps half of the
encoder's multiply-accumulates; the other strategies run once, at half of every sublayer. Span F1
on validation and test, dense and after some steps of distillation.

    python benchmarks/ner_quality.py --data FOLDER --splits TRAIN VALIDATION TEST
        [--quick] [--json FILE] [--seeds 3] [--steps 200] [--epochs 5]
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from pareto_prune.core.errors import TrialError
from pareto_prune.core.progress import Silent
from pareto_prune.core.records import Candidate
from pareto_prune.measure.environment import environment
from pareto_prune.models.families import architecture
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.strategies import strategies
from pareto_prune.pruning.surgery import cut_copy
from pareto_prune.running.study_file import parse_study
from pareto_prune.trials.bench import Bench, prepare
from pareto_prune.trials.calibration import StudyCalibration
from pareto_prune.trials.context import TrialContext
from pareto_prune.trials.evaluation import evaluate
from pareto_prune.trials.timings import Timings

HALF, WANTED = 0.5, 0.95
LEARNING_RATE = 5e-5
"""A quarter of the dense model's: it has seen the little data there is often enough."""


def main() -> None:
    options = _options()
    rows: list[dict[str, Any]] = []
    for seed in reversed(range(options.seeds)):
        bench = _bench(options, seed)
        dense = scores(bench, bench.whole.dense.model)
        names = strategies.names() if seed == 0 else ["balanced"]
        for name in sorted(names, key=lambda one: one != "balanced"):
            rows.append(run(bench, name, options.steps) | {"dense": dense})
            print_row(rows[-1])
    print_summary([row for row in rows if row["strategy"] == "balanced"])
    if options.json:
        content = {"rows": rows, "environment": environment().to_json()}
        options.json.write_text(json.dumps(content, indent=1))


def run(bench: Bench, name: str, steps: int) -> dict[str, Any]:
    """Return the row of one strategy."""
    row = {"strategy": name, "seed": bench.config.seed}
    fold, context = bench.whole, _context(bench, name, steps)
    model = cut_copy(fold.dense.model, PruningPlan.dense(fold.architecture))
    try:
        pruned = strategies.create(name).prune(model, context.candidate, context)
    except TrialError as error:
        return row | {"failed": str(error)}
    tokens = round(float(fold.data.validation.lengths.mean()))
    macs = architecture(pruned.model).macs(tokens) / fold.architecture.macs(tokens)
    before = scores(bench, pruned.model)
    context.finish(pruned.model)
    return row | {"macs": macs, "untrained": before, "trained": scores(bench, pruned.model)}


def scores(bench: Bench, model: Any) -> dict[str, float]:
    """Return the span F1 on validation and test."""
    splits = {"validation": bench.whole.data.validation, "test": bench.whole.data.test}
    return {
        name: evaluate(model, split, bench.task).metrics["span_f1"]
        for name, split in splits.items()
    }


def _context(bench: Bench, name: str, steps: int) -> TrialContext:
    fold, seed = bench.whole, bench.config.seed
    sublayers = 2 * len(fold.architecture.layers)
    return TrialContext(
        bench=bench,
        fold=fold,
        candidate=Candidate(
            strategy=name,
            importance="fisher",
            cost_target=HALF,
            threshold=0.3,
            sublayers=(0.5,) * sublayers,
            learning_rate=LEARNING_RATE,
        ),
        seed=seed,
        order=seed,
        check=lambda: None,
        timings=Timings(),
        asked=steps,
        generator=torch.Generator().manual_seed(seed),
    )


def print_row(row: dict[str, Any]) -> None:
    if "failed" in row:
        print(f"{row['strategy']:<12} seed {row['seed']}  failed: {row['failed']}", flush=True)
        return
    cells = "   ".join(
        f"{split} {row['dense'][split]:.3f} → {row['untrained'][split]:.3f} → "
        f"{row['trained'][split]:.3f}"
        for split in ("validation", "test")
    )
    print(f"{row['strategy']:<12} seed {row['seed']}  MACs {row['macs']:.2f}  {cells}", flush=True)


def print_summary(rows: Sequence[dict[str, Any]]) -> None:
    """Print the share of the dense span F1 that ``balanced`` keeps, mean over the seeds."""
    for split in ("validation", "test"):
        kept = list(_kept(rows, split))
        mean = statistics.mean(kept)
        met = "met" if mean >= WANTED else f"missed: {WANTED}"
        print(f"balanced keeps {mean:.3f} of the dense span F1, {split} ({len(kept)} seeds)  {met}")


def _kept(rows: Sequence[dict[str, Any]], split: str) -> Iterator[float]:
    for row in rows:
        yield row["trained"][split] / row["dense"][split]


def _bench(options: argparse.Namespace, seed: int) -> Bench:
    """Return the bench of one seed.

    Its cost tables count multiply-accumulates: half is half on every machine.
    """
    train, validation, test = options.splits
    study: dict[str, Any] = {
        "name": "ner-quality",
        "seed": seed,
        "objectives": ["span_f1", "latency_ms", "energy_j"],
        "model": {"path": "demo:minilm-l6"},
        "data": {
            "task": "ner",
            "path": str(options.data),
            "splits": {"train": train, "validation": validation, "test": test},
            "max_length": 64,
        },
        "dense": {"epochs": options.epochs, "learning_rate": 2e-4},
    }
    if options.quick:
        study["data"]["limit"] = 400
        study["calibration"] = {"samples": 128, "sensitivity_samples": 64}
    folder = options.folder / f"seed-{seed}{'-quick' if options.quick else ''}"
    config = parse_study(study)
    bench = prepare(config, folder, Silent())
    fold = bench.whole
    counted = StudyCalibration(config, fold.dense, fold.data, Silent())
    return replace(bench, whole=replace(fold, calibration=counted))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, little data, few steps")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows")
    parser.add_argument("--data", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--splits", nargs=3, required=True, metavar=("TRAIN", "VALIDATION", "TEST"))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--epochs", type=int, default=5, help="of the dense model")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("pareto_prune_output/ner_quality"),
        help="where the dense models are kept from run to run",
    )
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.steps, options.epochs = 1, 10, 2
    return options


if __name__ == "__main__":
    main()
