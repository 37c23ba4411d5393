"""int8: what it loses and what it gains, dense and pruned, as it comes and calibrated.

The demo model, fine-tuned on the demo sentences, and the same model cut by ``balanced`` and trained
again, each in every number format of the engines that have one faster than float32. *Apart* is the
divergence from the same model's float32 predictions on the validation split, in nats, at the
temperature by which int8 is judged; it tells more than points lost do, which change with examples
that are on the edge. Latencies are of one text of the median length, back to back (hot) and with
the caches emptied before each call (cold); engines take turns in small blocks. *vs float32* is
against the dense model in float32 on ONNX Runtime, *vs same* against it in the same format.

    python benchmarks/int8.py [STUDY] [--quick] [--json FILE] [--cost 0.25] [--folder DIR]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pareto_prune.core.progress import Silent
from pareto_prune.core.records import Candidate
from pareto_prune.inputs.examples import Split
from pareto_prune.inputs.tasks import Task
from pareto_prune.measure import Workload, caches
from pareto_prune.measure.clock import SystemClock
from pareto_prune.measure.engines import Session, Settings, engines
from pareto_prune.measure.environment import environment
from pareto_prune.measure.protocol import cold, timed
from pareto_prune.pruning.sensitivity import TEMPERATURE
from pareto_prune.running.study_file import parse_study, read_study
from pareto_prune.trials.bench import Bench, prepare
from pareto_prune.trials.calibration_texts import calibration_texts
from pareto_prune.trials.context import context_of
from pareto_prune.trials.evaluation import logits_by
from pareto_prune.trials.stages import prune_candidate
from pareto_prune.trials.timings import Timings

DEMO = {
    "name": "int8",
    "model": {"path": "demo:minilm-l6"},
    "data": {"path": "demo:rotten-tomatoes", "max_length": 64},
}
QUICK = {
    **DEMO,
    "data": {**DEMO["data"], "limit": 128, "max_length": 32},  # type: ignore[dict-item]
    "dense": {"epochs": 1},
    "calibration": {"samples": 32, "sensitivity_samples": 16},
    "finetune": {"steps": 2, "find_rate": False},
}
YARDSTICK = ("dense", "onnxruntime float32")
LOST_POINTS = 0.3
"""That calibrated int8 may lose."""
Key = tuple[str, str]


@dataclass(frozen=True)
class Way:
    """One way to run a model."""

    name: str
    engine: str
    settings: Settings


@dataclass(frozen=True)
class Scores:
    """What a model says in one way: points of the metric, and logits of the validation split."""

    task: Task
    validation: float
    test: float
    logits: torch.Tensor

    def lost(self, exact: Scores) -> float:
        """Return the points lost against another way, mean of both splits."""
        return (exact.validation + exact.test - self.validation - self.test) / 2

    def apart(self, exact: Scores) -> float:
        """Return the mean divergence from another way."""
        return float(self.task.divergence(self.logits, exact.logits, TEMPERATURE).mean())


def main() -> None:
    """Run every model in every way and print the table."""
    options = _options()
    with tempfile.TemporaryDirectory() as beside:
        folder = Path(beside) if options.quick else options.folder
        rows = compared(_bench(options, folder), options.cost, rounds=2 if options.quick else 40)
    print_rows(rows)
    if options.json:
        content = {"rows": rows, "environment": environment().to_json()}
        options.json.write_text(json.dumps(content, indent=1))


def _bench(options: argparse.Namespace, folder: Path) -> Bench:
    demo = parse_study(QUICK if options.quick else DEMO)
    return prepare(read_study(options.study) if options.study else demo, folder, Silent())


def compared(bench: Bench, cost: float, rounds: int) -> list[dict[str, Any]]:
    """Return a row for every model and way."""
    models = {"dense": bench.whole.dense.model, f"pruned to {cost:g}": pruned(bench, cost)}
    sessions: dict[Key, Session] = {}
    ready: dict[Key, float] = {}
    clock = SystemClock()
    for (name, model), way in product(models.items(), ways(bench)):
        began = clock.now()
        engine = engines.create(way.engine)
        sessions[name, way.name] = engine.prepare(model, way.settings)
        ready[name, way.name] = clock.now() - began
    scored = {key: scores(bench, session) for key, session in sessions.items()}
    times = in_turn(bench, sessions, rounds)
    return list(_rows(scored, times, ready))


def ways(bench: Bench) -> list[Way]:
    """Return what is compared, float32 first."""
    texts = calibration_texts(bench.whole.data.train, bench.task, bench.config.seed)
    found = [
        Way("onnxruntime float32", "onnxruntime", Settings()),
        Way("onnxruntime int8, dynamic", "onnxruntime", Settings(dtype="int8")),
        Way("onnxruntime int8", "onnxruntime", Settings(dtype="int8", texts=texts)),
    ]
    if engines.create("openvino").why_not() is None:
        dtypes = [dtype for dtype in engines.create("openvino").dtypes("cpu") if dtype != "float16"]
        found += [
            Way(f"openvino {dtype}", "openvino", Settings(dtype=dtype, texts=texts))
            for dtype in dtypes
        ]
    return found


def pruned(bench: Bench, cost: float) -> Any:
    """Return the dense model cut to a share of its cost and trained again."""
    candidate = Candidate(
        strategy="balanced",
        importance="obs",
        cost_target=cost,
        sublayers=(0.5,) * (2 * len(bench.whole.architecture.layers)),
        learning_rate=bench.config.search.learning_rate[0],
    )
    seed = bench.config.seed
    context = context_of(bench, bench.whole, candidate, seed, lambda: None, Timings())
    made = prune_candidate(context).model
    context.finish(made)
    return made


def scores(bench: Bench, session: Session) -> Scores:
    """Return the metric on both splits, and the logits of the validation split."""

    def points(logits: Any, split: Split) -> float:
        return 100 * bench.task.quality(logits, split).metrics[bench.config.metric]

    data = bench.whole.data
    logits, test = (logits_by(session.logits, split) for split in (data.validation, data.test))
    exact = torch.from_numpy(logits).double()
    return Scores(bench.task, points(logits, data.validation), points(test, data.test), exact)


def in_turn(bench: Bench, sessions: Mapping[Key, Session], rounds: int) -> dict[Key, list[float]]:
    """Return milliseconds of a call of every session, hot and cold: medians over rounds."""
    config = bench.config
    inputs = Workload.of(bench.whole.data.validation, config.measure, config.seed).latency()
    calls = {key: session.bind(inputs) for key, session in sessions.items()}
    clock, empty, generator = SystemClock(), caches.emptier("cpu"), np.random.default_rng(0)
    assert empty is not None
    hot: dict[Key, list[float]] = {key: [] for key in calls}
    emptied: dict[Key, list[float]] = {key: [] for key in calls}
    order = list(calls)
    for _ in range(rounds):
        for place in generator.permutation(len(order)):
            key = order[place]
            timed(calls[key], 3, clock)
            hot[key].append(1e3 * statistics.median(timed(calls[key], 10, clock)))
            emptied[key] += [1e3 * each for each in cold(empty)(calls[key], 2, clock)]
    return {key: [statistics.median(hot[key]), statistics.median(emptied[key])] for key in calls}


def _rows(
    scored: Mapping[Key, Scores],
    times: Mapping[Key, Sequence[float]],
    ready: Mapping[Key, float],
) -> Iterator[dict[str, Any]]:
    dense, float32 = YARDSTICK
    for (model, way), found in scored.items():
        exact, (hot, emptied) = scored[model, float32], times[model, way]
        yield {
            "model": model,
            "way": way,
            "validation": found.validation,
            "test": found.test,
            "lost": found.lost(exact),
            "apart": found.apart(exact),
            "ms": hot,
            "cold_ms": emptied,
            "vs_float32": times[YARDSTICK][0] / hot,
            "vs_same": times[dense, way][0] / hot,
            "ready_s": ready[model, way],
        }


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    """Print one line a model and way, and whether int8 loses no more than it may."""
    print(
        f"{'':<42}{'val.':>7}{'test':>7}{'lost':>7}{'apart':>9}{'ms':>8}{'cold':>8}"
        f"{'vs float32':>12}{'vs same':>9}{'ready':>8}"
    )
    for row in rows:
        print(
            f"{row['model'] + ', ' + row['way']:<42}{row['validation']:7.2f}{row['test']:7.2f}"
            f"{row['lost']:7.2f}{row['apart']:9.5f}{row['ms']:8.3f}{row['cold_ms']:8.3f}"
            f"{row['vs_float32']:11.2f}×{row['vs_same']:8.2f}×{row['ready_s']:6.1f} s"
        )
    worst = max(row["lost"] for row in rows if row["way"].endswith("int8"))
    print(f"calibrated int8 loses {worst:.2f} points at most, mean of both splits; "
          f"wanted: {LOST_POINTS} or less")  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("study", nargs="?", type=Path, help="study file; the demo by default")
    parser.add_argument("--quick", action="store_true", help="few texts, hardly any training")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows")
    parser.add_argument("--cost", type=float, default=0.25, help="of the pruned model")
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("pareto_prune_output/int8"),
        help="where the dense model is kept from run to run",
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
