"""How much of a cut in multiply-accumulates becomes speed, at batch 32.

The demo model (random weights of its shape where the demo extra is not installed) with the same
heads and neurons in every layer, measured against the dense model in interleaved pairs on every
engine. *Realised* is the speed-up over the cut in the encoder's multiply-accumulates.

    python benchmarks/realised_speedup.py [--quick] [--json FILE] [--engines onnxruntime eager]
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from engine_speed import demo_model

from pareto_prune.core.config import MeasureTable
from pareto_prune.measure import Measurer, Workload
from pareto_prune.measure.environment import environment
from pareto_prune.models.families import architecture
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.surgery import cut_copy
from pareto_prune.running.self_test import sentences

BATCH = 32
SHAPES = ((9, 1152), (6, 768), (4, 512), (3, 384), (2, 256), (2, 128))
WANTED = 0.85
"""Share of the cut that is to become speed, down to a quarter of the multiply-accumulates."""
WANTED_BELOW = 0.70
"""The same at 2 heads and 128 neurons."""


def main() -> None:
    options = _options()
    rows: list[dict[str, Any]] = []
    print(
        f"{'engine':<12} {'heads × neurons':>16} {'MACs':>7} {'time':>7} {'speed-up':>9} realised"
    )
    for engine in options.engines:
        for row in measured(engine, options.shapes):
            rows.append(row)
            print_row(row)
    if options.json:
        content = {"rows": rows, "environment": environment().to_json()}
        options.json.write_text(json.dumps(content, indent=1))


def measured(engine: str, shapes: Sequence[tuple[int, int]]) -> Iterator[dict[str, Any]]:
    """Yield a row for every shape."""
    model = demo_model()
    table = MeasureTable(device="cpu", engine=engine, latency_batch=BATCH)
    workload = Workload.from_lengths(sentences(model.config.vocab_size), table, seed=0)
    measurer = Measurer(table, model, workload)
    dense, tokens = architecture(model), workload.latency()["input_ids"].shape[1]
    for heads, neurons in shapes:
        plan = PruningPlan.of([(range(heads), range(neurons))] * len(dense.layers))
        smaller = cut_copy(model, plan)
        ratio = measurer.measure(smaller, fresh=True).ratios["latency_ms"]
        macs = architecture(smaller).macs(tokens) / dense.macs(tokens)
        yield {
            "engine": engine,
            "heads": heads,
            "neurons": neurons,
            "macs": macs,
            "time": ratio.value,
            "interval": ratio.interval,
            "realised": macs / ratio.value,
            "wanted": WANTED
            if macs >= 0.24
            else WANTED_BELOW
            if (heads, neurons) == (2, 128)
            else 0,
        }


def print_row(row: dict[str, Any]) -> None:
    shape = f"{row['heads']} × {row['neurons']}"
    met = "" if row["realised"] >= row["wanted"] else f"  below {row['wanted']}"
    print(
        f"{row['engine']:<12} {shape:>16} {row['macs']:7.3f} {row['time']:7.3f} "
        f"{1 / row['time']:8.2f}× {row['realised']:8.2f}{met}",
        flush=True,
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="two shapes, one engine")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows")
    parser.add_argument("--engines", nargs="+", default=["onnxruntime", "eager"])
    options = parser.parse_args()
    options.shapes = SHAPES
    if options.quick:
        options.engines, options.shapes = ["onnxruntime"], ((3, 384), (2, 128))
    return options


if __name__ == "__main__":
    main()
