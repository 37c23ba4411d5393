"""`adaptive`: rounds of cut, repair, brief tune, test, each reacting to what the last one cost."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.records import Candidate
from pareto_prune.pruning.context import Context, CostTable
from pareto_prune.pruning.cost import BlendedCost, check_target, keep_within, total
from pareto_prune.pruning.even_decoder import check_even_target
from pareto_prune.pruning.even_plans import even_within
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.pruned import Pruned
from pareto_prune.pruning.scores import UnitScores
from pareto_prune.pruning.selection import check_finite, neuron_multiple
from pareto_prune.pruning.strategies import strategies

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

GROWTH = 1.25
SMALLEST_STEP = 0.01


@strategies.register("adaptive")
@dataclass(frozen=True)
class Adaptive:
    """Rounds of cut, repair and test; step, layers and importance react to the last round.

    A round removes a share of the remaining cost by the importance that has predicted best so
    far, refits what is left to the dense model, tunes briefly, and tests how far from the dense
    model the predictions are on training data held out for it. A round that cost more than
    ``tolerance`` is undone, its step halved, and the layers that it hurt most are spared.

    Attributes:
        tolerance: divergence from the dense predictions that a round may add, in nats.
        first_step: share of the remaining cost that the first round removes.
        rounds: most rounds.
        share: share of the trial's training steps that the rounds may use.
        importances: importances that compete; each is tried once.
        repair: refit every sublayer to the dense model in each round, bottom up.
        tokens: calibration tokens that the repair uses.
    """

    reads: ClassVar[frozenset[str]] = frozenset({"cost_target", "alpha_latency", "alpha_energy"})
    trains_before_cut: ClassVar[bool] = True
    calibrates: ClassVar[tuple[str, ...]] = ("latency", "energy")
    cuts_channels: ClassVar[bool] = False

    tolerance: Annotated[float, Field(ge=0.0)] = 0.02
    first_step: Annotated[float, Field(gt=0.0, lt=1.0)] = 0.25
    rounds: Annotated[int, Field(ge=1)] = 8
    share: Annotated[float, Field(ge=0.0, le=1.0)] = 0.5
    importances: tuple[str, ...] = ("obs", "fisher", "taylor")
    repair: bool = True
    tokens: Annotated[int, Field(ge=1)] = 10_000

    def prune(self, model: PreTrainedModel, candidate: Candidate, context: Context) -> Pruned:
        """Cut in rounds until the cost target, a step under 1 %, or the last round.

        Args:
            model: a copy of the dense model.
            candidate: ``cost_target`` is where it stops; the α's price latency against energy.
            context: what the trial offers.

        Raises:
            TrialError: the cost target is below the smallest model.
        """
        cost = BlendedCost(
            context.calibration.latency,
            context.calibration.energy,
            context.architecture,
            candidate.alpha_latency,
            candidate.alpha_energy,
        )
        check_target(cost, context.architecture, candidate.cost_target)
        if context.even is not None:
            check_even_target(context.even, cost, candidate.cost_target, _multiple(context))
        scores = {name: _scaled(context.calibration.importance(name)) for name in self.importances}
        state = _State(
            model=model,
            plan=PruningPlan.dense(context.architecture),
            divergence=0.0,
            step=self.first_step,
            spared=np.ones(len(context.architecture.layers)),
        )
        return self._rounds(state, scores, cost, candidate.cost_target, context)

    def _rounds(
        self,
        state: _State,
        scores: dict[str, UnitScores],
        cost: CostTable,
        target: float,
        context: Context,
    ) -> Pruned:
        per_round = int(self.share * context.steps) // self.rounds
        record = _Record(list(scores))
        used = 0
        for _ in range(self.rounds):
            share = _share(cost, state.plan, context.architecture)
            if share <= target * (1 + 1e-6) or state.step < SMALLEST_STEP:
                break
            name = record.best()
            aim = max(target, share * (1 - state.step))
            plan = _smaller_plan(state, scores[name], cost, aim, context)
            if plan == state.plan:
                break
            tried = self._tried(state.model, plan, per_round, context)
            used += per_round
            divergence = context.divergence(tried)
            added = divergence - state.divergence
            removed = [_removed(s, state.plan, plan) for s in scores.values()]
            record.add(name, [float(r.sum()) for r in removed], added)
            if added <= self.tolerance:
                step = state.step * GROWTH
                state = replace(state, model=tried, plan=plan, divergence=divergence, step=step)
            else:
                hurt = _sparing(removed[list(scores).index(name)])
                state = replace(state, step=state.step / 2, spared=state.spared * hurt)
        return Pruned(state.plan, state.model, used)

    def _tried(
        self, model: PreTrainedModel, plan: PruningPlan, steps: int, context: Context
    ) -> PreTrainedModel:
        """Return a copy of a model cut to a plan, repaired and briefly trained."""
        from pareto_prune.pruning.repair import repair
        from pareto_prune.pruning.surgery import cut_copy

        smaller = cut_copy(model, plan)
        if self.repair:
            with context.stage("repair"):
                repair(smaller, context.dense, context.calibration.batches(), self.tokens)
        if steps:
            context.train(smaller, steps)
        return smaller


@dataclass(frozen=True)
class _State:
    """Where the rounds stand. ``spared`` multiplies the scores of each layer's units."""

    model: PreTrainedModel
    plan: PruningPlan
    divergence: float
    step: float
    spared: NDArray[np.float64]


