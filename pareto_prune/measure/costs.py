"""What one sublayer costs at every width: time and joules, on the engine that is deployed on.

A width is run as a short chain of layers that have nothing else, cut from the dense model, so
that the engine's own kernels are timed. What a layer without anything else still does (add two
biases, normalise twice) is known from layers of one neuron, and taken off.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pareto_prune.measure.engines import Engine, Settings
from pareto_prune.measure.windows import Call, Gauge, Window, take
from pareto_prune.measure.workload import Inputs

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from pareto_prune.pruning.plan import PruningPlan

Cost = tuple[float, float | None]
"""Seconds, and joules where they are known; of one sample."""

_CHAIN = 2
_ROUNDS = 5
_VOCABULARY = 1000


@dataclass(frozen=True)
class BlockCosts:
    """Costs of one sublayer by its width, of one sample.

    Attributes:
        heads: attention with this many heads, with its LayerNorm.
        neurons: FFN with this many neurons, with its LayerNorm.
        fixed: what no plan removes: embeddings and head.
    """

    heads: dict[int, Cost]
    neurons: dict[int, Cost]
    fixed: Cost


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
    chain = min(_CHAIN, len(_layers(base)))

    samples = len(ids["input_ids"])

    def probe(kind: str, width: int) -> Call:
        return engine.prepare(_chain(base, kind, width, chain), settings).bind(ids)

    def costs(kind: str, widths: Sequence[int]) -> tuple[dict[int, Cost], Cost]:
        probes = [probe("fixed", 0), probe("neurons", 1), *(probe(kind, k) for k in widths if k)]
        seconds, joules = _run(probes, gauge, rounds)
        found = _costs(widths, seconds, joules, chain * samples)
        return found, _a_sample(seconds, joules, samples)

    # one kind after the other: all chains at once hold several times the dense model
    heads, fixed = costs("heads", head_counts)
    neurons, _ = costs("neurons", neuron_counts)
    return BlockCosts(heads=heads, neurons=neurons, fixed=fixed)


def _a_sample(seconds: Any, joules: Any, samples: int) -> Cost:
    """Return the cost of the first probe, of one sample."""
    return float(seconds[0]) / samples, None if joules is None else float(joules[0]) / samples


def _costs(widths: Sequence[int], seconds: Any, joules: Any, sublayers: int) -> dict[int, Cost]:
    """Return seconds and joules of one sublayer and sample, without what is there anyway."""

    def alone(values: Any, index: int) -> float:
        empty = (values[1] - values[0]) / 2
        return max(float(values[index] - values[0] - empty), 0.0) / sublayers

    found: dict[int, Cost] = {0: (0.0, None if joules is None else 0.0)} if 0 in widths else {}
    for index, width in enumerate(filter(None, widths), start=2):
        found[width] = alone(seconds, index), None if joules is None else alone(joules, index)
    return dict(sorted(found.items()))


def _run(probes: Sequence[Call], gauge: Gauge, rounds: int) -> tuple[Any, Any]:
    """Return seconds and joules of a call of every probe, medians over rounds.

    Every round runs all probes in another order; each is taken relative to the round's sum, so
    that a round under load does not tip the scale.
    """
    generator = np.random.default_rng(0)
    seconds, joules = np.zeros((2, rounds, len(probes)))
    for probe in probes:
        probe()
    for row in range(rounds):
        for i in generator.permutation(len(probes)):
            start = gauge.edge()
            probes[i]()
            window = gauge.between(start, gauge.edge(), 1)
            seconds[row, i] = window.seconds
            joules[row, i] = np.nan if window.joules is None else window.joules
    times = _medians(seconds)
    if gauge.counter is None:
        return times, None
    if gauge.counter.scope == "process":
        return times, _medians(joules)
    return times, _by_power(probes, times, gauge)


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
