"""Engines: how soon a model is ready, how fast it is, and what looking at the lock costs.

The demo model (random weights of the same shape where the demo extra is not installed), dense and
cut to 3 heads and 384 neurons a layer, at batch 1 with 24 tokens. Engines take turns in small
blocks, so that a busy machine slows all of them.

    python benchmarks/engine_speed.py [--quick] [--json FILE] [--threads 1 2]
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.errors import MissingExtraError
from pareto_prune.inputs.demo import model_folder
from pareto_prune.measure import Measurer, Workload
from pareto_prune.measure.engines import Settings, engines
from pareto_prune.measure.environment import environment
from pareto_prune.measure.quiet import Quiet
from pareto_prune.models.onnx_graph import input_names
from pareto_prune.models.onnx_graph.traced import trace
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.surgery import cut_copy
from pareto_prune.running.self_test import minilm, sentences

TOKENS = 24
PLANS = {"dense": (12, 1536), "3 × 384": (3, 384)}


def main() -> None:
    options = _options()
    model = demo_model()
    rows: list[dict[str, Any]] = []
    for threads in options.threads:
        rows += speed(model, threads, rounds=6 if options.quick else 30)
    rows += readiness(model, tracing=not options.quick)
    rows += measuring(model)
    rows += looking(steps=3 if options.quick else 10, model=model)
    print_rows(rows)
    if options.json:
        content = {"rows": rows, "environment": environment().to_json()}
        options.json.write_text(json.dumps(content, indent=1))


def speed(model: Any, threads: int, rounds: int) -> list[dict[str, Any]]:
    """Return milliseconds of a call by engine, dtype and shape, against dense eager float32."""
    inputs = _inputs(1, TOKENS, model.config.vocab_size)
    calls: dict[tuple[str, str, str], Callable[[], Any]] = {}
    for shape, (heads, neurons) in PLANS.items():
        smaller = _cut(model, heads, neurons)
        for name in ("eager", "onnxruntime"):
            engine = engines.create(name)
            for dtype in engine.dtypes("cpu"):
                session = engine.prepare(smaller, Settings("cpu", threads, dtype))
                calls[shape, name, dtype] = session.bind(inputs)
    times = _in_turn(calls, rounds)
    yardstick = times["dense", "eager", "float32"]
    return [
        {
            "what": f"{shape}, {name} {dtype}, {threads} thread{'s' if threads > 1 else ''}",
            "value": statistics.median(found) * 1e3,
            "unit": "ms",
            "against_eager": statistics.median(
                a / b for a, b in zip(yardstick, found, strict=True)
            ),
        }
        for (shape, name, dtype), found in times.items()
    ]


def _in_turn(calls: dict[Any, Callable[[], Any]], rounds: int) -> dict[Any, list[float]]:
    """Return the median seconds of every round's block, all callables taking turns."""
    times: dict[Any, list[float]] = {key: [] for key in calls}
    generator = np.random.default_rng(0)
    for call in calls.values():
        for _ in range(5):
            call()
    order = list(calls)
    for _ in range(rounds):
        for index in generator.permutation(len(order)):
            call = calls[order[index]]
            call()
            times[order[index]].append(statistics.median(_time(call) for _ in range(10)))
    return times


def readiness(model: Any, tracing: bool) -> list[dict[str, Any]]:
    """Return the seconds until an engine is ready for a new shape, checked against its logits."""
    rows = []
    for (shape, plan), name, dtype in product(
        PLANS.items(), ("eager", "onnxruntime"), ("float32", "int8")
    ):
        engine, smaller = engines.create(name), _cut(model, *plan)
        ready = partial(engine.prepare, smaller, Settings(dtype=dtype))
        took = min(_time(ready) for _ in range(3))
        rows.append({"what": f"ready: {shape}, {name} {dtype}", "value": took, "unit": "s"})
    if tracing:
        took = _time(lambda: trace(model, input_names(model)))
        rows.append({"what": "ready: dense, traced by torch", "value": took, "unit": "s"})
    return rows


def measuring(model: Any) -> list[dict[str, Any]]:
    """Return the seconds of a whole measurement with default settings."""
    table = MeasureTable(device="cpu")
    workload = Workload.from_lengths(sentences(model.config.vocab_size), table, seed=0)
    began = time.perf_counter()
    measurer = Measurer(table, model, workload)
    rows = [{"what": "measurer made", "value": time.perf_counter() - began, "unit": "s"}]
    for shape, (heads, neurons) in PLANS.items():
        found = measurer.measure(_cut(model, heads, neurons), fresh=True)
        rows.append({"what": f"measurement: {shape}", "value": found.seconds, "unit": "s"})
    took = _time(lambda: measurer.block_costs(range(13), range(0, 1537, 96)))
    return [*rows, {"what": "costs of 12 + 16 widths", "value": took, "unit": "s"}]


def looking(steps: int, model: Any) -> list[dict[str, Any]]:
    """Return what looking at the lock costs, against a training step of 32 sentences."""
    with tempfile.TemporaryDirectory() as folder, Quiet("cpu", Path(folder)).training() as look:
        look()
        once = statistics.median(_time(look) for _ in range(2000))
    step = statistics.median(_time(_training_step(model)) for _ in range(steps))
    return [
        {"what": "look at the lock", "value": once * 1e6, "unit": "µs"},
        {"what": "training step", "value": step * 1e3, "unit": "ms"},
        {"what": "look at the lock, of a step", "value": once / step * 100, "unit": "%"},
    ]


def _training_step(model: Any) -> Callable[[], None]:
    inputs = _inputs(32, TOKENS, model.config.vocab_size)
    tensors = {name: torch.from_numpy(array) for name, array in inputs.items()}
    labels = torch.zeros(32, dtype=torch.long)

    def step() -> None:
        model(**tensors, labels=labels).loss.backward()
        model.zero_grad()

    return step


def _time(call: Callable[[], Any]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _cut(model: Any, heads: int, neurons: int) -> Any:
    layers = model.config.num_hidden_layers
    return cut_copy(model, PruningPlan.of([(range(heads), range(neurons))] * layers))


def _inputs(batch: int, tokens: int, vocabulary: int) -> dict[str, Any]:
    ids = np.random.default_rng(0).integers(5, vocabulary, (batch, tokens))
    return {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
    }


def demo_model() -> Any:
    """Return the demo model, or one of its shape with random weights, in eval mode."""
    from transformers import AutoModelForSequenceClassification
    from transformers.utils import logging

    logging.set_verbosity_error()
    try:
        folder = model_folder("demo:minilm-l6")
    except MissingExtraError:
        return minilm()
    return AutoModelForSequenceClassification.from_pretrained(folder).eval()


def print_rows(rows: Sequence[dict[str, Any]]) -> None:
    for row in rows:
        against = f"{row['against_eager']:8.2f} ×" if "against_eager" in row else ""
        print(f"{row['what']:<46} {row['value']:10.4g} {row['unit']:<3} {against}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="fewer rounds, under a minute")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    return parser.parse_args()


if __name__ == "__main__":
    main()
