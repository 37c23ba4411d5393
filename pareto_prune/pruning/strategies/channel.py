"""Cut hidden channels, which all layers share, and FFN neurons."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

import pydantic

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.errors import TrialError
from pareto_prune.core.records import Candidate
from pareto_prune.pruning.context import Context, CostTable
from pareto_prune.pruning.cost import BlendedCost
from pareto_prune.pruning.even import EvenShapes
from pareto_prune.pruning.even_plans import even_units
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.pruned import Pruned
from pareto_prune.pruning.selection import (
    CHANNEL_MULTIPLE,
    check_finite,
    check_finite_channels,
    check_sublayers,
    neuron_multiple,
    strongest,
)
from pareto_prune.pruning.strategies import strategies

if TYPE_CHECKING:
    from transformers import PreTrainedModel

_LEAST_WEIGHT = 0.05
_HALVINGS = 40


@strategies.register("channel")
@dataclass(frozen=True)
class Channel:
    """Remove hidden channels everywhere, and FFN neurons, until the cost target is met.

    The sampled numbers of the attentions (their mean) and of the FFNs say how fast the channels
    and the neurons of each layer go; the cost target says how far. All heads stay, but where all
    layers must be alike: there channels go by the width of a head, each with a head of every layer.

    Attributes:
        repair: refit what reads the channels, and ``W_o`` and ``W_2``, to the dense model.
        tokens: calibration tokens that the repair uses.
    """

    reads: ClassVar[frozenset[str]] = frozenset(
        {"importance", "cost_target", "sublayers", "alpha_latency", "alpha_energy"}
    )
    trains_before_cut: ClassVar[bool] = False
    calibrates: ClassVar[tuple[str, ...]] = ("latency", "energy")

    repair: bool = True
    tokens: Annotated[int, pydantic.Field(ge=1)] = 20_000

    def prune(self, model: PreTrainedModel, candidate: Candidate, context: Context) -> Pruned:
        """Return the plan and the smaller model, cut in place.

        Raises:
            TrialError: scores are not finite, the candidate does not fit the model, or its cost
                target is below the smallest model.
        """
        from pareto_prune.pruning.repair import repair
        from pareto_prune.pruning.surgery import cut

        plan = self._plan(candidate, context)
        if context.even is not None:
            plan = plan.with_pooled(_pooled(model, plan))
        cut(model, plan)
        if self.repair:
            with context.stage("repair"):
                repair(model, context.dense, context.calibration.batches(), self.tokens)
        return Pruned(plan, model)

    def _plan(self, candidate: Candidate, context: Context) -> PruningPlan:
        dense, calibration = context.architecture, context.calibration
        scores = calibration.importance(candidate.importance)
        channels = calibration.channels(candidate.importance)
        check_finite(scores)
        check_finite_channels(channels)
        table = BlendedCost(
            calibration.latency,
            calibration.energy,
            dense,
            candidate.alpha_latency,
            candidate.alpha_energy,
        )
        shapes = context.even
        widths = widths_within(dense, table, candidate, context.round_widths, shapes)
        some = None if widths.channels == dense.hidden else strongest(channels, widths.channels)
        if shapes is not None:
            heads = _most_heads(shapes)[widths.channels]
            kept = shapes.of(heads, widths.neurons[0], range(len(dense.layers)))
            return PruningPlan.of(even_units(scores, shapes, kept), some)
        pairs = zip(dense.layers, scores.neurons, widths.neurons, strict=True)
        return PruningPlan.of(
            ((range(full.heads), strongest(neurons, kept)) for full, neurons, kept in pairs), some
        )


def _pooled(model: PreTrainedModel, plan: PruningPlan) -> list[int] | None:
    """Return the pooled units that stay: as many as channels, where some channels go."""
    from pareto_prune.pruning.stock import pooled_scores

    scores = pooled_scores(model) if plan.channels is not None else None
    return None if scores is None else strongest(scores, len(plan.channels or ()))


@dataclass(frozen=True)
class Widths:
    """How many channels stay, and how many neurons of every layer."""

    channels: int
    neurons: tuple[int, ...]


def widths_within(
    dense: Architecture,
    table: CostTable,
    candidate: Candidate,
    round_widths: bool,
    shapes: EvenShapes | None = None,
) -> Widths:
    """Return the widths that meet the cost target, to within one step of any of them.

    With ``w`` the weight of a kind of unit, its sparsity is ``min(1, t w)``; the smallest ``t``
    whose cost is within the target is found by bisection, then single steps are given back.

    Raises:
        TrialError: the target is below the smallest model, or the candidate does not fit.
    """
    weights = _weights(candidate, len(dense.layers))
    search = _Search(dense, table, round_widths, *weights)
    if shapes is not None:
        search = _EvenSearch(dense, table, round_widths, *weights, shapes)
    target = candidate.cost_target * (1 + 1e-9)
    low, high = 0.0, 1.0 / min(search.channel_weight, *search.neuron_weights)
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
class _Search:
    dense: Architecture
    table: CostTable
    round_widths: bool
    channel_weight: float
    neuron_weights: tuple[float, ...]

    @property
    def steps(self) -> tuple[int, int]:
        """Channels and neurons of one step."""
        return (CHANNEL_MULTIPLE, neuron_multiple(self.dense)) if self.round_widths else (1, 1)

    def at(self, strength: float) -> Widths:
        """Return the widths at one strength of pruning; 0 keeps all."""
        channel, neuron = self.steps
        return Widths(
            max(channel, _left(self.dense.hidden, strength * self.channel_weight, channel)),
            tuple(
                _left(shape.neurons, strength * weight, neuron)
                for shape, weight in zip(self.dense.layers, self.neuron_weights, strict=True)
            ),
        )

    def cost(self, widths: Widths) -> float:
        """Return the share of the dense cost: the table's, times the share of channels.

        Every product of a layer reads or writes the hidden channels; only the softmax does not,
        so the truth is a little above.
        """
        full = sum(self.table.heads(i, kept) for i, kept in enumerate(self.heads(widths)))
        neurons = sum(self.table.neurons(i, kept) for i, kept in enumerate(widths.neurons))
        return (self.table.fixed + full + neurons) * widths.channels / self.dense.hidden

    def heads(self, widths: Widths) -> Sequence[int]:  # noqa: ARG002
        """Return the heads of every layer at these widths."""
        return [shape.heads for shape in self.dense.layers]

    def filled(self, widths: Widths, target: float) -> Widths:
        """Give back steps, channels first and then lower layers first, while they fit."""
        for wider in self._wider(widths):
            if self.cost(wider) <= target:
                return self.filled(wider, target)
        return widths

    def _wider(self, widths: Widths) -> Iterator[Widths]:
        channel, neuron = self.steps
        if widths.channels < self.dense.hidden:
            more = min(widths.channels + channel, self.dense.hidden)
            yield replace(widths, channels=more)
        for layer, kept in enumerate(widths.neurons):
            full = self.dense.layers[layer].neurons
            if kept < full:
                more = min(kept + neuron, full)
                before, after = widths.neurons[:layer], widths.neurons[layer + 1 :]
                yield replace(widths, neurons=(*before, more, *after))


@dataclass(frozen=True)
class _EvenSearch(_Search):
    """Widths that are the same in every layer, with as many heads as go with the channels."""

    shapes: EvenShapes

    def at(self, strength: float) -> Widths:
        """Return the widths at one strength of pruning; 0 keeps all."""
        hidden, most = self.dense.hidden, self.dense.layers[0].neurons
        left = (1.0 - min(1.0, strength * self.channel_weight)) * hidden
        allowed = _most_heads(self.shapes)
        channels = max((width for width in allowed if width <= left), default=min(allowed))
        weight, step = sum(self.neuron_weights) / len(self.neuron_weights), self.steps[1]
        return self._even(channels, max(min(step, most), _left(most, strength * weight, step)))

    def heads(self, widths: Widths) -> Sequence[int]:
        """Return the heads of every layer at these widths."""
        return [_most_heads(self.shapes)[widths.channels]] * len(self.dense.layers)

    def _wider(self, widths: Widths) -> Iterator[Widths]:
        kept, most = widths.neurons[0], self.dense.layers[0].neurons
        wider = [width for width in _most_heads(self.shapes) if width > widths.channels]
        if wider:
            yield self._even(min(wider), kept)
        if kept < most:
            yield self._even(widths.channels, min(kept + self.steps[1], most))

    def _even(self, channels: int, neurons: int) -> Widths:
        return Widths(channels, (neurons,) * len(self.dense.layers))


def _most_heads(shapes: EvenShapes) -> dict[int, int]:
    """Return the most heads that go with each number of channels."""
    return {hidden: heads for heads, hidden in sorted(shapes.hidden.items())}


def _left(total: int, sparsity: float, step: int) -> int:
    count = int((1.0 - min(1.0, sparsity)) * total)
    return total if count == total else count - count % step


def _weights(candidate: Candidate, layers: int) -> tuple[float, tuple[float, ...]]:
    """Return the weight of the channels and of each layer's neurons; none is 0."""
    numbers: Sequence[float] = candidate.sublayers or (1.0,) * (2 * layers)
    check_sublayers(numbers, layers)
    mean = sum(numbers[0::2]) / layers
    return mean + _LEAST_WEIGHT, tuple(number + _LEAST_WEIGHT for number in numbers[1::2])
