"""From scores to the units that stay: counts, widths, thresholds. Pure functions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.core.errors import TrialError
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.scores import UnitScores

if TYPE_CHECKING:
    from torch import Tensor

CHANNEL_MULTIPLE = 8


def neuron_multiple(dense: Architecture) -> int:
    """Return what FFN widths are rounded to: 32, in models narrower than 256 neurons 8."""
    return _multiple(max((layer.neurons for layer in dense.layers), default=0))


def _multiple(neurons: int) -> int:
    return 32 if neurons >= 256 else 8


def rounded(count: int, total: int, multiple: int) -> int:
    """Return the width nearest to ``count`` that the hardware likes.

    That is a multiple of ``multiple`` or ``total`` itself; 0 only for 0, which drops a sublayer.
    """
    if count in (0, total):
        return count
    nearest = max(multiple, round(count / multiple) * multiple)
    return min(nearest, total)


def kept_count(total: int, sparsity: float, multiple: int = 1) -> int:
    """Return how many of ``total`` units stay when the share ``sparsity`` is removed."""
    return rounded(round((1.0 - sparsity) * total), total, multiple)


def strongest(scores: Tensor, count: int) -> list[int]:
    """Return the indices of the ``count`` highest scores, ascending; ties go to the lower index.

    ``scores`` has shape (units,).
    """
    order = scores.argsort(descending=True, stable=True)
    return sorted(order[:count].tolist())


def check_finite(scores: UnitScores) -> None:
    """Raise ``TrialError`` where a score is not a finite number, as weights that are not make."""
    for kind, tensors in (("head", scores.heads), ("neuron", scores.neurons)):
        for layer, tensor in enumerate(tensors):
            if not bool(tensor.isfinite().all()):
                reason = f"layer {layer}: a {kind} has a score that is not finite"
                raise TrialError("not_finite", reason)


def check_finite_channels(scores: Tensor) -> None:
    """Raise ``TrialError`` where the score of a hidden channel is not a finite number."""
    if not bool(scores.isfinite().all()):
        raise TrialError("not_finite", "a hidden channel has a score that is not finite")


def check_something_left(plan: PruningPlan) -> None:
    """Raise ``TrialError`` where a plan drops every layer."""
    if all(layer.dropped for layer in plan.layers):
        raise TrialError("nothing_left", "the candidate removes every head and every neuron")


def check_sublayers(sublayers: Sequence[float], layers: int) -> None:
    """Raise ``TrialError`` where a candidate has not one number in [0, 1] for every sublayer."""
    if len(sublayers) != 2 * layers:
        reason = f"{len(sublayers)} numbers for {2 * layers} sublayers"
        raise TrialError("bad_candidate", reason)
    wrong = [share for share in sublayers if not 0.0 <= share <= 1.0]
    if wrong:
        raise TrialError("bad_candidate", f"sparsity {wrong[0]} is not in [0, 1]")


def shape_by_sparsity(
    dense: Architecture, sublayers: Sequence[float], round_widths: bool
) -> Architecture:
    """Return the widths that :func:`plan_by_sparsity` keeps.

    Raises:
        TrialError: the numbers do not fit.
    """
    check_sublayers(sublayers, len(dense.layers))
    layers = tuple(
        LayerShape(
            heads=kept_count(full.heads, sublayers[2 * index]),
            neurons=_kept_neurons(full.neurons, sublayers[2 * index + 1], round_widths),
        )
        for index, full in enumerate(dense.layers)
    )
    return dense.model_copy(update={"layers": layers})


def plan_by_sparsity(
    scores: UnitScores, sublayers: Sequence[float], round_widths: bool
) -> PruningPlan:
    """Return the plan that removes from every sublayer its share of units, weakest first.

    Args:
        scores: importance of every unit.
        sublayers: sparsity of each sublayer, attention before FFN, bottom up.
        round_widths: whether FFN widths are rounded to what the hardware likes.

    Raises:
        TrialError: a score is not finite, the numbers do not fit, or nothing would be left.
    """
    check_finite(scores)
    check_sublayers(sublayers, len(scores.heads))
    return _plan(
        (
            strongest(heads, kept_count(len(heads), sublayers[2 * layer])),
            _strongest_neurons(neurons, sublayers[2 * layer + 1], round_widths),
        )
        for layer, (heads, neurons) in enumerate(zip(scores.heads, scores.neurons, strict=True))
    )


def plan_by_threshold(scores: UnitScores, threshold: float, round_widths: bool) -> PruningPlan:
    """Return the plan that removes every unit whose :func:`normalised` score is below a threshold.

    One threshold for the whole model, so layers keep unlike shares and sublayers may go.

    Raises:
        TrialError: a score is not finite, or nothing would be left.
    """
    check_finite(scores)
    return _plan(
        (_above(heads, threshold, 1), _above(neurons, threshold, _step(len(neurons), round_widths)))
        for heads, neurons in zip(normalised(scores.heads), normalised(scores.neurons), strict=True)
    )


def above_threshold(scores: UnitScores, threshold: float) -> tuple[list[int], list[int]]:
    """Return how many heads and neurons of every layer are not below a threshold."""
    kinds = (normalised(scores.heads), normalised(scores.neurons))
    counts = ([int((layer >= threshold).sum()) for layer in kind] for kind in kinds)
    return next(counts), next(counts)


def normalised(scores: Sequence[Tensor]) -> list[Tensor]:
    """Return scores of one kind of unit as numbers in [0, 1] that compare across layers.

    Each layer is divided by the root mean square of its scores (Molchanov et al. 2017, section
    2.2), then all are stretched so that the weakest unit is 0 and the strongest 1. Units of one
    kind only: heads and neurons do not compare. Where all are equal, all are 1.
    """
    layers = [layer / layer.square().mean().sqrt().clamp_min(1e-30) for layer in scores]
    filled = [layer for layer in layers if len(layer)]
    if not filled:
        return layers
    low = min(float(layer.min()) for layer in filled)
    high = max(float(layer.max()) for layer in filled)
    if high - low <= 1e-6 * abs(high):
        return [layer.new_ones(len(layer)) for layer in layers]
    return [(layer - low) / (high - low) for layer in layers]


def _step(neurons: int, round_widths: bool) -> int:
    return _multiple(neurons) if round_widths else 1


def _kept_neurons(total: int, sparsity: float, round_widths: bool) -> int:
    return kept_count(total, sparsity, _step(total, round_widths))


def _strongest_neurons(scores: Tensor, sparsity: float, round_widths: bool) -> list[int]:
    return strongest(scores, _kept_neurons(len(scores), sparsity, round_widths))


def _above(scores: Tensor, threshold: float, multiple: int) -> list[int]:
    count = int((scores >= threshold).sum())
    return strongest(scores, rounded(count, len(scores), multiple))


def _plan(kept: Iterable[tuple[Sequence[int], Sequence[int]]]) -> PruningPlan:
    plan = PruningPlan.of(kept)
    check_something_left(plan)
    return plan
