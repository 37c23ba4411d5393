"""What is computed once a study and host: each part at its first use, then cached on disk.

::

    training data ─► calibration batches ─► importances
                                        ├─► pruning database ─► sensitivities
    cost source ────────────────────────┴─► latency and energy tables

All workers of a host share the files; the first one makes each while the others wait, unless it is
stopped. A file that is damaged is made again.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch
from torch import Tensor

from pareto_prune.core import cache, cache_entries
from pareto_prune.core.architecture import Architecture
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.hashing import file_sha256
from pareto_prune.core.memory import give_back
from pareto_prune.core.progress import Progress
from pareto_prune.inputs.batch import Batch
from pareto_prune.inputs.examples import Split, TaskData, batches_by_length
from pareto_prune.inputs.sampling import sample, spread
from pareto_prune.inputs.tasks import Task, tasks
from pareto_prune.models.families import architecture
from pareto_prune.pruning import (
    context,
    database,
    moments,
    nested,
    seeds,
    sensitivity,
    sweep,
    unit_gradients,
)
from pareto_prune.pruning.context import CostTable
from pareto_prune.pruning.cost_tables import MacsCost, MeasuredCost
from pareto_prune.pruning.database import PruningDatabase, build_database
from pareto_prune.pruning.importance import importances
from pareto_prune.pruning.importance.fisher import Fisher
from pareto_prune.pruning.scores import UnitScores
from pareto_prune.pruning.sensitivity import sensitivities
from pareto_prune.pruning.unit_gradients import UnitSums
from pareto_prune.trials.calibration_samples import samples_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from pareto_prune.trials.dense import DenseModel

BATCH = 32
BATCH_TOKENS = 1024
"""Of a batch, at most: a backward pass holds what every layer gave for each of them."""

Tensors = dict[str, Tensor]


class CostSource(Protocol):
    """Measures the sublayers of the dense model, on the study's engine and device."""

    @property
    def key(self) -> Any:
        """JSON of all that decides the numbers: device profile, engine, lengths, protocol."""

    def tables(self, dense: Architecture) -> Mapping[str, MeasuredCost]:
        """Return the tables ``latency_ms`` and ``energy_j`` for the dense model's widths."""


