"""The study file's ranges as plain parameters, and parameters as candidates.

::

    StudyConfig + Architecture ─► SearchSpace ─► genes (what samplers draw)
                                             ├─► constants (what has one value only)
                                             └─► params ◄─► Candidate

The space is flat and static: every candidate has a value for every gene. A gene that no strategy
of the study reads, or whose range holds one value, is a constant instead. What the strategy of a
candidate does not read is set to its canonical value before duplicates are looked for. Where all
layers must be alike, one gene stands for all FFNs and one for how many layers go.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.config import Range, StudyConfig
from pareto_prune.core.records import SEEN, Candidate
from pareto_prune.pruning.selection import neuron_multiple
from pareto_prune.pruning.strategies import strategies
from pareto_prune.search.formats import Formats, mean_shares, worth_searching

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Value = float | str | int
Params = dict[str, Value]

ALPHAS = ("alpha_accuracy", "alpha_latency", "alpha_energy")
"""The genes that weigh the objectives in ``balanced``."""
SMALLEST_ALPHA = 0.05
"""Weights stay above 0, so that their sum can be divided by."""
ALWAYS_READ = frozenset({"strategy", "learning_rate", "deployment", "vocabulary"})
"""What the trial itself reads, whatever its strategy."""
STEP = 0.005
"""Numbers that differ by less than about this count as the same one."""


@dataclass(frozen=True)
class Gene:
    """One parameter that samplers draw.

    Attributes:
        name: of the parameter.
        field: field of :class:`Candidate` that it belongs to.
        choices: what it may be, where it is a category; empty for a number.
        low, high: bounds of a number, both inclusive.
        log: whether a number is drawn on a logarithmic scale.
        step: resolution at which two numbers count as the same: of the number itself, on a
            logarithmic scale of its share of the range.
    """

    name: str
    field: str
    choices: tuple[str | int, ...] = ()
    low: float = 0.0
    high: float = 1.0
    log: bool = False
    step: float = STEP

    @property
    def single(self) -> bool:
        """Whether it has one value only."""
        return len(self.choices) == 1 if self.choices else self.low == self.high

    @property
    def only(self) -> Value:
        """The canonical value: the first category, or the lower bound."""
        return self.choices[0] if self.choices else self.low

    def share(self, value: Value) -> float:
        """Return where a number lies in its range, clipped to [0, 1]."""
        number = float(value)
        if self.log:
            place = math.log(number / self.low) / math.log(self.high / self.low)
        else:
            place = (number - self.low) / (self.high - self.low)
        return min(1.0, max(0.0, place))

    def at(self, share: float) -> float:
        """Return the number at ``share`` of the range: the inverse of :meth:`share`."""
        if self.log:
            value = self.low * (self.high / self.low) ** share
        else:
            value = self.low + share * (self.high - self.low)
        return min(self.high, max(self.low, value))

    def rounded(self, value: Value) -> Value:
        """Return what a value is compared by: the category, or the number in steps."""
        if self.choices:
            return value
        return round((self.share(value) if self.log else float(value)) / self.step)

    def distribution(self) -> BaseDistribution:
        """Return the Optuna distribution that samplers draw from."""
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        if self.choices:
            return CategoricalDistribution(self.choices)
        return FloatDistribution(self.low, self.high, log=self.log)


@dataclass(frozen=True)
class SearchSpace:
    """What the candidates of one study are made of.

    Attributes:
        genes: what samplers draw, in a fixed order.
        constants: value of every parameter that has one value only.
        reads: fields of the candidate that each strategy reads.
        layers: layers of the dense model; a candidate has two sublayers for each.
        even: whether all layers that stay are alike: one gene stands for all FFNs.
        units: of every sublayer of the dense model, bottom up; empty where they are not known.
        shares: mean share of the dense model's costs in other number formats.
    """

    genes: tuple[Gene, ...]
    constants: Mapping[str, Value]
    reads: Mapping[str, frozenset[str]]
    layers: int
    even: bool = False
    units: tuple[int, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    _by_name: Mapping[str, Gene] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_by_name", {gene.name: gene for gene in self.genes})

    @classmethod
    def of(
        cls,
        config: StudyConfig,
        architecture: Architecture,
        reads: Mapping[str, frozenset[str]] | None = None,
        formats: Formats | None = None,
    ) -> SearchSpace:
        """Return the space of a study.

        Args:
            config: the study file.
            architecture: of the dense model.
            reads: fields that each strategy reads; asked of the strategies themselves if not given.
            formats: what the dense model costs in others, see :mod:`.formats`.

        Raises:
            UnknownNameError: no such strategy.
        """
        reads = strategy_reads(config) if reads is None else reads
        read = ALWAYS_READ.union(*(reads[name] for name in config.search.strategies))
        genes, constants = [], {}
        for gene in _possible(config, architecture, formats or {}):
            if gene.field in read and not gene.single:
                genes.append(gene)
            else:
                constants[gene.name] = gene.only if gene.single else _unread(gene)
        even, layers = config.search.shapes == "native", architecture.layers
        units = tuple(units for layer in layers for units in (layer.heads, layer.neurons))
        shares = mean_shares(formats or {})
        return cls(tuple(genes), constants, dict(reads), len(layers), even, units, shares)

    def gene(self, name: str) -> Gene | None:
        """Return the gene of this name, or ``None`` where it is a constant."""
        return self._by_name.get(name)

    def to_candidate(self, params: Mapping[str, Value], starter: str | None = None) -> Candidate:
        """Return the candidate with these parameters; constants are filled in."""
        values: dict[str, Any] = {**self.constants, **params}
        return Candidate(
            strategy=values["strategy"],
            importance=values["importance"],
            cost_target=values["cost_target"],
            threshold=values["threshold"],
            sublayers=self._sublayers(values),
            depth=values.get(DEPTH, 0.0),
            **{name: values[name] for name in ALPHAS},
            learning_rate=values["learning_rate"],
            vocabulary=values["vocabulary"],
            deployment={
                name.removeprefix(DEPLOYMENT): value
                for name, value in values.items()
                if name.startswith(DEPLOYMENT)
            },
            starter=starter,
        )

    def to_params(self, candidate: Candidate) -> Params:
        """Return the value of every gene in a candidate, as it stands: starters may be outside."""
        return {gene.name: self._value(candidate, gene) for gene in self.genes}

    def realised(
        self, kept: Sequence[int], cost: float | None, dtype: Value | None = None
    ) -> Params:
        """Return what genes would have had to say for a model to come out as it did.

        Args:
            kept: units of every sublayer, as in :attr:`units`; empty where they are not known.
            cost: share of the dense model's cost, where it is known.
            dtype: number format that the cost is of, where that is searched. What is aimed at is
                the cost in the study's own.
        """
        found: Params = {}
        if cost is not None and cost > 0 and self.gene("cost_target"):
            found["cost_target"] = cost / self.shares.get(str(dtype), 1.0)
        if len(kept) == len(self.units) and not self.even:
            shares = (
                1.0 - k / full if full else 0.0 for k, full in zip(kept, self.units, strict=True)
            )
            found |= zip(sublayer_names(self.layers), shares, strict=True)
        return {name: value for name, value in found.items() if self.gene(name)}

    def _sublayers(self, values: Mapping[str, Any]) -> tuple[float, ...]:
        if self.even:
            return (ATTENTION, values[FFN]) * self.layers
        return tuple(values[name] for name in sublayer_names(self.layers))

    def _value(self, candidate: Candidate, gene: Gene) -> Value:
        if gene.name == FFN:
            return _mean_ffn(candidate.sublayers)
        if gene.name == DEPTH:
            return _share_gone(candidate)
        if gene.field == "sublayers":
            return candidate.sublayers[int(gene.name.removeprefix(_SUBLAYER))]
        if gene.field == "deployment":
            return candidate.deployment.get(gene.name.removeprefix(DEPLOYMENT), gene.only)
        value: Value = getattr(candidate, gene.name)
        return value

    def canonical(self, params: Mapping[str, Value]) -> Params:
        """Return the parameters with all that their strategy does not read set to one value."""
        strategy = str(params.get("strategy", self.constants.get("strategy")))
        read = ALWAYS_READ | self.reads.get(strategy, _EVERYTHING)
        return {
            gene.name: params[gene.name] if gene.field in read else gene.only for gene in self.genes
        }

    def signature(self, params: Mapping[str, Value]) -> tuple[Value, ...]:
        """Return what two candidates are the same by: canonical values, rounded."""
        canonical = self.canonical(params)
        return tuple(gene.rounded(canonical[gene.name]) for gene in self.genes)

    def distributions(self) -> dict[str, BaseDistribution]:
        """Return what Optuna's samplers draw from: the study file's ranges."""
        return {gene.name: gene.distribution() for gene in self.genes}

    @functools.cached_property
    def stored(self) -> dict[str, BaseDistribution]:
        """What a trial is stored under: wide enough for starters outside the study's ranges."""
        return {gene.name: self._stored(gene) for gene in self.genes}

    def _stored(self, gene: Gene) -> BaseDistribution:
        from optuna.distributions import CategoricalDistribution, FloatDistribution

        if gene.name == "strategy":
            extra = [name for name in sorted(self.reads) if name not in gene.choices]
            return CategoricalDistribution((*gene.choices, *extra))
        if gene.choices or (gene.log and gene.name != "cost_target"):
            return gene.distribution()
        return FloatDistribution(0.0, max(1.0, gene.high))


