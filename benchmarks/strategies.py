"""The strategies at equal cost: what each keeps of the metric, before and after its fine-tune.

Every strategy runs as a trial does, repair and fine-tune included, at the same shares of the dense
model's cost by the cost tables; those that do not aim at a cost cut every sublayer alike, as much
as it takes. A cell is the points of the metric lost against the dense model on the validation
split: before any training (for strategies that train before they cut: after it) / at the end, with
the seconds of the trial without measuring.

    python benchmarks/strategies.py [STUDY.toml …] [--targets 0.5 0.25 0.12] [--seeds 2]
        [--strategies NAME …] [--untrained] [--json FILE] [--folder DIR]

Without study files the demo's sentences are used. A study file says model, data and fine-tune; its
``[search]`` is not looked at.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.progress import Silent
from pareto_prune.core.records import Candidate
from pareto_prune.measure.environment import environment
from pareto_prune.pruning.cost import BlendedCost, total
from pareto_prune.pruning.selection import shape_by_sparsity
from pareto_prune.pruning.strategies import strategies
from pareto_prune.running.study_file import parse_study, read_study
from pareto_prune.trials.bench import Bench, prepare
from pareto_prune.trials.context import TrialContext, context_of
from pareto_prune.trials.stages import prune_candidate, quality_of
from pareto_prune.trials.timings import Timings

DEMO = {
    "name": "strategies",
    "model": {"path": "demo:minilm-l6"},
    "data": {"path": "demo:rotten-tomatoes", "max_length": 64},
}
IMPORTANCE = {"layer_wise": "obs", "channel": "obs", "approximate": "fisher"}
HALVINGS = 30


def main() -> None:
    """Run every strategy at every share, and print the table."""
    options = _options()
    rows = []
    for config in _configs(options):
        bench = prepare(config, options.folder / config.name, Silent())
        dense = quality_of(_context(bench, _dense()), bench.whole.dense.model)
        start = dense.metrics[config.metric]
        print(f"{config.name} seed {config.seed}: dense {config.metric} {100 * start:.1f}")
        for name in options.strategies or strategies.names():
            for target in options.targets:
                rows.append(_row(bench, name, target, start, options.untrained))
                _print_row(rows[-1])
    _print_table(rows, options.targets)
    if options.json:
        found = {"environment": environment().to_json(), "rows": rows}
        options.json.write_text(json.dumps(found, indent=1))


def _row(bench: Bench, name: str, target: float, dense: float, untrained: bool) -> dict[str, Any]:
    context = _context(bench, _candidate(bench, name, target))
    pruned = prune_candidate(context)
    metric = bench.config.metric
    before = quality_of(context, pruned.model).metrics[metric]
    row = {
        "study": bench.config.name,
        "seed": bench.config.seed,
        "strategy": name,
        "target": target,
        "cost": _cost(bench, pruned.plan.architecture(bench.whole.architecture)),
        "before": 100 * (dense - before),
    }
    if not untrained:
        context.finish(pruned.model)
        after = quality_of(context, pruned.model).metrics[metric]
        row["after"] = 100 * (dense - after)
    return row | {"seconds": sum(context.timings.seconds.values()), "steps": context.used}


def _candidate(bench: Bench, name: str, target: float) -> Candidate:
    alike = (0.5,) * (2 * len(bench.whole.architecture.layers))
    candidate = Candidate(
        strategy=name,
        importance=IMPORTANCE.get(name, "obs"),
        cost_target=target,
        sublayers=alike,
        learning_rate=bench.config.search.learning_rate[0],
    )
    if "cost_target" in strategies.create(name).reads:
        return candidate
    return candidate.model_copy(update={"sublayers": _evenly(bench, target)})


def _evenly(bench: Bench, target: float) -> tuple[float, ...]:
    """Return the sparsity of every sublayer, all alike, that meets a share of the cost."""
    dense, low, high = bench.whole.architecture, 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        shape = shape_by_sparsity(dense, (middle,) * (2 * len(dense.layers)), True)
        low, high = (middle, high) if _cost(bench, shape) > target else (low, middle)
    return (high,) * (2 * len(dense.layers))


def _cost(bench: Bench, shape: Architecture) -> float:
    """Return a shape's share of the dense cost by the tables; hidden channels count in full."""
    dense, calibration = bench.whole.architecture, bench.whole.calibration
    table = BlendedCost(calibration.latency, calibration.energy, dense, 0.5, 0.5)
    return total(table, shape) * shape.hidden / dense.hidden


def _context(bench: Bench, candidate: Candidate) -> TrialContext:
    seed = bench.config.seed
    return context_of(bench, bench.whole, candidate, seed, lambda: None, Timings())


def _dense() -> Candidate:
    return Candidate(strategy="balanced", importance="obs")


def _configs(options: argparse.Namespace) -> Iterator[StudyConfig]:
    for seed in range(options.seeds):
        for path in options.studies or [None]:
            config = parse_study(DEMO) if path is None else read_study(path)
            yield config.model_copy(update={"seed": seed, "name": f"{config.name}-{seed}"})


def _print_row(row: dict[str, Any]) -> None:
    after = f"{row['after']:6.2f}" if "after" in row else "     –"
    print(
        f"{row['strategy']:<12} {row['target']:.2f}  cost {row['cost']:.3f}  lost "
        f"{row['before']:6.2f} / {after}  {row['seconds']:5.1f} s, {row['steps']} steps",
        flush=True,
    )


def _print_table(rows: list[dict[str, Any]], targets: list[float]) -> None:
    for study in dict.fromkeys(row["study"].rpartition("-")[0] for row in rows):
        own = [row for row in rows if row["study"].rpartition("-")[0] == study]
        seeds = len({row["seed"] for row in own})
        print(f"\n{study}: points lost, before / after training; mean of {seeds} seeds")
        print(f"{'':<12}" + "".join(f"{target:>16}" for target in targets))
        for name in dict.fromkeys(row["strategy"] for row in own):
            cells = [
                _cell([r for r in own if (r["strategy"], r["target"]) == (name, target)])
                for target in targets
            ]
            print(f"{name:<12}" + "".join(f"{cell:>16}" for cell in cells))


def _cell(rows: list[dict[str, Any]]) -> str:
    def mean(key: str) -> str:
        known = [row[key] for row in rows if key in row]
        return f"{statistics.mean(known):.1f}" if known else "–"

    return f"{mean('before')} / {mean('after')}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("studies", nargs="*", type=Path, help="study files; the demo by default")
    parser.add_argument("--targets", nargs="+", type=float, default=[0.5, 0.25, 0.12])
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--strategies", nargs="+", metavar="NAME", help="all by default")
    parser.add_argument("--untrained", action="store_true", help="no fine-tune")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("pareto_prune_output/strategies"),
        help="where the dense models are kept from run to run",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