@dataclass
class _Record:
    """What every importance predicted in every round, and what was observed."""

    names: list[str]
    tried: list[str] = field(default_factory=list)
    predicted: list[list[float]] = field(default_factory=list)
    observed: list[float] = field(default_factory=list)

    def add(self, name: str, predicted: list[float], observed: float) -> None:
        """Note one round."""
        self.tried.append(name)
        self.predicted.append(predicted)
        self.observed.append(observed)

    def best(self) -> str:
        """Return the importance not yet tried, else the one whose predictions rank best."""
        for name in self.names:
            if name not in self.tried:
                return name
        ranks = _ranks(np.array(self.observed))
        columns = np.array(self.predicted).T
        correlations = [_correlation(_ranks(column), ranks) for column in columns]
        return self.names[int(np.argmax(correlations))]


def _scaled(scores: UnitScores) -> UnitScores:
    """Scale scores to a sum of 1 over the model, so that predictions compare."""
    check_finite(scores)
    whole = float(sum(s.sum() for s in (*scores.heads, *scores.neurons)))
    scale = 1.0 / whole if whole > 0 else 1.0
    return UnitScores(
        heads=tuple(s * scale for s in scores.heads),
        neurons=tuple(s * scale for s in scores.neurons),
    )


def _share(cost: CostTable, plan: PruningPlan, dense: Architecture) -> float:
    return total(cost, plan.architecture(dense)) / total(cost, dense)


def _smaller_plan(
    state: _State, scores: UnitScores, cost: CostTable, target: float, context: Context
) -> PruningPlan:
    """Return the plan within ``target`` that keeps only what the current plan keeps."""
    dense, among = context.architecture, _among(scores, state)
    multiple = _multiple(context)
    if context.even is not None:
        left = state.plan.architecture(dense)
        return even_within(among, cost, context.even, target, multiple, left=left)
    kept = keep_within(among, cost, dense, target, multiple)
    return PruningPlan.of(
        (
            set(layer.heads) & set(units.heads.tolist()),
            set(layer.neurons) & set(units.neurons.tolist()),
        )
        for layer, units in zip(state.plan.layers, kept, strict=True)
    )


def _multiple(context: Context) -> int:
    return neuron_multiple(context.architecture) if context.round_widths else 1


def _among(scores: UnitScores, state: _State) -> UnitScores:
    """Return the scores with removed units below all others and spared layers raised."""
    import torch

    def of(values: torch.Tensor, kept: tuple[int, ...], spared: float) -> torch.Tensor:
        raised = torch.full_like(values, -1.0)
        index = torch.tensor(kept, dtype=torch.long, device=values.device)
        raised[index] = values[index] * spared
        return raised

    layers = list(zip(state.plan.layers, state.spared.tolist(), strict=True))
    return UnitScores(
        heads=tuple(of(s, p.heads, w) for s, (p, w) in zip(scores.heads, layers, strict=True)),
        neurons=tuple(
            of(s, p.neurons, w) for s, (p, w) in zip(scores.neurons, layers, strict=True)
        ),
    )


def _removed(scores: UnitScores, before: PruningPlan, after: PruningPlan) -> NDArray[np.float64]:
    """Return the score that each layer lost from one plan to the next, shape (layers,)."""
    lost = []
    for index, (had, has) in enumerate(zip(before.layers, after.layers, strict=True)):
        heads = sorted(set(had.heads) - set(has.heads))
        neurons = sorted(set(had.neurons) - set(has.neurons))
        lost.append(float(scores.heads[index][heads].sum() + scores.neurons[index][neurons].sum()))
    return np.array(lost)


def _sparing(removed: NDArray[np.float64]) -> NDArray[np.float64]:
    """Double the scores of the layers that lost more than the average layer that lost any."""
    lost = removed[removed > 0]
    return np.where(removed > (lost.mean() if lost.size else np.inf), 2.0, 1.0)


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return average ranks, ties sharing theirs."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], dtype=np.float64)


def _correlation(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
    if one.size < 2 or one.std() == 0 or other.std() == 0:
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
