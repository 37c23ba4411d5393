"""What a pruned model keeps of its accuracy: our engine beside what a script would use.

Every seed fine-tunes its own dense demo model and calibrates on it. Two kinds of shape are asked
for: the same heads and neurons in every layer, and whatever a method chooses at a share of the
dense latency (batch 32; the share is measured against the dense model, not predicted). A cell is
the points lost against the dense model, validation and test pooled, before any training and after
some steps of distillation; the same steps, data and learning rate for all.

==================  =============================================================================
pareto_prune        ``balanced``: pruning database, dynamic programming, least-squares repair
fisher + repair     Kwon et al. 2022: search by Fisher per cost; our least squares as its tuning
fisher              the same search alone
l1, l2, random      norms of a unit's weights, or chance; the same widths in every layer
torch-pruning l2    Torch-Pruning's group norm importance and surgery, same widths
torch-pruning taylor  its first-order importance, on the calibration batches
==================  =============================================================================

    python benchmarks/pruning_quality.py [--quick] [--json FILE] [--seeds 3] [--steps 100]
        [--trained-baselines 1] [--folder DIR]

Torch-Pruning comes from pip (``pip install torch-pruning==1.6``); without it its rows are left out.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch

from pareto_prune.core.progress import Silent
from pareto_prune.core.records import Candidate
from pareto_prune.measure.environment import environment
from pareto_prune.pruning.cost import keep_within, total
from pareto_prune.pruning.database import stitch
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.repair import repair
from pareto_prune.pruning.scores import UnitScores
from pareto_prune.pruning.selection import neuron_multiple, strongest
from pareto_prune.pruning.strategies import strategies
from pareto_prune.pruning.surgery import cut_copy
from pareto_prune.running.study_file import parse_study
from pareto_prune.trials.bench import Bench, prepare
from pareto_prune.trials.context import TrialContext
from pareto_prune.trials.evaluation import logits_of
from pareto_prune.trials.timings import Timings

BATCH = 32
OURS = "pareto_prune"


@dataclass(frozen=True)
class Uniform:
    """The same widths in every layer."""

    heads: int
    neurons: int

    def __str__(self) -> str:
        return f"{self.heads} × {self.neurons}"


@dataclass(frozen=True)
class Share:
    """Any shape that takes at most this share of the dense model's latency."""

    share: float

    def __str__(self) -> str:
        return f"≤ {self.share}"


Target = Uniform | Share
TARGETS: tuple[Target, ...] = (
    Share(0.55),
    Share(0.29),
    Share(0.16),
    Uniform(3, 384),
    Uniform(2, 128),
)
LIMITS = {
    (Share(0.55), 0): 0.8,
    (Share(0.55), 1): 0.0,
    (Share(0.29), 0): 2.5,
    (Share(0.29), 1): 1.3,
    (Share(0.16), 0): 8.0,
    (Share(0.16), 1): 4.0,
    (Uniform(3, 384), 0): 3.0,
    (Uniform(3, 384), 1): 1.7,
    (Uniform(2, 128), 0): 9.0,
    (Uniform(2, 128), 1): 4.5,
}
"""The points that may be lost, without training (0) and after it (1)."""


def main() -> None:
    options = _options()
    rows: list[dict[str, Any]] = []
    for seed in range(options.seeds):
        bench = _bench(options, seed)
        dense = accuracy(bench, bench.whole.dense.model)
        took = calibrate(bench)
        print(f"seed {seed}: dense {100 * dense:.2f} %, calibrated in {took:.0f} s", flush=True)
        for name, method in methods().items():
            trains = name == OURS or seed < options.trained_baselines
            steps = options.steps if trains else 0
            rows += run_method(bench, name, method, dense, steps, options.targets)
    print_table(rows, options)
    if options.json:
        content = {"rows": rows, "environment": environment().to_json()}
        options.json.write_text(json.dumps(content, indent=1))


