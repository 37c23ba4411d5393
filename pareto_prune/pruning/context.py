"""What a strategy is given and what it returns: the contract of the family.

Declared here, low in the tree, so that strategies know nothing of data sets, training or clocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.records import Candidate
from pareto_prune.inputs.batch import Batch
from pareto_prune.pruning.pruned import Pruned
from pareto_prune.pruning.scores import UnitScores

if TYPE_CHECKING:
    import torch
    from torch import Tensor
    from transformers import PreTrainedModel

    from pareto_prune.pruning.database import PruningDatabase
    from pareto_prune.pruning.even import EvenShapes

Penalty = Callable[[], "Tensor"]


@runtime_checkable
class CostTable(Protocol):
    """Time or joules of one sublayer at any width, relative to nothing: same unit everywhere."""

    def heads(self, layer: int, kept: int) -> float:
        """Return the cost of the attention of ``layer`` with ``kept`` heads."""

    def neurons(self, layer: int, kept: int) -> float:
        """Return the cost of the FFN of ``layer`` with ``kept`` neurons."""

    @property
    def fixed(self) -> float:
        """Cost of all that no plan removes (embeddings, pooler, head)."""


class Calibration(Protocol):
    """What is computed once a study and host; each is made at first use and cached on disk."""

    def importance(self, name: str) -> UnitScores:
        """Return the scores of importance ``name``."""

    def channels(self, name: str) -> Tensor:
        """Return the scores of the hidden channels, shape (hidden,)."""

    @property
    def database(self) -> PruningDatabase:
        """The pruning database: nested OBS solutions of every sublayer."""

    @property
    def sensitivities(self) -> Sequence[Mapping[int, float]]:
        """For each sublayer, cut alone: kept units → divergence from the dense model."""

    @property
    def latency(self) -> CostTable:
        """Milliseconds by sublayer and width."""

    @property
    def energy(self) -> CostTable:
        """Joules a sample by sublayer and width."""

    def batches(self) -> Sequence[Batch]:
        """Return the calibration batches (training data), on the model's device."""


class Context(Protocol):
    """What one trial offers its strategy."""

    generator: torch.Generator

    @property
    def steps(self) -> int:
        """Training steps of the trial, those before the cut included."""

    @property
    def dense(self) -> PreTrainedModel:
        """The dense model, which stays as it is."""

    @property
    def architecture(self) -> Architecture:
        """The dense model's shape."""

    @property
    def calibration(self) -> Calibration:
        """What was computed once for the dense model."""

    @property
    def round_widths(self) -> bool:
        """Whether widths are rounded to what the hardware likes."""

    @property
    def even(self) -> EvenShapes | None:
        """What shapes are allowed where all layers must be alike; ``None``: they may differ."""

    def train(
        self,
        model: PreTrainedModel,
        steps: int,
        penalty: Penalty | None = None,
        extra: Sequence[tuple[Tensor, float]] = (),
    ) -> None:
        """Fine-tune ``model`` in place for ``steps`` steps, distilled from the dense model.

        ``penalty`` is added to the loss of every step; ``extra`` are further tensors to train,
        each with its learning rate. The steps come off the trial's allowance.
        """

    def stage(self, name: str) -> AbstractContextManager[object]:
        """Return a ``with`` block that shows and times a part of the work under ``name``."""

    def divergence(self, model: PreTrainedModel) -> float:
        """Return how far the predictions of ``model`` are from the dense ones, in nats.

        The task's divergence, a mean over a slice of the *training* data held out of :meth:`train`.
        """


@runtime_checkable
class Shaped(Protocol):
    """A strategy that knows the widths of every layer before anything is cut."""

    def shape(self, candidate: Candidate, context: Context) -> Architecture | None:
        """Return them, ``None`` where they are not known with these options.

        Raises:
            TrialError: as :meth:`Strategy.prune`.
        """


class Strategy(Protocol):
    """How units are chosen. A member is a frozen dataclass; its fields are its options."""

    @property
    def reads(self) -> frozenset[str]:
        """Genes of the candidate that change what it does, with these options.

        All others are set to their canonical value before duplicates are looked for.
        """

    @property
    def trains_before_cut(self) -> bool:
        """Whether it spends training steps before it cuts, with these options."""

    @property
    def calibrates(self) -> tuple[str, ...]:
        """Parts of the calibration, besides importances, to be made before the first trial."""

    @property
    def cuts_channels(self) -> bool:
        """Whether hidden channels go: not where they are what a task's model is asked for."""

    def prune(self, model: PreTrainedModel, candidate: Candidate, context: Context) -> Pruned:
        """Return the plan and the smaller model. ``model`` is a copy it may change.

        Raises:
            TrialError: the candidate cannot be met (a cost target below the smallest model, a
                threshold that removes everything, weights that are not finite).
        """
