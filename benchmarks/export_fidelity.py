"""Exports: every model of a front, in every format, against the model that the trial left.

Each point of the front is exported. A fresh process loads the folder by ``pareto_prune.load``,
another one by transformers alone; both give their logits on validation sentences, which should be
those of the kept model to the last bit. The ONNX exports run in ONNX Runtime: float32 should give
the same logits to 1e-4, int8 the study's metric on validation within a point.

    python benchmarks/export_fidelity.py [STUDY] [--storage URL] [--quick] [--json FILE]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from pareto_prune import api
from pareto_prune.core.defaults import DEFAULT_STORAGE
from pareto_prune.core.records import DENSE_STARTER
from pareto_prune.export.deployed._measuring import FolderSession
from pareto_prune.export.kept_models.of_trial import kept_model
from pareto_prune.export.loading import load
from pareto_prune.export.origin import Origin
from pareto_prune.inputs.data import load as load_data
from pareto_prune.inputs.examples import Split
from pareto_prune.inputs.tasks import tasks
from pareto_prune.measure.environment import environment
from pareto_prune.storage import open_storage
from pareto_prune.trials.evaluation import logits_by, logits_of

LIMITS = {"pareto_prune.load": 1e-6, "transformers alone": 1e-6, "onnx float32": 1e-4}
INT8_POINTS = 1.0
SENTENCES = 64

LOADERS = {
    "pareto_prune.load": "import pareto_prune; model = pareto_prune.load(folder)",
    "transformers alone": (
        "from transformers import AutoModelForSequenceClassification as Auto;"
        "model = Auto.from_pretrained(folder, trust_remote_code=True);"
        "assert 'pareto_prune' not in sys.modules"
    ),
}
FRESH = """
import sys
import numpy as np, torch
folder, given, to = sys.argv[1:]
{load}
inputs = {{name: torch.from_numpy(array) for name, array in np.load(given).items()}}
with torch.no_grad():
    np.save(to, model.eval()(**inputs).logits.numpy())
"""


def main() -> None:
    options = _options()
    front = api.front(options.study, options.storage)
    numbers = [point.number for point in front.members if point.starter != DENSE_STARTER]
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number in numbers[:1] if options.quick else numbers:
            rows.append(fidelity(options.study, number, options.storage, Path(folder)))
            print_row(rows[-1])
    print(f"{sum(row['met'] for row in rows)} of {len(rows)} points within {LIMITS}, "
          f"int8 within {INT8_POINTS} point")  # fmt: skip
    if options.json:
        content = {"rows": rows, "environment": environment().to_json()}
        options.json.write_text(json.dumps(content, indent=1))


def fidelity(study: str, number: int, storage: str, beside: Path) -> dict[str, Any]:
    """Return how far the exports of one trial are from its kept model."""

    def export(exporter: str, dtype: str = "float32") -> Path:
        to = beside / f"{number}-{exporter}-{dtype}"
        began = time.perf_counter()
        api.export(study, number, to, exporter, storage, dtype=dtype)
        seconds[f"{exporter} {dtype}"] = time.perf_counter() - began
        return to

    seconds: dict[str, float] = {}
    whole = export("huggingface")
    graphs = {dtype: export("onnx", dtype) for dtype in ("float32", "int8")}
    config = Origin.read(whole).config
    split = load_data(config).validation
    with kept_model(open_storage(storage).open_study(study).read(), number) as (folder, _):
        kept = load(folder)
    found = {
        dtype: logits_by(FolderSession.of(folder, 1).logits, split)
        for dtype, folder in graphs.items()
    }
    task = tasks.create(config.data.task)
    points = {
        dtype: 100 * task.quality(logits, split).metrics[config.metric]
        for dtype, logits in found.items()
    }
    far = {name: loaded(whole, kept, split, code, beside) for name, code in LOADERS.items()}
    far["onnx float32"] = float(np.abs(found["float32"] - logits_of(kept, split)).max())
    lost = points["float32"] - points["int8"]
    met = all(far[name] <= limit for name, limit in LIMITS.items()) and lost <= INT8_POINTS
    return {"trial": number, "far": far, "int8_points_lost": lost, "seconds": seconds, "met": met}


def loaded(folder: Path, kept: Any, split: Split, code: str, beside: Path) -> float:
    """Return how far the logits of a folder, loaded by a fresh process, are from the kept model's.

    Args:
        folder: exported for transformers.
        kept: the model that the trial left.
        split: whose first sentences are run.
        code: loads ``folder`` as ``model``.
        beside: for what the processes tell each other.
    """
    inputs = split.batch(np.arange(min(SENTENCES, len(split))))
    inputs.pop("labels")
    given, to = beside / "given.npz", beside / "logits.npy"
    np.savez(given, **{name: tensor.numpy() for name, tensor in inputs.items()})
    program = FRESH.format(load=code)
    command = [sys.executable, "-c", program, str(folder), str(given), str(to)]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ})
    if done.returncode:
        sys.exit(done.stderr)
    with torch.no_grad():
        wanted = kept(**inputs).logits.numpy()
    return float(np.abs(np.load(to) - wanted).max())


def print_row(row: dict[str, Any]) -> None:
    far = "  ".join(f"{name} {value:.1e}" for name, value in row["far"].items())
    took = "  ".join(f"{name} {value:.1f} s" for name, value in row["seconds"].items())
    print(f"trial {row['trial']:>3}  {far}  int8 loses {row['int8_points_lost']:.2f}  {took}",
          flush=True)  # fmt: skip


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n\n")[0])
    parser.add_argument("study", nargs="?", default="quickstart")
    default = os.environ.get("PARETO_PRUNE_STORAGE", DEFAULT_STORAGE)
    parser.add_argument("--storage", default=default)
    parser.add_argument("--quick", action="store_true", help="one point")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows")
    return parser.parse_args()


if __name__ == "__main__":
    main()
