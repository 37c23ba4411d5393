"""What one sublayer costs at every width: time and joules, on the engine that is deployed on.

A width is run as a short chain of layers that have nothing else, cut from the dense model, so
that the engine's own kernels are timed. What a layer without anything else still does (add two
biases, normalise twice) is known from layers of one neuron, and taken off.

One bad point would mislead a whole study, so none is believed unseen: a width that does not fit
between its neighbours is run again in a session of its own, more units never cost less, and the
sum over the layers is held against the dense model as a whole.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from pareto_prune.measure.engines import Engine, Settings
from pareto_prune.measure.windows import Call, Gauge, Window, take
from pareto_prune.measure.workload import Inputs
from pareto_prune.models.onnx_graph import CalibrationTexts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from pareto_prune.pruning.plan import PruningPlan

Cost = tuple[float, float | None]
"""Seconds, and joules where they are known; of one sample."""

_CHAIN = 2
_ROUNDS = 5
_TURN_SECONDS, _MOST_CALLS = 0.02, 6
"""Of a probe in one round: as many calls as fill the time, so that short ones are not chance."""
_ODD = 0.15
"""How far a cost may be from the nearest rising curve before it is taken again."""
_RETAKES = 2
_APART = 1.15
"""Factor by which the sum of the layers may be off the dense model before all is taken again."""
_VOCABULARY = 1000


@dataclass(frozen=True)
class BlockCosts:
    """Costs of one sublayer by its width, of one sample.

    Attributes:
        heads: attention with this many heads, with its LayerNorm.
        neurons: FFN with this many neurons, with its LayerNorm.
        fixed: what no plan removes: embeddings and head.
        off: the dense model's sum of these over what it takes as a whole; ``None`` where its own
            widths are not among them.
    """

    heads: dict[int, Cost]
    neurons: dict[int, Cost]
    fixed: Cost
    off: float | None = None


def block_costs(
    model: PreTrainedModel,
    inputs: Inputs,
    head_counts: Sequence[int],
    neuron_counts: Sequence[int],
    *,
    engine: Engine,
    settings: Settings,
    gauge: Gauge,
    rounds: int = _ROUNDS,
) -> BlockCosts:
    """Return what sublayers of ``model`` cost at these widths; a width of 0 costs nothing.

    Args:
        model: the dense model.
        inputs: one batch; costs are those of one of its samples.
        head_counts: numbers of heads.
        neuron_counts: numbers of neurons.
        engine: runs the chains.
        settings: how.
        gauge: what is read.
        rounds: times that every width is run, in turn with all others.
    """
    base = _small_vocabulary(model)
    ids = {**inputs, "input_ids": inputs["input_ids"] % _VOCABULARY}
    settings = replace(settings, texts=CalibrationTexts((ids,)))
    probes = _Probes(base, ids, engine, settings, gauge, rounds)
    first = probes.costs(head_counts, neuron_counts)
    if _sound(first):
        return first
    again = probes.costs(head_counts, neuron_counts)
    return min(first, again, key=lambda one: abs(np.log(one.off or 1.0)))


def _sound(costs: BlockCosts) -> bool:
    return costs.off is None or 1 / _APART <= costs.off <= _APART


class _Probes:
    """Chains of one kind of sublayer, run on an engine."""

    def __init__(
        self,
        base: PreTrainedModel,
        inputs: Inputs,
        engine: Engine,
        settings: Settings,
        gauge: Gauge,
        rounds: int,
    ) -> None:
        self._base, self._inputs, self._engine, self._settings = base, inputs, engine, settings
        self._gauge, self._rounds = gauge, rounds
        self._samples = len(inputs["input_ids"])
        self._chain = min(_CHAIN, len(_layers(base)))

    def costs(self, head_counts: Sequence[int], neuron_counts: Sequence[int]) -> BlockCosts:
        """Return the costs at these widths."""
        # one kind after the other: all chains at once hold several times the dense model
        heads, fixed = self._of("heads", head_counts)
        neurons, _ = self._of("neurons", neuron_counts)
        return BlockCosts(heads, neurons, fixed, self._off(heads, neurons, fixed))

    def _of(self, kind: str, widths: Sequence[int]) -> tuple[dict[int, Cost], Cost]:
        wanted = sorted(width for width in set(widths) if width)
        named = [("fixed", 0), ("neurons", 1), *((kind, width) for width in wanted)]
        seconds, joules = self._run(named)
        for _ in range(_RETAKES):
            odd = [2 + i for i in _odd(seconds[2:])]
            if not odd:
                break
            self._take_again(named, odd, seconds, joules)
        found = _costs(wanted, seconds, joules, self._chain * self._samples)
        nothing = {0: (0.0, None if joules is None else 0.0)} if 0 in widths else {}
        return nothing | found, _a_sample(seconds, joules, self._samples)

    def _take_again(
        self, named: Sequence[tuple[str, int]], odd: Sequence[int], seconds: Any, joules: Any
    ) -> None:
        """Run some probes in new sessions; what took less is nearer to the truth."""
        took, used = self._run([named[i] for i in odd])
        for place, i in enumerate(odd):
            if took[place] < seconds[i]:
                seconds[i] = took[place]
                if joules is not None and used is not None:
                    joules[i] = used[place]

    def _run(self, named: Sequence[tuple[str, int]]) -> tuple[Any, Any]:
        return _run([self._probe(*one) for one in named], self._gauge, self._rounds)

    def _probe(self, kind: str, width: int) -> Call:
        return self._bound(_chain(self._base, kind, width, self._chain))

    def _bound(self, model: PreTrainedModel) -> Call:
        return self._engine.prepare(model, self._settings).bind(self._inputs)

    def _off(self, heads: dict[int, Cost], neurons: dict[int, Cost], fixed: Cost) -> float | None:
        from pareto_prune.models.families import architecture

        shapes = architecture(self._base).layers
        if any(shape.heads not in heads or shape.neurons not in neurons for shape in shapes):
            return None
        summed = fixed[0] + sum(heads[s.heads][0] + neurons[s.neurons][0] for s in shapes)
        (whole,), _ = _run([self._bound(self._base)], self._gauge, self._rounds)
        return float(summed * self._samples / whole)


def _a_sample(seconds: Any, joules: Any, samples: int) -> Cost:
    """Return the cost of the first probe, of one sample."""
    return float(seconds[0]) / samples, None if joules is None else float(joules[0]) / samples


def _odd(values: Any) -> list[int]:
    """Return which values are far from the nearest curve that never falls."""
    curve = _rising(values)
    return [int(i) for i in np.flatnonzero(np.abs(values - curve) > _ODD * curve)]


def _rising(values: Any) -> Any:
    """Return the values that never fall and are nearest to these (isotonic regression)."""
    from sklearn.isotonic import isotonic_regression

    return isotonic_regression(np.asarray(values, dtype=np.float64))


def _costs(widths: Sequence[int], seconds: Any, joules: Any, sublayers: int) -> dict[int, Cost]:
    """Return seconds and joules of one sublayer and sample, without what is there anyway.

    Args:
        widths: rising, none of them 0.
        seconds: of calls of no layer, of layers of one neuron, and of the widths.
        joules: likewise, or ``None``.
        sublayers: that one call runs.
    """

    def alone(values: Any) -> Any:
        empty = (values[1] - values[0]) / 2
        return _rising(np.maximum(values[2:] - values[0] - empty, 0.0) / sublayers).tolist()

    if not widths:
        return {}
    used = [None] * len(widths) if joules is None else alone(joules)
    return dict(zip(widths, zip(alone(seconds), used, strict=True), strict=True))


def _run(probes: Sequence[Call], gauge: Gauge, rounds: int) -> tuple[Any, Any]:
    """Return seconds and joules of a call of every probe, medians over rounds.

    Every round runs all probes in another order, short ones several times; each is taken relative
    to the round's sum, so that a round under load does not tip the scale.
    """
    generator = np.random.default_rng(0)
    seconds, joules = np.zeros((2, rounds, len(probes)))
    calls = [_calls_a_turn(probe, gauge) for probe in probes]
    for row in range(rounds):
        for i in generator.permutation(len(probes)):
            start = gauge.edge()
            for _ in range(calls[i]):
                probes[i]()
            window = gauge.between(start, gauge.edge(), calls[i])
            seconds[row, i] = window.seconds / calls[i]
            joules[row, i] = np.nan if window.joules is None else window.joules / calls[i]
    times = _medians(seconds)
    if gauge.counter is None:
        return times, None
    if gauge.counter.scope == "process":
        return times, _medians(joules)
    return times, _by_power(probes, times, gauge)


def _calls_a_turn(probe: Call, gauge: Gauge) -> int:
    """Warm a probe up and return how often it is run in a round."""
    probe()
    start = gauge.edge()
    probe()
    took = gauge.between(start, gauge.edge(), 1).seconds
    return max(1, min(_MOST_CALLS, round(_TURN_SECONDS / max(took, 1e-9))))


def _medians(values: Any) -> Any:
    totals = values.sum(1, keepdims=True)
    return np.median(values / totals, axis=0) * np.median(totals)


def _by_power(probes: Sequence[Call], seconds: Any, gauge: Gauge) -> Any:
    """Return joules of calls too short for the counter, from the power of the longest ones.

    Power is taken in full windows of the longest and the shortest probe, and lies between them
    in proportion to time.
    """
    ends = [int(np.argmin(seconds)), int(np.argmax(seconds))]
    watts = [_watts(take(probes[i], gauge, _calls(seconds[i], gauge))) for i in ends]
    if None in watts:
        return None
    return np.interp(seconds, [seconds[i] for i in ends], watts) * seconds  # type: ignore[arg-type]


def _calls(seconds: float, gauge: Gauge) -> int:
    return max(1, round(gauge.least / seconds))


def _watts(window: Window) -> float | None:
    return None if window.joules is None else window.joules / window.seconds


def _chain(model: PreTrainedModel, kind: str, width: int, chain: int) -> PreTrainedModel:
    from pareto_prune.pruning.surgery import cut_copy

    return cut_copy(model, _plan(len(_layers(model)), kind, width, chain))


def _plan(layers: int, kind: str, width: int, chain: int) -> PruningPlan:
    from pareto_prune.pruning.plan import PruningPlan

    kept: dict[str, Callable[[], tuple[range, range]]] = {
        "heads": lambda: (range(width), range(0)),
        "neurons": lambda: (range(0), range(width)),
        "fixed": lambda: (range(0), range(0)),
    }
    nothing = range(0), range(0)
    return PruningPlan.of(kept[kind]() if i < chain else nothing for i in range(layers))


def _layers(model: PreTrainedModel) -> list[Any]:
    from pareto_prune.models.families import family_of

    return list(family_of(model).layers(model))


def _small_vocabulary(model: PreTrainedModel) -> PreTrainedModel:
    """Return a model with the first tokens only: looking them up costs the same."""
    shared = {id(tensor): tensor for tensor in (*model.parameters(), *model.buffers())}
    small = copy.deepcopy(model, dict(shared))
    table: Any = small.get_input_embeddings()
    if len(table.weight) > _VOCABULARY:
        from torch import nn

        table.weight = nn.Parameter(table.weight[:_VOCABULARY].detach().clone())
        table.num_embeddings = _VOCABULARY
        small.config.vocab_size = _VOCABULARY
    return small