def calibrate(bench: Bench) -> float:
    """Make or load all that the methods read, and return the seconds that it took."""
    began, calibration = time.perf_counter(), bench.whole.calibration
    _ = calibration.database, calibration.sensitivities, calibration.latency
    for name in ("fisher", "l1", "l2", "random"):
        calibration.importance(name)
    return time.perf_counter() - began


Method = Callable[[Bench, Target], Any]


def methods() -> dict[str, Method]:
    """Return what is compared: name → (bench, target) → a cut model."""
    found: dict[str, Method] = {
        OURS: ours,
        "fisher + repair": partial(by_fisher, repaired=True),
        "fisher": partial(by_fisher, repaired=False),
        **{name: partial(by_score, name) for name in ("l1", "l2", "random")},
    }
    if importlib.util.find_spec("torch_pruning"):
        found |= {
            f"torch-pruning {kind}": partial(by_torch_pruning, kind) for kind in ("l2", "taylor")
        }
    return found


def run_method(
    bench: Bench, name: str, method: Method, dense: float, steps: int, targets: Sequence[Target]
) -> Iterator[dict[str, Any]]:
    """Yield one row for every target."""
    for target in targets:
        began = time.perf_counter()
        model, measured = fitting(bench, method, target)
        row = {
            "method": name,
            "target": str(target),
            "seed": bench.config.seed,
            "share": measured,
            "macs": macs_share(bench, model),
            "shape": shape_of(model),
            "seconds": time.perf_counter() - began,
            "untrained": 100 * (dense - accuracy(bench, model)),
        }
        if steps:
            finish(bench, model, steps)
            row["trained"] = 100 * (dense - accuracy(bench, model))
        print_row(row)
        yield row


def fitting(bench: Bench, method: Method, target: Target) -> tuple[Any, float]:
    """Return a model that meets a target as measured, and its share of the dense latency."""
    asked = target
    for _ in range(6):
        model = method(bench, asked)
        measured = bench.measurer.measure(model).ratios["latency_ms"].value
        if isinstance(target, Uniform) or measured <= target.share:
            return model, measured
        asked = Share(asked.share * min(0.98, target.share / measured))
    raise RuntimeError(f"no shape of {target} in six attempts")


def ours(bench: Bench, target: Target) -> Any:
    """``balanced`` at a share of latency; at given widths its database and repair."""
    fold = bench.whole
    if isinstance(target, Share):
        candidate = Candidate(
            strategy="balanced",
            importance="obs",
            cost_target=target.share,
            sublayers=(0.5,) * (2 * len(fold.architecture.layers)),
            alpha_latency=1.0,
            alpha_energy=0.0,
        )
        model = cut_copy(fold.dense.model, PruningPlan.dense(fold.architecture))
        return strategies.create("balanced").prune(model, candidate, _context(bench, 0)).model
    layers = tuple(
        layer.model_copy(update={"heads": target.heads, "neurons": target.neurons})
        for layer in fold.architecture.layers
    )
    shape = fold.architecture.model_copy(update={"layers": layers})
    model = cut_copy(fold.dense.model, PruningPlan.dense(fold.architecture))
    stitch(model, fold.calibration.database, shape)
    repair(model, fold.dense.model, fold.calibration.batches())
    return model


def by_fisher(bench: Bench, target: Target, repaired: bool) -> Any:
    """The units of highest Fisher importance: per cost where the shape is free."""
    fold, calibration = bench.whole, bench.whole.calibration
    scores = calibration.importance("fisher")
    if isinstance(target, Share):
        multiple = neuron_multiple(fold.architecture)
        kept = keep_within(scores, calibration.latency, fold.architecture, target.share, multiple)
        plan = PruningPlan.of((k.heads.tolist(), k.neurons.tolist()) for k in kept)
    else:
        plan = _strongest(scores, target)
    model = cut_copy(fold.dense.model, plan)
    if repaired:
        repair(model, fold.dense.model, calibration.batches())
    return model


def by_score(name: str, bench: Bench, target: Target) -> Any:
    """The units of highest score in every layer, as many in each."""
    scores = bench.whole.calibration.importance(name)
    return cut_copy(bench.whole.dense.model, _strongest(scores, _uniform(bench, target)))


