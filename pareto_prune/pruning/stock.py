"""What stock classes of transformers hold: shapes that a configuration alone can state.

All layers that stay are alike, each finds what it had at its new place, and the configuration can
state heads, neurons and hidden channels together. Folders of such models are plain checkpoints.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pareto_prune.core.architecture import Architecture
from pareto_prune.models.families import dense_architecture, family_of
from pareto_prune.pruning import modeling_pruned
from pareto_prune.pruning.even import EvenShapes
from pareto_prune.pruning.plan import LayerPlan, PruningPlan

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedModel

    from pareto_prune.models.family import ModelFamily


def is_plain(model: PreTrainedModel) -> bool:
    """Whether the class of a model, dense or cut, is one of transformers."""
    return not type(model).__name__.startswith("Pruned")


def own_table(found: Mapping[str, Any]) -> str:
    """Return where what all layers share has lost heads, by a cut model's record; "" if nowhere.

    Records of earlier versions know of no such thing, the first ones not even of sublayers.
    """
    attention = found["paths"]["attention"]
    return str(attention.get("shared_table", "")) if isinstance(attention, Mapping) else ""


def even_shapes(model: PreTrainedModel) -> EvenShapes:
    """Return the shapes of a dense model's layers and channels that its stock class holds."""
    family, dense = family_of(model), dense_architecture(model)
    full, layers = dense.layers[0], len(dense.layers)
    sizes = {
        heads: family.stock_sizes(model, heads, full.neurons, dense.head_size)
        for heads in range(1, full.heads + 1)
    }
    return EvenShapes(
        dense=dense,
        places=tuple(family.places(model.config, layers)),
        hidden={heads: said["hidden_size"] for heads, said in sizes.items() if said},
        shares_heads=bool(family.paths.attention.shared),
    )


def stock_sizes(model: PreTrainedModel, plan: PruningPlan) -> dict[str, Any] | None:
    """Return what a stock configuration says besides once a model is cut by a plan.

    Empty where at most whole layers go; ``None`` where no stock class holds what is left.
    """
    family, dense = family_of(model), dense_architecture(model)
    kept = [index for index, layer in enumerate(plan.layers) if not layer.dropped]
    places = family.places(model.config, len(plan.layers))
    if family.paths.first_stays and not kept:
        return None
    if not is_plain(model) or [places[i] for i in kept] != list(places[: len(kept)]):
        return None
    if plan.pooled is None and _whole(plan, dense):
        return {}
    return _narrower(model, family, [plan.layers[index] for index in kept], plan)


def pooled_scores(model: PreTrainedModel) -> Tensor | None:
    """Return how much the last projection makes of every pooled unit, shape (hidden,).

    The norm of its weights less their mean over the classes, which moves no prediction. ``None``
    where the last projection reads the hidden channels.
    """
    paths = family_of(model).paths.to_json()
    reader, final = modeling_pruned.reader_of(model, paths), modeling_pruned.final_of(model, paths)
    if reader is None or reader is final:
        return None
    weight = (reader.weight.T if final is None else final.weight).detach()
    return (weight - weight.mean(0) if final is not None else weight).norm(dim=0).cpu()


def _whole(plan: PruningPlan, dense: Architecture) -> bool:
    """Whether at most whole layers go."""
    shape = plan.architecture(dense)
    pairs = zip(shape.layers, dense.layers, strict=True)
    return shape.hidden == dense.hidden and all(now.dropped or now == full for now, full in pairs)


def _narrower(
    model: PreTrainedModel, family: ModelFamily, kept: list[LayerPlan], plan: PruningPlan
) -> dict[str, Any] | None:
    dense = dense_architecture(model)
    widths = {(len(layer.heads), len(layer.neurons)) for layer in kept}
    if len(widths) != 1 or 0 in next(iter(widths)):
        return None
    heads, neurons = next(iter(widths))
    if family.paths.attention.shared and len({layer.heads for layer in kept}) != 1:
        return None
    sizes = family.stock_sizes(model, heads, neurons, dense.head_size)
    hidden = plan.architecture(dense).hidden
    if sizes is None or {hidden, _pooled(model, plan, hidden)} != {sizes["hidden_size"]}:
        return None
    return {name: value for name, value in sizes.items() if name != "hidden_size"}


def _pooled(model: PreTrainedModel, plan: PruningPlan, hidden: int) -> int:
    """Return how many pooled units stay; where there are none, as many as hidden channels."""
    if pooled_scores(model) is None:
        return hidden
    return dense_architecture(model).hidden if plan.pooled is None else len(plan.pooled)