class StudyCalibration:
    """The calibration of one dense model on one data set.

    Args:
        config: of the study; its ``[calibration]`` and seed count.
        dense: the dense model.
        data: examples are drawn from the training split.
        progress: told of every stage.
        costs: what the cost tables are measured with. Without it they count multiply-accumulates,
            and say so.

    Raises:
        StudyFileError: more calibration examples are asked for than there are.
    """

    def __init__(
        self,
        config: StudyConfig,
        dense: DenseModel,
        data: TaskData,
        progress: Progress,
        costs: CostSource | None = None,
    ) -> None:
        self._dense, self._progress, self._costs = dense, progress, costs
        self._seed = config.seed
        train = data.train
        self._task = task = tasks.create(data.task)
        samples, fewer = samples_of(config.calibration, len(train))
        self._split = _drawn(task, train, samples, config.seed)
        self._fewer = _drawn(task, train, fewer, config.seed)
        self._scores: dict[str, UnitScores] = {}
        self._channels: dict[str, Tensor] = {}

    @property
    def _model(self) -> PreTrainedModel:
        return self._dense.model

    def batches(self) -> Sequence[Batch]:
        """Return the calibration batches, of similar lengths each, in mixed order."""
        return self._batches

    @cached_property
    def _batches(self) -> list[Batch]:
        return _batched(self._split, self._seed, self._model.device)

    def importance(self, name: str) -> UnitScores:
        """Return the scores of importance ``name``, on the CPU.

        Raises:
            UnknownNameError: no such importance.
        """
        if name not in self._scores:
            self._scores[name] = self._make_scores(name)
        return self._scores[name]

    def channels(self, name: str) -> Tensor:
        """Return the scores of the hidden channels by importance ``name``, shape (hidden,).

        Raises:
            UnknownNameError: no such importance.
        """
        if name not in self._channels:
            self._channels[name] = self._make_channels(name)
        return self._channels[name]

    @cached_property
    def database(self) -> PruningDatabase:
        """The pruning database."""
        found = self._kept(
            "database",
            self._key(self._split, context, database, moments, nested, seeds, sweep),
            self._make_database,
        )
        return PruningDatabase.of_tensors(found)

    @cached_property
    def sensitivities(self) -> Sequence[Mapping[int, float]]:
        """Divergence of cutting one sublayer alone, by units kept; every width is there."""
        database_key = self._key(self._split, context, database, moments, nested, seeds, sweep)
        found = self._kept(
            "sensitivities",
            [database_key, self._key(self._fewer, sensitivity)],
            lambda: _stacked(
                sensitivities(
                    self._model,
                    self.database,
                    _batched(self._fewer, self._seed, self._model.device),
                    self._task,
                    self._generator(),
                    self._progress,
                )
            ),
        )
        return [dict(enumerate(found[str(i)].tolist())) for i in range(len(found))]

    @property
    def latency(self) -> CostTable:
        """Milliseconds by sublayer and width, or multiply-accumulates without a cost source."""
        return self._tables["latency_ms"]

    @property
    def energy(self) -> CostTable:
        """Joules by sublayer and width, or multiply-accumulates without a cost source."""
        return self._tables["energy_j"]

    @cached_property
    def _tables(self) -> Mapping[str, CostTable]:
        if self._costs is None:
            self._progress.note("cost tables count multiply-accumulates: nothing measures here")
            tokens = round(float(self._split.lengths.mean()))
            counted = MacsCost(architecture(self._model), tokens)
            return {"latency_ms": counted, "energy_j": counted}
        return _measured(self._model, self._costs, self._progress)

    def _make_database(self) -> Tensors:
        """Return the database; its pass over the data gives the Fisher scores along."""
        fisher, examples = Fisher(), len(self._split)
        sums = UnitSums(self._model, fisher.reduce)
        made = build_database(
            self._model, self._batches, self._task, self._generator(), self._progress, sums.add
        )
        key = self._key_of(fisher)
        self._kept("importance-fisher", key, lambda: _by_layer(sums.scores(examples)))
        return made.tensors()

    def _make_scores(self, name: str) -> UnitScores:
        member = importances.create(name)
        if getattr(member, "needs_database", False):
            return member.of_database(self.database)
        if not member.needs_data:
            return member.scores(self._model, (), self._generator(), self._task)
        found = self._kept(
            f"importance-{name}",
            self._key_of(member),
            lambda: _by_layer(
                member.scores(self._model, self._batches, self._generator(), self._task)
            ),
            f"importance {name}",
        )
        layers = range(len(found) // 2)
        return UnitScores(
            heads=tuple(found[f"heads.{i}"] for i in layers),
            neurons=tuple(found[f"neurons.{i}"] for i in layers),
        )

    def _make_channels(self, name: str) -> Tensor:
        member = importances.create(name)
        if not member.needs_data:
            return member.channels(self._model, (), self._generator(), self._task)
        found = self._kept(
            f"channels-{name}",
            self._key_of(member),
            lambda: {
                "channels": member.channels(
                    self._model, self._batches, self._generator(), self._task
                )
            },
            f"importance {name} of channels",
        )
        return found["channels"]

    def _generator(self) -> torch.Generator:
        return torch.Generator().manual_seed(self._seed)

    def _key_of(self, importance: object) -> dict[str, Any]:
        return self._key(self._split, _module_of(importance), seeds, sweep, unit_gradients)

    def _key(self, split: Split, *code: ModuleType) -> dict[str, Any]:
        return {
            "dense": self._dense.digest,
            "tokens": split.digest,
            "seed": self._seed,
            "code": [_source_digest(module) for module in (*code, *_modules_of(self._task))],
        }

    def _kept(
        self, kind: str, key: Any, make: Callable[[], Tensors], stage: str | None = None
    ) -> Tensors:
        """Return the tensors of a cache entry, made and stored if it is not there or damaged."""
        path = cache_entries.calibration(kind, key)
        with cache.made_once(path):
            found = load_tensors(path)
            if found is None:
                if path.exists():
                    self._progress.note(f"{path} is damaged, it is made again")
                if stage is not None:
                    self._progress.stage(stage)
                found = make()
                save_tensors(path, found)
                give_back()
        return found


def save_tensors(path: Path, tensors: Mapping[str, Tensor]) -> None:
    """Write tensors by name and a checksum to ``path``, whole or not at all."""
    from safetensors.torch import save_file

    with cache.replacing(path) as beside:
        whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
        save_file(whole, beside, metadata={"digest": _digest(whole)})


def load_tensors(path: Path) -> Tensors | None:
    """Return what :func:`save_tensors` wrote, ``None`` where it is not there or damaged."""
    from safetensors import safe_open

    try:
        with safe_open(path, framework="pt") as file:
            found = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            wanted = (file.metadata() or {}).get("digest")
    except Exception:  # a damaged file fails in many ways; all mean: make it again
        return None
    return found if wanted == _digest(found) else None


def _digest(tensors: Mapping[str, Tensor]) -> str:
    content = hashlib.sha256()
    for name in sorted(tensors):
        tensor = tensors[name].contiguous()
        content.update(repr((name, tuple(tensor.shape), str(tensor.dtype))).encode())
        content.update(tensor.flatten().view(torch.uint8).numpy().data)
    return content.hexdigest()


def _measured(
    model: PreTrainedModel, costs: CostSource, progress: Progress
) -> Mapping[str, CostTable]:
    path = cache_entries.costs(architecture(model).to_json(), costs.key)
    with cache.made_once(path):
        found = _read_tables(path)
        if found is None:
            progress.stage("cost tables")
            progress.quiet()
            found = dict(costs.tables(architecture(model)))
            content = json.dumps({name: table.to_json() for name, table in found.items()})
            with cache.replacing(path) as beside:
                beside.write_text(content, encoding="utf-8")
            give_back()
    return found


def _read_tables(path: Path) -> dict[str, MeasuredCost] | None:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        return {name: MeasuredCost.from_json(table) for name, table in content.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _drawn(task: Task, train: Split, count: int, seed: int) -> Split:
    rows, _ = sample(spread(task, train, seed), count)
    return train.take(np.sort(rows))


def _batched(split: Split, seed: int, device: torch.device) -> list[Batch]:
    batches = batches_by_length(split, BATCH, BATCH_TOKENS)
    order = np.random.default_rng(seed).permutation(len(batches))
    return [split.batch(batches[i], device) for i in order]


def _stacked(losses: Sequence[Mapping[int, float]]) -> Tensors:
    return {
        str(index): torch.tensor([one[kept] for kept in range(len(one))], dtype=torch.float64)
        for index, one in enumerate(losses)
    }


def _by_layer(scores: UnitScores) -> Tensors:
    return {
        f"{kind}.{index}": tensor.contiguous()
        for kind, tensors in (("heads", scores.heads), ("neurons", scores.neurons))
        for index, tensor in enumerate(tensors)
    }


def _module_of(member: object) -> ModuleType:
    return _modules_of(member)[0]


def _modules_of(member: object) -> list[ModuleType]:
    """Return the module of a member's class, and those of the classes that it is made from."""
    return [sys.modules[kind.__module__] for kind in type(member).__mro__ if kind is not object]


def _source_digest(module: ModuleType) -> str:
    return file_sha256(Path(str(module.__file__)))
