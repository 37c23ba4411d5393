"""What calibrating costs, part by part, and what a candidate costs after it.

Each model runs in a process of its own with an empty cache, so that its peak memory is its own and
nothing is found ready: the demo model, and BERT-base (random weights) with 2, 6 and 12 layers, all
on the demo sentences. *Candidate* is what a trial of ``balanced`` does before it is measured.

    python benchmarks/calibration.py [--quick] [--json FILE] [--models minilm bert-2 …]
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pareto_prune.measure.environment import environment

MODELS = ("minilm", "bert-2", "bert-6", "bert-12")
LIMITS = {"minilm": (40, 90, 0.15), "bert-12": (360, 900, 1.0)}
"""Seconds without and with the sensitivities, and to decode and cut a candidate."""
MEMORY_GIB = 4.0


def main() -> None:
    options = _options()
    if options.inside:
        print(json.dumps(calibrate(options.inside, options.samples)))
        return
    rows = []
    print_header()
    for name in options.models:
        rows.append(alone(name, options.samples))
        print_row(rows[-1])
    if options.json:
        content = {"rows": rows, "environment": environment().to_json()}
        options.json.write_text(json.dumps(content, indent=1))


def alone(name: str, samples: int) -> dict[str, Any]:
    """Return the row of one model, from a process with an empty cache."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, __file__, "--inside", name, "--samples", str(samples)]
        clean = {**os.environ, "PARETO_PRUNE_CACHE": folder}
        done = subprocess.run(command, env=clean, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


def calibrate(name: str, samples: int) -> dict[str, Any]:
    """Return seconds of every part of the calibration of one model, and of its candidates."""
    from pareto_prune.core.progress import Silent
    from pareto_prune.inputs.data import load
    from pareto_prune.measure import Measurer, Workload
    from pareto_prune.measure.block_costs import EngineCosts
    from pareto_prune.running.study_file import parse_study
    from pareto_prune.trials.calibration import StudyCalibration
    from pareto_prune.trials.dense import DenseModel

    config = parse_study(
        {
            "name": "calibration",
            "model": {"path": "demo:minilm-l6"},
            "data": {"path": "demo:rotten-tomatoes", "max_length": 64},
            "calibration": {"samples": samples, "sensitivity_samples": samples // 2},
        }
    )
    data, model = load(config), _model(name)
    dense = DenseModel(model, None, name, Path(), fine_tuned=False)  # type: ignore[arg-type]
    measurer = Measurer(config.measure, model, Workload.of(data.validation, config.measure, 0))
    found = StudyCalibration(config, dense, data, Silent(), EngineCosts(measurer))
    parts = {
        "cost_tables": lambda: found.latency,
        "database": lambda: found.database,
        "fisher": lambda: found.importance("fisher"),
        "sensitivities": lambda: found.sensitivities,
    }
    row: dict[str, Any] = {"model": name, "samples": samples}
    row |= {part: _seconds(make) for part, make in parts.items()}
    row["without"] = row["cost_tables"] + row["database"] + row["fisher"]
    row["with"] = row["without"] + row["sensitivities"]
    row |= candidates(model, found)
    row["peak_gib"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    return row


def candidates(model: Any, calibration: Any) -> dict[str, float]:
    """Return seconds to decode and cut a candidate (median), and to repair it (first, median)."""
    from pareto_prune.models.families import architecture
    from pareto_prune.pruning.cost import BlendedCost
    from pareto_prune.pruning.database import stitch
    from pareto_prune.pruning.decoder import decode, options
    from pareto_prune.pruning.plan import PruningPlan
    from pareto_prune.pruning.repair import repair
    from pareto_prune.pruning.selection import neuron_multiple
    from pareto_prune.pruning.strategies.balanced import Balanced
    from pareto_prune.pruning.surgery import cut_copy

    dense = architecture(model)
    cost = BlendedCost(calibration.latency, calibration.energy, dense, 0.5, 0.5)
    cuts, repairs = [], []
    for target in (0.5, 0.25, 0.35, 0.6, 0.4):
        began = time.perf_counter()
        stages = options(dense, cost, calibration.sensitivities, (), neuron_multiple(dense))
        shape = dense.model_copy(update={"layers": tuple(decode(stages, target - cost.fixed))})
        smaller = cut_copy(model, PruningPlan.dense(dense))
        stitch(smaller, calibration.database, shape)
        cuts.append(time.perf_counter() - began)
        began = time.perf_counter()
        repair(smaller, model, calibration.batches(), Balanced().tokens)
        repairs.append(time.perf_counter() - began)
        del smaller
    return {
        "candidate": statistics.median(cuts),
        "first_repair": repairs[0],
        "repair": statistics.median(repairs[1:]),
    }


def _model(name: str) -> Any:
    import torch
    from transformers import AutoModelForSequenceClassification, BertConfig
    from transformers.utils import logging

    from pareto_prune.inputs.demo import model_folder

    logging.set_verbosity_error()
    torch.manual_seed(0)
    if name == "minilm":
        folder = model_folder("demo:minilm-l6")
        return AutoModelForSequenceClassification.from_pretrained(folder).eval()
    config = BertConfig(num_hidden_layers=int(name.partition("-")[2]))
    return AutoModelForSequenceClassification.from_config(config).eval()


def _seconds(make: Callable[[], object]) -> float:
    began = time.perf_counter()
    make()
    return time.perf_counter() - began


_COLUMNS = {
    "cost_tables": "tables",
    "database": "database",
    "fisher": "Fisher",
    "sensitivities": "sensit.",
    "without": "without",
    "with": "with",
    "candidate": "candidate",
    "first_repair": "1st repair",
    "repair": "repair",
    "peak_gib": "peak GiB",
}


def print_header() -> None:
    print("seconds; 'without' and 'with' the sensitivities; peak memory of the whole process")
    print(f"{'':<10}" + "".join(f"{title:>11}" for title in _COLUMNS.values()))


def print_row(row: dict[str, Any]) -> None:
    cells = "".join(f"{row[name]:>11.2f}" for name in _COLUMNS)
    met = ""
    if row["model"] in LIMITS:
        without, whole, candidate = LIMITS[row["model"]]
        kept = row["without"] <= without and row["with"] <= whole
        kept = kept and row["candidate"] <= candidate and row["peak_gib"] <= MEMORY_GIB
        met = "  met" if kept else f"  missed: {without} / {whole} / {candidate} s"
    print(f"{row['model']:<10}{cells}{met}", flush=True)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small models, few samples")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows")
    parser.add_argument("--models", nargs="+", choices=MODELS, default=MODELS)
    parser.add_argument("--samples", type=int, default=1024)
    parser.add_argument("--inside", choices=MODELS, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.quick:
        options.models, options.samples = ("minilm", "bert-2"), 128
    return options


if __name__ == "__main__":
    main()