_SUBLAYER = "sublayer_"
FFN = "ffn"
"""The gene of all FFNs where layers are alike."""
DEPTH = "depth"
"""The gene of the share of layers that goes where layers are alike."""
DEEPEST = 2 / 3
"""Most of the layers that the search lets go."""
ATTENTION = 0.5
"""The number of every attention where layers are alike: as a coefficient it changes nothing, and
as a sparsity it is not read, for heads stay with their layer."""
DEPLOYMENT = "deployment_"
"""What the names of deployment genes begin with."""
DTYPE = f"{DEPLOYMENT}dtype"
_EVERYTHING = frozenset(Candidate.model_fields)


def sublayer_names(layers: int) -> list[str]:
    """Return the parameters of the sublayers, bottom up, attention before FFN."""
    return [f"{_SUBLAYER}{index:02d}" for index in range(2 * layers)]


def first_population(trials: int) -> int:
    """Return how many candidates come before the search learns: trials / 15, from 12 to 50."""
    return min(50, max(12, trials // 15))


def strategy_reads(config: StudyConfig) -> dict[str, frozenset[str]]:
    """Return the fields that each strategy reads, under the options of the study file."""
    return {
        name: frozenset(
            strategies.create(name, config.strategy.get(name), f"strategy.{name}").reads
        )
        for name in dict.fromkeys((*config.search.strategies, *_shaped()))
    }


def _shaped() -> list[str]:
    """Return the strategies that starters may name although the study does not search them."""
    return [name for name in SHAPED if name in strategies.names()]


SHAPED = ("layer_wise", "l2", "l1")
"""Strategies that cut every sublayer at its own sparsity: they can make a given shape."""


def _possible(config: StudyConfig, architecture: Architecture, formats: Formats) -> Iterator[Gene]:
    """Yield every parameter there could be, in the order of the genes."""
    search = config.search
    yield Gene("strategy", "strategy", choices=search.strategies)
    yield Gene("importance", "importance", choices=search.importances)
    yield _cost_target(search.cost_target.low, search.cost_target.high)
    yield _ranged("threshold", search.threshold.low, search.threshold.high)
    yield from (_even if search.shapes == "native" else _sublayers)(config, architecture)
    for name in ALPHAS:
        yield Gene(name, name, low=SMALLEST_ALPHA, high=1.0, step=0.02)
    low, high = search.learning_rate
    yield Gene("learning_rate", "learning_rate", low=low, high=high, log=True, step=0.02)
    yield _vocabulary(search.vocabulary)
    for name, choices in search.deployment.items():
        kept = worth_searching(choices, formats) if name == "dtype" else choices
        yield Gene(DEPLOYMENT + name, "deployment", choices=tuple(kept))


def _even(config: StudyConfig, architecture: Architecture) -> Iterator[Gene]:
    """Yield what stands for all sublayers where layers are alike: width of the FFNs, and depth."""
    widest = max(shape.neurons for shape in architecture.layers)
    multiple = neuron_multiple(architecture) if config.search.round_widths else 1
    low, high = config.search.sparsity.low, config.search.sparsity.high
    yield Gene(FFN, "sublayers", low=low, high=high, step=multiple / max(multiple, widest))
    layers = len(architecture.layers)
    most = min(DEEPEST, (layers - 1) / layers)
    yield Gene(DEPTH, "depth", low=0.0, high=most, step=1 / layers)


def _mean_ffn(sublayers: Sequence[float]) -> float:
    """Return the mean sparsity of the FFNs that do not go as a whole; 1 where all do."""
    left = [share for share in sublayers[1::2] if share < 1.0]
    return sum(left) / len(left) if left else 1.0


def _share_gone(candidate: Candidate) -> float:
    """Return the share of layers that go, by name or by depth."""
    pairs = list(zip(candidate.sublayers[0::2], candidate.sublayers[1::2], strict=True))
    return candidate.depth + sum(min(pair) >= 1.0 for pair in pairs) / max(1, len(pairs))


def _vocabulary(kept: Range | str | None) -> Gene:
    if isinstance(kept, Range):
        return Gene("vocabulary", "vocabulary", low=kept.low, high=kept.high, step=0.01)
    return Gene("vocabulary", "vocabulary", choices=(SEEN,) if kept else (), low=1.0)


def _ranged(name: str, low: float, high: float) -> Gene:
    return Gene(name, name, low=low, high=high)


def _cost_target(low: float, high: float) -> Gene:
    """Return the gene of the cost: twice as fast is one step, from wherever it starts."""
    return Gene("cost_target", "cost_target", low=low, high=high, log=low > 0)


def _sublayers(config: StudyConfig, architecture: Architecture) -> Iterator[Gene]:
    """Yield a gene for every sublayer; two sparsities that keep the same units are the same."""
    low, high = config.search.sparsity.low, config.search.sparsity.high
    names = iter(sublayer_names(len(architecture.layers)))
    multiple = neuron_multiple(architecture) if config.search.round_widths else 1
    for shape in architecture.layers:
        for units in (shape.heads, shape.neurons / multiple):
            step = 1 / max(1.0, units)
            yield Gene(next(names), "sublayers", low=low, high=high, step=step)


def _unread(gene: Gene) -> Value:
    """Return the value of a parameter that no strategy of the study reads."""
    if gene.choices:
        return gene.choices[0]
    default: Value = Candidate.model_fields[gene.field].default
    return 0.0 if gene.field == "sublayers" else default
