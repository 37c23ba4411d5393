"""Cut hidden channels, which all layers share, and spend the rest of the cost where it hurts least.

Channels are dear to cut: what reads the residual stream loses 5 % with three in ten. So few go, and
the dynamic programme of the pruning database sees to the rest.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

import pydantic

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.errors import TrialError
from pareto_prune.core.records import Candidate
from pareto_prune.pruning.context import Context, CostTable
from pareto_prune.pruning.even import EvenShapes
from pareto_prune.pruning.even_plans import even_units
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.programme import cost_of, shape_within
from pareto_prune.pruning.pruned import Pruned
from pareto_prune.pruning.selection import (
    CHANNEL_MULTIPLE,
    check_finite,
    check_finite_channels,
    check_sublayers,
    kept_count,
    neuron_multiple,
    strongest,
)
from pareto_prune.pruning.strategies import strategies

if TYPE_CHECKING:
    from transformers import PreTrainedModel

MOST = 0.25
"""Share of the channels that goes at most."""
_LEAST_WEIGHT = 0.05
_HALVINGS = 40


@strategies.register("channel")
@dataclass(frozen=True)
class Channel:
    """Remove hidden channels, and for the rest of the cost target what hurts least.

    The mean of the numbers of the attentions says how many channels go, up to a quarter; the others
    weigh the sublayers as in ``balanced``. Where all layers must be alike the numbers say how fast
    channels and neurons go instead: channels by the width of a head, each with a head of every
    layer.

    Attributes:
        repair: refit what reads the channels, and ``W_o`` and ``W_2``, to the dense model.
        tokens: calibration tokens that the repair uses.
    """

    reads: ClassVar[frozenset[str]] = frozenset(
        {"importance", "cost_target", "sublayers", "alpha_latency", "alpha_energy"}
    )
    trains_before_cut: ClassVar[bool] = False
    calibrates: ClassVar[tuple[str, ...]] = ("latency", "energy", "database", "sensitivities")
    cuts_channels: ClassVar[bool] = True

    repair: bool = True
    tokens: Annotated[int, pydantic.Field(ge=1)] = 20_000

    def prune(self, model: PreTrainedModel, candidate: Candidate, context: Context) -> Pruned:
        """Return the plan and the smaller model, cut in place.

        Raises:
            TrialError: scores are not finite, the candidate does not fit the model, or its cost
                target is below the smallest model.
        """
        from pareto_prune.pruning.repair import repair

        way = _cut_freely if context.even is None else _cut_evenly
        pruned = way(model, candidate, context)
        if self.repair:
            with context.stage("repair"):
                repair(model, context.dense, context.calibration.batches(), self.tokens)
        return pruned


def _cut_freely(model: PreTrainedModel, candidate: Candidate, context: Context) -> Pruned:
    """Cut by the programme what a share of the cost is left for, then the channels."""
    from pareto_prune.pruning.database import stitch
    from pareto_prune.pruning.surgery import cut

    dense, kept = context.architecture, channels_kept(candidate, context)
    target = min(1.0, candidate.cost_target * dense.hidden / kept)
    weights = _alike(candidate.sublayers)
    shape = shape_within(target, candidate, context, weights)
    pruned = stitch(model, context.calibration.database, shape)
    if kept == dense.hidden:
        return pruned
    scores = context.calibration.channels(candidate.importance)
    check_finite_channels(scores)
    plan = pruned.plan.with_channels(strongest(scores, kept))
    return Pruned(plan, cut(model, plan))


def channels_kept(candidate: Candidate, context: Context) -> int:
    """Return how many hidden channels stay: never fewer than the cost target asks for.

    Every product of a layer reads or writes them, so a model costs about their share of what it
    would with all; only the softmax does not shrink.

    Raises:
        TrialError: the candidate does not fit the model.
    """
    dense, numbers = context.architecture, candidate.sublayers
    check_sublayers(numbers, len(dense.layers))
    gone = MOST * sum(numbers[0::2]) / len(dense.layers)
    multiple = CHANNEL_MULTIPLE if context.round_widths else 1
    return kept_count(dense.hidden, min(gone, 1.0 - candidate.cost_target), multiple)


def _alike(numbers: Sequence[float]) -> list[float]:
    """Return the weights of the sublayers; the numbers of the attentions are of the channels."""
    return [0.5 if index % 2 == 0 else number for index, number in enumerate(numbers)]


def _cut_evenly(model: PreTrainedModel, candidate: Candidate, context: Context) -> Pruned:
    from pareto_prune.pruning.surgery import cut

    dense, shapes, calibration = context.architecture, context.even, context.calibration
    assert shapes is not None
    scores = calibration.importance(candidate.importance)
    channels = calibration.channels(candidate.importance)
    check_finite(scores)
    check_finite_channels(channels)
    cost = cost_of(candidate, context)
    widths = widths_within(dense, cost, candidate, context.round_widths, shapes)
    some = None if widths.channels == dense.hidden else strongest(channels, widths.channels)
    kept = shapes.of(_most_heads(shapes)[widths.channels], widths.neurons, range(len(dense.layers)))
    plan = PruningPlan.of(even_units(scores, shapes, kept), some)
    plan = plan.with_pooled(_pooled(model, plan))
    return Pruned(plan, cut(model, plan))


def _pooled(model: PreTrainedModel, plan: PruningPlan) -> list[int] | None:
    """Return the pooled units that stay: as many as channels, where some channels go."""
    from pareto_prune.pruning.stock import pooled_scores

    scores = pooled_scores(model) if plan.channels is not None else None
    return None if scores is None else strongest(scores, len(plan.channels or ()))


@dataclass(frozen=True)
class Widths:
    """How many channels stay, and how many neurons of every layer."""

    channels: int
    neurons: int


def widths_within(
    dense: Architecture,
    table: CostTable,
    candidate: Candidate,
    round_widths: bool,
    shapes: EvenShapes,
) -> Widths:
    """Return the widths of layers that are alike that meet the cost target, to within one step.

    With ``w`` the weight of a kind of unit, its sparsity is ``min(1, t w)``; the smallest ``t``
    whose cost is within the target is found by bisection, then single steps are given back.

    Raises:
        TrialError: the target is below the smallest model, or the candidate does not fit.
    """
    weights = _weights(candidate, len(dense.layers))
    step = neuron_multiple(dense) if round_widths else 1
    search = _EvenSearch(dense, table, step, *weights, shapes)
    target = candidate.cost_target * (1 + 1e-9)
    low, high = 0.0, 1.0 / min(weights)
    if search.cost(search.at(low)) <= target:
        return search.at(low)
    least = search.cost(search.at(high))
    if least > target:
        allowed = f"allowed: {least:.3g} or more"
        reason = f"cost target {candidate.cost_target:.3g} is below the smallest model, {allowed}"
        raise TrialError("cost_target", reason)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        met = search.cost(search.at(middle)) <= target
        low, high = (low, middle) if met else (middle, high)
    return search.filled(search.at(high), target)


@dataclass(frozen=True)
class _EvenSearch:
    """Widths that are the same in every layer, with as many heads as go with the channels."""

    dense: Architecture
    table: CostTable
    step: int
    channel_weight: float
    neuron_weight: float
    shapes: EvenShapes

    @property
    def most(self) -> int:
        """Neurons of a layer of the dense model."""
        return self.dense.layers[0].neurons

    def at(self, strength: float) -> Widths:
        """Return the widths at one strength of pruning; 0 keeps all."""
        left = (1.0 - min(1.0, strength * self.channel_weight)) * self.dense.hidden
        allowed = _most_heads(self.shapes)
        channels = max((width for width in allowed if width <= left), default=min(allowed))
        neurons = _left(self.most, strength * self.neuron_weight, self.step)
        return Widths(channels, max(min(self.step, self.most), neurons))

    def cost(self, widths: Widths) -> float:
        """Return the share of the dense cost: the table's, times the share of channels.

        Every product of a layer reads or writes the hidden channels; only the softmax does not,
        so the truth is a little above.
        """
        heads = _most_heads(self.shapes)[widths.channels]
        layers = range(len(self.dense.layers))
        full = sum(
            self.table.heads(i, heads) + self.table.neurons(i, widths.neurons) for i in layers
        )
        return (self.table.fixed + full) * widths.channels / self.dense.hidden

    def filled(self, widths: Widths, target: float) -> Widths:
        """Give back steps, channels first, while they fit."""
        for wider in self._wider(widths):
            if self.cost(wider) <= target:
                return self.filled(wider, target)
        return widths

    def _wider(self, widths: Widths) -> Iterator[Widths]:
        wider = [width for width in _most_heads(self.shapes) if width > widths.channels]
        if wider:
            yield replace(widths, channels=min(wider))
        if widths.neurons < self.most:
            yield replace(widths, neurons=min(widths.neurons + self.step, self.most))


def _most_heads(shapes: EvenShapes) -> dict[int, int]:
    """Return the most heads that go with each number of channels."""
    return {hidden: heads for heads, hidden in sorted(shapes.hidden.items())}


def _left(total: int, sparsity: float, step: int) -> int:
    count = int((1.0 - min(1.0, sparsity)) * total)
    return total if count == total else count - count % step


def _weights(candidate: Candidate, layers: int) -> tuple[float, float]:
    """Return the weights of the channels and of the neurons; none is 0."""
    numbers: Sequence[float] = candidate.sublayers or (1.0,) * (2 * layers)
    check_sublayers(numbers, layers)
    heads, neurons = (sum(numbers[kind::2]) / layers for kind in (0, 1))
    return heads + _LEAST_WEIGHT, neurons + _LEAST_WEIGHT
