"""A context for strategies without data sets, clocks or a study: tiny, seeded, offline.

Everything that a strategy does to a model is real (scores, surgery, gradient steps); only costs
are made up, as straight lines.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.records import Candidate
from pareto_prune.inputs.batch import Batch
from pareto_prune.inputs.tasks import tasks
from pareto_prune.models.families import architecture
from pareto_prune.pruning.context import Penalty
from pareto_prune.pruning.importance import importances
from pareto_prune.pruning.scores import UnitScores
from tests.tiny import tiny_batches

TASK = tasks.create("classification")


@dataclass(frozen=True)
class LinearTable:
    """A cost table: so much a unit, nothing for a sublayer that is not there."""

    per_head: float = 1.0
    per_neuron: float = 0.05
    fixed: float = 0.5

    def heads(self, layer: int, kept: int) -> float:
        return self.per_head * kept

    def neurons(self, layer: int, kept: int) -> float:
        return self.per_neuron * kept


class FakeCalibration:
    """Real importances of a tiny model on tiny batches; each is made at first use."""

    def __init__(
        self,
        dense: Any,
        batches: Sequence[Batch],
        scores: Mapping[str, UnitScores] | None = None,
        channel_scores: Mapping[str, Tensor] | None = None,
    ) -> None:
        self.dense = dense
        self._batches = list(batches)
        self._scores = dict(scores or {})
        self._channels = dict(channel_scores or {})
        self._database: Any = None
        self.latency = LinearTable()
        self.energy = LinearTable(per_head=2.0, per_neuron=0.02, fixed=1.0)

    def importance(self, name: str) -> UnitScores:
        if name not in self._scores:
            self._scores[name] = self._member(name).scores(
                self.dense, self._batches, self._seeded(), TASK
            )
        return self._scores[name]

    def channels(self, name: str) -> Tensor:
        if name not in self._channels:
            member = self._member(name)
            self._channels[name] = member.channels(self.dense, self._batches, self._seeded(), TASK)
        return self._channels[name]

    @property
    def database(self) -> Any:
        """The real pruning database of the tiny model."""
        if self._database is None:
            from pareto_prune.pruning.database import build_database

            self._database = build_database(self.dense, self._batches, TASK, self._seeded())
        return self._database

    @property
    def sensitivities(self) -> list[dict[int, float]]:
        """A loss that grows as the square of the share removed, for every count of units."""
        return [
            {kept: (1 - kept / total) ** 2 for kept in range(total + 1)}
            for shape in architecture(self.dense).layers
            for total in (shape.heads, shape.neurons)
        ]

    def batches(self) -> list[Batch]:
        return self._batches

    def _member(self, name: str) -> Any:
        return importances.create(name)

    def _seeded(self) -> torch.Generator:
        return torch.Generator().manual_seed(0)


@dataclass
class FakeContext:
    """What one trial offers its strategy; ``trained`` notes the steps of every training call."""

    dense: Any
    calibration: Any
    steps: int = 6
    round_widths: bool = True
    seed: int = 0
    even: Any = None
    trained: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.architecture: Architecture = architecture(self.dense)
        self.generator = torch.Generator().manual_seed(self.seed)
        self._next = 0

    def train(
        self,
        model: Any,
        steps: int,
        penalty: Penalty | None = None,
        extra: Sequence[tuple[Tensor, float]] = (),
    ) -> None:
        """Take plain gradient steps on the calibration batches, towards the dense logits."""
        self.trained.append(steps)
        groups = [{"params": [p for p in model.parameters() if p.requires_grad], "lr": 1e-3}]
        groups += [{"params": [tensor], "lr": rate} for tensor, rate in extra]
        optimizer = torch.optim.SGD(groups)
        for _ in range(steps):
            loss = self._distance(model, self._batch())
            loss = loss if penalty is None else loss + penalty()
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    def stage(self, name: str) -> Any:
        return nullcontext()

    def divergence(self, model: Any) -> float:
        """Return the mean divergence from the dense predictions on the calibration batches."""
        with torch.no_grad():
            apart = [
                TASK.divergence(_logits(model, batch), _logits(self.dense, batch), 1.0)
                for batch in self.calibration.batches()
            ]
        return float(torch.cat([one.flatten() for one in apart]).mean())

    def _batch(self) -> Batch:
        self._next += 1
        batches = self.calibration.batches()
        return batches[self._next % len(batches)]

    def _distance(self, model: Any, batch: Batch) -> Tensor:
        with torch.no_grad():
            teacher = _logits(self.dense, batch)
        return (_logits(model, batch) - teacher).square().mean()


def fake_context(
    dense: Any, *, batches: Sequence[Batch] | None = None, **options: Any
) -> FakeContext:
    """A context around ``dense``; ``scores`` and ``channel_scores`` replace its importances."""
    replaced = {name: options.pop(name, None) for name in ("scores", "channel_scores")}
    given = tiny_batches(4, examples=8) if batches is None else batches
    return FakeContext(dense, FakeCalibration(dense, given, **replaced), **options)


def candidate(strategy: str, dense: Any, **genes: Any) -> Candidate:
    """A candidate with a value for every gene, half of everything removed."""
    layers = len(architecture(dense).layers)
    given = {
        "importance": "l2",
        "cost_target": 0.6,
        "threshold": 0.3,
        "sublayers": (0.5,) * (2 * layers),
    }
    return Candidate(strategy=strategy, **(given | genes))


def _logits(model: Any, batch: Batch) -> Tensor:
    return model(**{key: value for key, value in batch.items() if key != "labels"}).logits
