"""Deployment: dense in eager PyTorch, dense in ONNX Runtime, and the exported point, in one run.

The cheapest point of a study's front that keeps 98 % of the dense model's metric on validation is
exported and scored on the test split; where it does not keep 98 % there, the next one is taken,
and the table says so. Then the three run at batch 1, in blocks A B C C B A, so that a busy machine
slows all of them alike. How long an export and a prediction from a cold start take is timed on
whole processes.

    python benchmarks/deployment.py [STUDY] [--storage URL] [--threads N] [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pareto_prune import api
from pareto_prune.core.defaults import DEFAULT_STORAGE
from pareto_prune.core.records import DENSE_STARTER
from pareto_prune.export.deployed._measuring import FolderSession
from pareto_prune.export.deployed.scoring import Scorecard, score
from pareto_prune.export.origin import Origin
from pareto_prune.inputs.data import load as load_data
from pareto_prune.measure import Workload
from pareto_prune.measure.engines import Settings, engines
from pareto_prune.measure.environment import environment
from pareto_prune.results.records import Front, Point
from pareto_prune.trials.dense import load_dense

KEEPS = 0.98
COLD_TEXT = "a film to remember"
Rows = list[dict[str, Any]]


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory() as beside:
        folder, rows = chosen(options.study, options.storage, Path(beside))
        rows += speed(folder, options.threads, rounds=8 if options.quick else 60)
        rows += cold(folder, starts=2 if options.quick else 7)
    print_rows(rows)
    if options.json:
        content = {"rows": rows, "environment": environment().to_json()}
        options.json.write_text(json.dumps(content, indent=1))


def chosen(study: str, storage: str, beside: Path) -> tuple[Path, Rows]:
    """Export points, cheapest first, until one keeps enough on the test split."""
    rows: Rows = []
    for point in _candidates(api.front(study, storage)):
        folder = beside / str(point.number)
        seconds = _process("export", study, point.number, "--to", folder, "--format", "onnx",
                           "--storage", storage)  # fmt: skip
        card = score(folder, measure=False)
        dense, model = _metric(card, "dense"), _metric(card, "model")
        rows.append(_row(f"trial {point.number}: export, a whole process", seconds, "s"))
        rows.append(_row(f"trial {point.number}: {card.metric} on test, dense", dense, ""))
        rows.append(
            _row(f"trial {point.number}: {card.metric} on test", model, "", of_dense=model / dense)
        )
        if model >= KEEPS * dense:
            return folder, rows
    sys.exit(f"no point of the front of {study!r} keeps {KEEPS:.0%} of the dense model's metric")


def _candidates(front: Front) -> list[Point]:
    assert front.reference is not None
    least = KEEPS * front.reference[front.metric]
    kept = [point for point in front.members if point.values[front.metric] >= least]
    return sorted(
        (point for point in kept if point.starter != DENSE_STARTER),
        key=lambda point: point.values[front.costs[0]],
    )


def _metric(card: Scorecard, which: str) -> float:
    return float(getattr(card, which).metrics[card.metric])


def speed(folder: Path, threads: int, rounds: int) -> Rows:
    """Return milliseconds a call at batch 1, and how many times faster the exported model is."""
    calls = _calls(folder, threads)
    times = _in_turn(calls, rounds)
    medians = {name: statistics.median(found) for name, found in times.items()}
    pruned = times["exported, ONNX Runtime"]
    rows = [_row(f"{name}, batch 1", ms, "ms") for name, ms in medians.items()]
    for name, found in times.items():
        if found is not pruned:
            ratios = np.log(np.array(found) / np.array(pruned))
            low, high = np.exp(np.quantile(ratios, (0.1, 0.9)))
            faster = float(np.exp(np.median(ratios)))
            rows.append(_row(f"exported against {name}", faster, "×", low=low, high=high))
    return rows


def _calls(folder: Path, threads: int) -> dict[str, Callable[[], Any]]:
    origin = Origin.read(folder)
    config = origin.config
    dense = load_dense(config, Path(origin.dense))
    inputs = Workload.of(load_data(config).test, config.measure, config.seed).latency()
    settings = Settings("cpu", threads, "float32")
    return {
        "dense, eager PyTorch": engines.create("eager").prepare(dense.model, settings).bind(inputs),
        "dense, ONNX Runtime": engines.create("onnxruntime")
        .prepare(dense.model, settings)
        .bind(inputs),
        "exported, ONNX Runtime": FolderSession.of(folder, threads).bind(inputs),
    }


def _in_turn(calls: Mapping[str, Callable[[], Any]], rounds: int) -> dict[str, list[float]]:
    """Return milliseconds of every call, one number a round: blocks in turn, there and back."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(5):
            call()
    for _ in range(rounds):
        there = list(calls)
        blocks = [(name, _block(calls[name])) for name in (*there, *reversed(there))]
        for name in calls:
            times[name].append(statistics.mean(ms for other, ms in blocks if other == name))
    return times


def _block(call: Callable[[], Any], repeats: int = 5) -> float:
    found = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        found.append(1000 * (time.perf_counter() - began))
    return statistics.median(found)


def cold(folder: Path, starts: int) -> Rows:
    """Return how long one prediction takes in a fresh process."""
    seconds = [_process("predict", folder, COLD_TEXT) for _ in range(starts)]
    return [_row("predict one text, a whole process", statistics.median(seconds), "s")]


def _process(*arguments: Any) -> float:
    command = [sys.executable, "-m", "pareto_prune.cli", *map(str, arguments)]
    began = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    if done.returncode:
        sys.exit(done.stderr)
    return time.perf_counter() - began


def _row(what: str, value: float, unit: str, **more: float) -> dict[str, Any]:
    return {
        "what": what,
        "value": float(value),
        "unit": unit,
        **{k: float(v) for k, v in more.items()},
    }


def print_rows(rows: Sequence[Mapping[str, Any]]) -> None:
    width = max(len(row["what"]) for row in rows)
    for row in rows:
        extra = "  ".join(
            f"{k} {v:.3g}" for k, v in row.items() if k not in ("what", "value", "unit")
        )
        print(f"{row['what'].ljust(width)}  {row['value']:9.4g} {row['unit']:2}  {extra}".rstrip())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("study", nargs="?", default="quickstart")
    default = os.environ.get("PARETO_PRUNE_STORAGE", DEFAULT_STORAGE)
    parser.add_argument("--storage", default=default)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", type=Path)
    return parser.parse_args()


if __name__ == "__main__":
    main()