def _strongest(scores: UnitScores, target: Uniform) -> PruningPlan:
    return PruningPlan.of(
        (strongest(heads, target.heads), strongest(neurons, target.neurons))
        for heads, neurons in zip(scores.heads, scores.neurons, strict=True)
    )


def _uniform(bench: Bench, target: Target) -> Uniform:
    """Return the widest layers, all alike, of a cost by table within the target's share."""
    if isinstance(target, Uniform):
        return target
    dense, table = bench.whole.architecture, bench.whole.calibration.latency
    full, limit = dense.layers[0], target.share * total(table, dense)
    for heads in range(full.heads, 0, -1):
        neurons = max(32, round(heads / full.heads * full.neurons / 32) * 32)
        layer = full.model_copy(update={"heads": heads, "neurons": neurons})
        shape = dense.model_copy(update={"layers": (layer,) * len(dense.layers)})
        if total(table, shape) <= limit:
            return Uniform(heads, neurons)
    raise RuntimeError(f"no uniform shape of {target}")


def by_torch_pruning(kind: str, bench: Bench, target: Target) -> Any:
    """Torch-Pruning's importances and surgery, on heads and FFN neurons alone."""
    import torch_pruning as tp

    fold, wanted = bench.whole, _uniform(bench, target)
    model = cut_copy(fold.dense.model, PruningPlan.dense(fold.architecture))
    full = fold.architecture.layers[0]
    layers = list(model.base_model.encoder.layer)
    attention = [layer.attention.self for layer in layers]
    untouched = [model.base_model.embeddings, model.base_model.pooler, model.classifier]
    untouched += [m for layer in layers for m in (layer.attention.output.dense, layer.output.dense)]
    importance = (
        tp.importance.GroupMagnitudeImportance(p=2)
        if kind == "l2"
        else tp.importance.GroupTaylorImportance()
    )
    pruner = tp.pruner.BasePruner(
        model,
        _example(bench),
        importance=importance,
        pruning_ratio=1 - wanted.neurons / full.neurons,
        num_heads={m: full.heads for one in attention for m in (one.query, one.key, one.value)},
        prune_num_heads=True,
        prune_head_dims=False,
        head_pruning_ratio=1 - wanted.heads / full.heads,
        ignored_layers=untouched,
        output_transform=lambda out: out.logits,
    )
    if kind == "taylor":
        _accumulate_gradients(bench, model)
    pruner.step()
    model.zero_grad(set_to_none=True)
    for one in attention:
        one.num_attention_heads = pruner.num_heads[one.query]
        one.all_head_size = one.query.out_features
    return model


def _example(bench: Bench) -> dict[str, Any]:
    batch = bench.whole.calibration.batches()[0]
    return {name: tensor[:2] for name, tensor in batch.items() if name != "labels"}


def _accumulate_gradients(bench: Bench, model: Any) -> None:
    for batch in bench.whole.calibration.batches():
        model(**batch).loss.backward()


def finish(bench: Bench, model: Any, steps: int) -> None:
    """Distil from the dense model for some steps."""
    _context(bench, steps).finish(model)


def _context(bench: Bench, steps: int) -> TrialContext:
    return TrialContext(
        bench=bench,
        fold=bench.whole,
        candidate=Candidate(strategy="balanced", importance="obs"),
        seed=bench.config.seed,
        order=bench.config.seed,
        check=lambda: None,
        timings=Timings(),
        asked=steps,
        generator=torch.Generator().manual_seed(bench.config.seed),
    )


def accuracy(bench: Bench, model: Any) -> float:
    """Return the accuracy on the validation and test splits together."""
    right, examples = 0.0, 0
    for split in (bench.whole.data.validation, bench.whole.data.test):
        right += float((logits_of(model, split).argmax(-1) == split.labels).sum())
        examples += len(split)
    return right / examples


