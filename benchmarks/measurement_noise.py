"""Dense against dense beside a busy neighbour: what a ratio and a plain median are worth.

A model of MiniLM's size is measured against itself, again and again, while other processes keep
the same cores busy: one without a pause, or some that come and go, as they do on a shared machine.
The right ratio is 1. Beside the paired ratio stands the plain median of the same minutes: the
absolute value that a benchmark without a reference would have reported.

    python benchmarks/measurement_noise.py [--quick] [--json FILE] [--repeats 20] [--neighbours 1]
        [--bursts SECONDS]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.records import Measurement
from pareto_prune.measure import Measurer, Workload
from pareto_prune.measure.environment import environment
from pareto_prune.running.self_test import minilm, sentences

TOLERANCE = {"latency_ms": 0.05, "latency_cold_ms": 0.05, "energy_j": 0.03}
CENTRE = 0.01
SHARE = 18 / 20
NEIGHBOUR = """
import random, sys, time
import numpy as np
seed, longest = int(sys.argv[1]), float(sys.argv[2])
draw = random.Random(seed)
a = np.random.default_rng(0).random((512, 512), dtype=np.float32)
while True:
    end = time.monotonic() + draw.uniform(0, longest)
    while not longest or time.monotonic() < end:
        a = a @ a / 512
    time.sleep(draw.uniform(0, longest))
"""
"""Computes for ever or, with ``longest`` above 0, in bursts and pauses of up to so many seconds."""


def main() -> None:
    options = _options()
    repeats = 4 if options.quick else options.repeats
    table = MeasureTable(device="cpu", engine=options.engine, threads=options.threads)
    model = minilm()
    workload = Workload.from_lengths(sentences(model.config.vocab_size), table, seed=0)
    measurer = Measurer(table, model, workload)
    rows: list[dict[str, Any]] = []
    with busy(options.neighbours, options.bursts):
        print_header()
        for repeat in range(repeats):
            rows.append(row(repeat, measurer.measure(model, fresh=True)))
            print_row(rows[-1])
    summary = [summarise(rows, name) for name in TOLERANCE]
    print_summary(summary)
    if options.json:
        where = environment(details=measurer.details() | measurer.profile())
        content = {
            "rows": rows,
            "summary": summary,
            "neighbours": options.neighbours,
            "bursts": options.bursts,
            "environment": where.to_json(),
        }
        options.json.write_text(json.dumps(content, indent=1))
    sys.exit(0 if options.quick or all(found["met"] for found in summary) else 1)


@contextmanager
def busy(count: int, bursts: float) -> Iterator[None]:
    """Keep ``count`` processes computing, in bursts or always, for a ``with`` block."""
    alone = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    neighbours = [
        subprocess.Popen([sys.executable, "-c", NEIGHBOUR, str(i), str(bursts)], env=alone)
        for i in range(count)
    ]
    try:
        yield
    finally:
        for neighbour in neighbours:
            neighbour.kill()
            neighbour.wait()


def row(repeat: int, found: Measurement) -> dict[str, Any]:
    """Return what one measurement said."""
    flags = found.ratios["latency_ms"].flags + found.ratios["energy_j"].flags
    return {
        "repeat": repeat,
        **{f"{name}_ratio": found.ratios[name].value for name in TOLERANCE},
        **{f"{name}_plain": found.readings[name].value for name in TOLERANCE},
        **{f"{name}_interval": found.ratios[name].interval for name in TOLERANCE},
        "seconds": found.seconds,
        "flags": sorted(set(flags)),
    }


def summarise(rows: Sequence[dict[str, Any]], name: str) -> dict[str, Any]:
    """Return how a ratio and a plain median did over all repeats."""
    ratios = [row[f"{name}_ratio"] for row in rows]
    within = [abs(ratio - 1) <= TOLERANCE[name] for ratio in ratios]
    paired, plain = spread(ratios), spread([row[f"{name}_plain"] for row in rows])
    centre = statistics.median(ratios)
    met = abs(centre - 1) <= CENTRE and sum(within) >= SHARE * len(rows) and paired <= plain / 2
    return {
        "name": name,
        "median": centre,
        "within": sum(within),
        "repeats": len(rows),
        "tolerance": TOLERANCE[name],
        "cv_paired": paired,
        "cv_plain": plain,
        "seconds": statistics.median(row["seconds"] for row in rows),
        "met": met,
    }


def spread(values: Sequence[float]) -> float:
    """Return the coefficient of variation."""
    return float(np.std(values) / np.mean(values))


def print_header() -> None:
    print(f"{'':>6}  {'paired ratio':^29}  {'plain median':^29}")
    names = f"{'latency':>9} {'cold':>9} {'energy':>9}"
    units = f"{'ms':>9} {'cold ms':>9} {'J/sample':>9}"
    print(f"{'repeat':>6}  {names}  {units}  {'s':>5}  flags")


def print_row(row: dict[str, Any]) -> None:
    ratios = " ".join(f"{row[f'{name}_ratio']:9.3f}" for name in TOLERANCE)
    plain = " ".join(f"{row[f'{name}_plain']:9.4g}" for name in TOLERANCE)
    flags = ", ".join(row["flags"])
    print(f"{row['repeat']:>6}  {ratios}  {plain}  {row['seconds']:5.1f}  {flags}", flush=True)


def print_summary(summary: Sequence[dict[str, Any]]) -> None:
    print()
    print(f"{'':<15} {'median':>7} {'within':>14} {'CV paired':>10} {'CV plain':>9}  met")
    for found in summary:
        within = f"{found['within']}/{found['repeats']} ± {found['tolerance']}"
        spreads = f"{found['cv_paired']:10.2%} {found['cv_plain']:9.2%}"
        met = "yes" if found["met"] else "no"
        print(f"{found['name']:<15} {found['median']:7.3f} {within:>14} {spreads}  {met}")
    print(f"one measurement takes {summary[0]['seconds']:.1f} s")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="4 repeats, under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows")
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--neighbours", type=int, default=1, help="busy processes beside")
    parser.add_argument(
        "--bursts",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="they come and go, each time for up to this long",
    )
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--threads", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
