"""What cutting one sublayer alone costs, at every width: predicted, and measured where it counts.

*Predicted*: the task's divergence from the dense predictions, to second order in the change δ_k of
the sublayer's output at width k, ``½ E (Σ_tokens g · δ_k)²``, g a gradient drawn as in
:class:`pareto_prune.pruning.seeds.PredictionSeeds`, kept apart by sample. Nested solutions give
all widths at once: with ``a = g Z`` and ``c = L⁻¹ (x − mean)`` the width k keeps the first k
products ``a_i c_i``, so ``g · δ_k`` is minus the sum of the others.

*Measured*: the divergence itself, at the widths where the prediction is known to fail: nothing
left, and next to nothing. Only the layers above run again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import PreTrainedModel

from pareto_prune.core.progress import Progress, Silent
from pareto_prune.inputs.batch import Batch
from pareto_prune.inputs.tasks import Task
from pareto_prune.models.families import family_of
from pareto_prune.pruning.database import PruningDatabase
from pareto_prune.pruning.nested import NestedSolutions
from pareto_prune.pruning.replay import computing
from pareto_prune.pruning.seeds import PredictionSeeds, scored
from pareto_prune.pruning.sweep import projections, resting, run, sweep

Losses = list[dict[int, float]]

TEMPERATURE = 2.0
"""Of the predictions, so that samples that the dense model is sure of count too."""
NEXT_TO_NOTHING = 48
"""The smallest width that is measured is a unit in so many, and at least one."""
SPARSE, SUBLAYERS = 4, 12
"""One batch in ``SPARSE`` is measured where a model has ``SUBLAYERS`` sublayers, one in twice as
many where it has twice as many."""
_FLOOR = 1e-9


def sensitivities(
    model: PreTrainedModel,
    database: PruningDatabase,
    batches: Sequence[Batch],
    task: Task,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> Losses:
    """Return, for every sublayer, units kept → divergence from the dense model.

    The divergence is the task's, at temperature 2. All batches serve the prediction, every fourth
    one the measurement; of a deep model fewer, since its sublayers are many and each runs what is
    above it.

    Args:
        model: the dense model; unchanged.
        database: of that model.
        batches: calibration inputs on the model's device.
        task: has the divergence.
        generator: of random signs.
        progress: told of both stages.
    """
    progress = progress or Silent()
    predicted = predicted_losses(model, database, batches, task, generator, progress)
    every = SPARSE * max(1, len(database.sublayers) // SUBLAYERS)
    measured = measured_losses(model, database, batches[::every], task, progress)
    return [corrected(*pair) for pair in zip(predicted, measured, strict=True)]


def corrected(predicted: Mapping[int, float], measured: Mapping[int, float]) -> dict[int, float]:
    """Return predicted losses bent to the measured ones.

    The logarithm of their ratio is interpolated over width, from the measured widths to the dense
    width, where both are nothing.
    """
    widths, known = np.array(sorted(predicted)), sorted(measured)
    ratios = [np.log((measured[k] + _FLOOR) / (predicted[k] + _FLOOR)) for k in known]
    bend = np.exp(np.interp(widths, [*known, widths[-1]], [*ratios, 0.0]))
    return {
        int(k): float(predicted[int(k)] * factor) for k, factor in zip(widths, bend, strict=True)
    } | {k: float(measured[k]) for k in known}


def predicted_losses(
    model: PreTrainedModel,
    database: PruningDatabase,
    batches: Sequence[Batch],
    task: Task,
    generator: torch.Generator | None = None,
    progress: Progress | None = None,
) -> Losses:
    """Return the predicted divergence at every width, 0 to all; one backward pass a batch."""
    progress = progress or Silent()
    progress.stage("sensitivity of every sublayer", len(batches))
    solutions = [_on(one, model.device) for one in database.sublayers]
    squares = [
        torch.zeros(one.units + 1, dtype=torch.float64, device=model.device) for one in solutions
    ]

    def outputs(index: int, x: Tensor, gradient: Tensor) -> None:
        squares[index] += shifts(solutions[index], x, gradient).square().sum(0)

    generator = generator or torch.Generator().manual_seed(0)
    seeds = PredictionSeeds(task, generator, TEMPERATURE)
    sweep(model, batches, seeds, outputs=outputs, progress=progress)
    samples = sum(len(batch["attention_mask"]) for batch in batches)
    return [dict(enumerate((0.5 * total / samples).tolist())) for total in squares]


def shifts(solutions: NestedSolutions, x: Tensor, gradient: Tensor) -> Tensor:
    """Return ``Σ_tokens g · δ_k`` for every sample and width k = 0 … units.

    Args:
        solutions: of the projection, on the device of ``x``.
        x: what it reads, shape (batch, tokens, in).
        gradient: at what it writes, shape (batch, tokens, out).

    Returns:
        Float64, shape (batch, units + 1).
    """
    columns = (solutions.order[:, None] * solutions.size).to(x.device)
    columns = (columns + torch.arange(solutions.size, device=x.device)).flatten()
    c = (x.float()[..., columns] - solutions.mean) @ solutions.inverse.T
    own = (gradient.float() @ solutions.loading * c).sum(1).double()
    own = own.view(len(own), solutions.units, solutions.size).sum(-1)
    left_out = own.flip(1).cumsum(1).flip(1)
    return -torch.cat([left_out, left_out.new_zeros(len(own), 1)], dim=1)


def measured_losses(
    model: PreTrainedModel,
    database: PruningDatabase,
    batches: Sequence[Batch],
    task: Task,
    progress: Progress | None = None,
) -> Losses:
    """Return the divergence at the widths 0 and next to nothing, each sublayer cut alone."""
    progress = progress or Silent()
    widths = [sorted({0, max(1, one.units // NEXT_TO_NOTHING)}) for one in database.sublayers]
    progress.stage("sensitivity, measured", sum(map(len, widths)) * len(batches))
    losses: Losses = [dict.fromkeys(some, 0.0) for some in widths]
    modules = projections(model)
    with resting(model), _Shortcut(model) as shortcut:
        for batch in batches:
            dense = shortcut.start(batch)
            for index, module in enumerate(modules):
                for width in widths[index]:
                    with (
                        shortcut.below(index // 2),
                        _cut_to(module, database.sublayers[index], width),
                    ):
                        logits = run(model, batch, None)
                    losses[index][width] += _divergence(task, dense, logits, batch)
                    progress.advance()
    samples = sum(len(batch["attention_mask"]) for batch in batches)
    return [{width: loss / samples for width, loss in one.items()} for one in losses]


class _Shortcut:
    """Lets layers below one that was cut give what the dense model's gave, without running."""

    def __init__(self, model: PreTrainedModel) -> None:
        self.model = model
        self.layers = family_of(model).layers(model)
        self.given: list[Any] = []

    def __enter__(self) -> _Shortcut:
        return self

    def __exit__(self, *_: object) -> None:
        self.given.clear()

    def start(self, batch: Batch) -> Tensor:
        """Run the dense model, remember what its layers give, and return its logits."""
        self.given.clear()
        with ExitStack() as hooks:
            for layer in self.layers:
                handle = layer.register_forward_hook(lambda *a: self.given.append(a[-1]))
                hooks.callback(handle.remove)
            return run(self.model, batch, None)

    @contextmanager
    def below(self, index: int) -> Iterator[None]:
        """Skip the layers below ``index`` within a ``with`` block."""
        with ExitStack() as patches:
            for layer, given in zip(self.layers[:index], self.given, strict=False):
                patches.enter_context(computing(layer, lambda *_, given=given, **__: given))
            yield


@contextmanager
def _cut_to(module: nn.Module, solutions: NestedSolutions, width: int) -> Iterator[None]:
    there: Any = module.weight
    weight, bias = (part.to(there.device) for part in solutions.solve(width))
    kept = torch.tensor(solutions.kept(width), dtype=torch.long, device=weight.device)
    columns = (kept[:, None] * solutions.size + torch.arange(solutions.size).to(kept)).flatten()
    with computing(module, lambda x: functional.linear(x[..., columns], weight, bias)):
        yield


def _divergence(task: Task, dense: Tensor, logits: Tensor, batch: Batch) -> float:
    """Return the divergence from the dense logits, summed over samples and scored tokens."""
    apart = task.divergence(logits.double(), dense.double(), TEMPERATURE)
    return float(scored(apart[..., None], batch).sum())


def _on(solutions: NestedSolutions, device: torch.device) -> NestedSolutions:
    return NestedSolutions(**{name: value.to(device) for name, value in vars(solutions).items()})