def macs_share(bench: Bench, model: Any) -> float:
    """Return the encoder's multiply-accumulates as a share of the dense model's."""
    dense = bench.whole.architecture
    tokens = round(float(bench.whole.data.validation.lengths.mean()))
    layers = tuple(
        dense.layers[0].model_copy(update={"heads": heads, "neurons": neurons})
        for heads, neurons in shape_of(model)
    )
    return dense.model_copy(update={"layers": layers}).macs(tokens) / dense.macs(tokens)


def shape_of(model: Any) -> list[tuple[int, int]]:
    """Return heads and neurons of every layer that is there, whoever cut it."""
    size = model.config.hidden_size // model.config.num_attention_heads
    return [
        (_columns(layer.attention.output.dense) // size, _columns(layer.output.dense))
        for layer in model.base_model.encoder.layer
    ]


def _columns(module: Any) -> int:
    """Return what a projection reads; nothing where only its bias is left."""
    return module.weight.shape[1] if hasattr(module, "weight") else 0


def print_row(row: dict[str, Any]) -> None:
    trained = f"{row['trained']:6.2f}" if "trained" in row else "     –"
    print(
        f"{row['method']:<21} {row['target']:>8}  latency {row['share']:.3f}  "
        f"MACs {row['macs']:.3f}  lost {row['untrained']:6.2f}  {trained}  "
        f"({row['seconds']:.1f} s to cut and measure)",
        flush=True,
    )


def print_table(rows: Sequence[dict[str, Any]], options: argparse.Namespace) -> None:
    """Print the mean points lost over the seeds, without training / after it."""
    targets = [str(target) for target in options.targets]
    print(f"\npoints lost, no training / after {options.steps} steps; mean (seeds)")
    print(f"{'':<21}" + "".join(f"{target:>22}" for target in targets))
    for name in dict.fromkeys(row["method"] for row in rows):
        cells = [
            _cell([r for r in rows if (r["method"], r["target"]) == (name, t)]) for t in targets
        ]
        print(f"{name:<21}" + "".join(f"{cell:>22}" for cell in cells))
    allowed = [f"{LIMITS[t, 0]:.1f} / {LIMITS[t, 1]:.1f}" for t in options.targets]
    print(f"{'at most':<21}" + "".join(f"{cell:>22}" for cell in allowed))


def _cell(rows: Sequence[dict[str, Any]]) -> str:
    untrained = [row["untrained"] for row in rows]
    trained = [row["trained"] for row in rows if "trained" in row]
    after = f"{statistics.mean(trained):.2f} ({len(trained)})" if trained else "–"
    return f"{statistics.mean(untrained):.2f} ({len(untrained)}) / {after}"


def _bench(options: argparse.Namespace, seed: int) -> Bench:
    study = {
        "name": "pruning-quality",
        "seed": seed,
        "model": {"path": "demo:minilm-l6"},
        "data": {"path": "demo:rotten-tomatoes", "max_length": 64},
        "dense": {"epochs": 2},
        "search": {"strategies": ["balanced"], "importances": ["obs"]},
        "measure": {"latency_batch": BATCH},
        "finetune": {"by_size": False},
    }
    if options.quick:
        study["data"]["limit"] = 512
        study["dense"] = {"epochs": 1, "learning_rate": 2e-4}
        study["calibration"] = {"samples": 128, "sensitivity_samples": 64}
    folder = options.folder / f"seed-{seed}{'-quick' if options.quick else ''}"
    return prepare(parse_study(study), folder, Silent())


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="one seed, little data, two shapes")
    parser.add_argument("--json", type=Path, metavar="FILE", help="also write the rows")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=100, help="of distillation")
    parser.add_argument(
        "--trained-baselines",
        type=int,
        default=1,
        metavar="SEEDS",
        help="seeds for which the others are trained too; ours always is",
    )
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path("pareto_prune_output/pruning_quality"),
        help="where the dense models are kept from run to run",
    )
    options = parser.parse_args()
    options.targets = TARGETS
    if options.quick:
        options.seeds, options.steps, options.targets = 1, 5, (Share(0.29), Uniform(2, 128))
    return options


if __name__ == "__main__":
    main()
