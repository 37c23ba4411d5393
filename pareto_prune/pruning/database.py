"""The pruning database: what every sublayer weighs at every width, and the models stitched from it.

Made once a dense model (ZipLM, Kurtic et al. 2023, section 3.1). For each ``W_o`` and ``W_2`` it
holds nested optimal-brain-surgeon solutions: which units stay at each width, and the weights that
then come closest to the dense output. Any mixture of widths is a look-up and one matrix product a
sublayer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.progress import Progress, Silent
from pareto_prune.inputs.batch import Batch
from pareto_prune.inputs.tasks import Task
from pareto_prune.models.families import architecture as architecture_of
from pareto_prune.models.families import family_of, head_size
from pareto_prune.models.layout import weight
from pareto_prune.pruning.moments import Moments, collect_moments
from pareto_prune.pruning.nested import NestedSolutions
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.pruned import Pruned
from pareto_prune.pruning.scores import UnitScores
from pareto_prune.pruning.surgery import cut, present_layers
from pareto_prune.pruning.sweep import Gradients, projections

_PARTS = [field.name for field in dataclasses.fields(NestedSolutions)]


@dataclass(frozen=True, eq=False)
class PruningDatabase:
    """Nested solutions of every sublayer of a dense model.

    Attributes:
        sublayers: bottom up, attention before FFN.
    """

    sublayers: tuple[NestedSolutions, ...]

    def plan(self, shape: Architecture) -> PruningPlan:
        """Return the plan that keeps the most important units, as many as ``shape`` says.

        Raises:
            ValueError: the database holds another number of layers or fewer units.
        """
        self._check(shape)
        return PruningPlan.of(
            (
                self.sublayers[2 * index].kept(layer.heads),
                self.sublayers[2 * index + 1].kept(layer.neurons),
            )
            for index, layer in enumerate(shape.layers)
        )

    def scores(self) -> UnitScores:
        """Return, for every unit, the predicted loss that keeping it at its rank avoids.

        Made to fall strictly along the order of importance, so that the best k by score are the
        ones kept at width k; they compare across sublayers.
        """
        scores = [_scores(solutions) for solutions in self.sublayers]
        return UnitScores(heads=tuple(scores[::2]), neurons=tuple(scores[1::2]))

    def tensors(self) -> dict[str, Tensor]:
        """Return all of it as named tensors."""
        return {
            f"{index}.{name}": getattr(solutions, name)
            for index, solutions in enumerate(self.sublayers)
            for name in _PARTS
        }

    @classmethod
    def of_tensors(cls, tensors: Mapping[str, Tensor]) -> Self:
        """Read what :meth:`tensors` gave.

        Raises:
            KeyError: a tensor is missing.
        """
        count = len(tensors) // len(_PARTS)
        return cls(
            tuple(
                NestedSolutions(**{name: tensors[f"{index}.{name}"] for name in _PARTS})
                for index in range(count)
            )
        )

    def _check(self, shape: Architecture) -> None:
        if 2 * len(shape.layers) != len(self.sublayers):
            raise ValueError(
                f"the shape has {len(shape.layers)} layers, the database {len(self.sublayers) // 2}"
            )
        for index, layer in enumerate(shape.layers):
            for name, count, solutions in (
                ("heads", layer.heads, self.sublayers[2 * index]),
                ("neurons", layer.neurons, self.sublayers[2 * index + 1]),
            ):
                if count > solutions.units:
                    raise ValueError(f"layer {index}: {count} {name} of {solutions.units}")


def _scores(solutions: NestedSolutions) -> Tensor:
    gains = (solutions.losses[:-1] - solutions.losses[1:]).clamp_min(0)
    falling = gains.flip(0).cummax(0).values.flip(0)
    rank = torch.arange(solutions.units, 0, -1, dtype=torch.float64) / solutions.units
    strictly = falling + (falling[:1] + 1e-30) * 1e-6 * rank
    return torch.empty_like(strictly).index_copy_(0, solutions.order, strictly)


def build_database(
    model: PreTrainedModel,
    batches: Sequence[Batch],
    task: Task,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
    units: Gradients | None = None,
) -> PruningDatabase:
    """Return the pruning database of a dense model.

    Args:
        model: dense; unchanged.
        batches: calibration inputs with ``attention_mask``, on the model's device.
        task: says what predictions feel.
        generator: of random signs (see :class:`pareto_prune.pruning.seeds.PredictionSeeds`).
        progress: told of two stages: the pass over the data, and the sublayers solved.
        units: shown the pass over the data too, as by :func:`pareto_prune.pruning.sweep.sweep`.

    Raises:
        TrialError: what the model computes is not finite.
    """
    progress = progress or Silent()
    progress.stage("statistics of every sublayer", len(batches))
    generator = generator or torch.Generator().manual_seed(0)
    moments = collect_moments(model, batches, task, generator, progress, units)
    progress.stage("pruning database", len(moments))
    solved = []
    for index, module in enumerate(projections(model)):
        size = 1 if index % 2 else head_size(model.config)
        solved.append(_solve(module, moments.pop(0), size))
        progress.advance()
    return PruningDatabase(tuple(solved))


def _solve(module: nn.Module, moments: Moments, size: int) -> NestedSolutions:
    bias: Any = module.bias
    covariance, mean = moments.inputs.covariance(centred=bias is not None)
    dense = weight(module).detach().cpu()
    bias = dense.new_zeros(len(dense)) if bias is None else bias.detach().cpu()
    return NestedSolutions.of(dense, bias, covariance, mean, size, moments.metric())


def stitch(model: PreTrainedModel, database: PruningDatabase, shape: Architecture) -> Pruned:
    """Cut a dense model, in place, to a shape and give what is left its weights of the database.

    Args:
        model: dense.
        database: of that model.
        shape: widths of every layer; 0 and 0 drop a layer.

    Raises:
        ValueError: the shape does not fit.
    """
    plan = database.plan(shape)
    dense = architecture_of(model)
    cut(model, plan)
    with torch.no_grad():
        for index, layer in present_layers(model).items():
            here, full, family = shape.layers[index], dense.layers[index], family_of(model)
            attention, ffn = family.sublayers(layer)
            if here.heads < full.heads:
                _write(attention.output, database.sublayers[2 * index], here.heads)
            if here.neurons < full.neurons:
                _write(ffn.output, database.sublayers[2 * index + 1], here.neurons)
    return Pruned(plan, model)


def _write(module: nn.Module, solutions: NestedSolutions, count: int) -> None:
    solved, bias = solutions.solve(count)
    target: Any = module
    if count:
        weight(target).copy_(solved)
    if target.bias is not None:
        target.bias.copy_(bias)
