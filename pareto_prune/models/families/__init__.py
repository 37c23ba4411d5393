"""Model families: what is built alike, one file each, and what they say about a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pareto_prune.core.architecture import Architecture, LayerKind, LayerShape
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.registry import Registry
from pareto_prune.models.family import PREFIX, ModelFamily

if TYPE_CHECKING:
    from torch import nn
    from transformers import PreTrainedConfig, PreTrainedModel

RECORD = "pareto_prune"

_WHY_NOT = {
    "albert": ": all layers are one, and cannot lose different units",
    "t5": ": they decode, and their encoder is no classifier",
}
"""Why some types that look alike are not supported."""

families: Registry[ModelFamily] = Registry("model family", __name__)


def supported() -> dict[str, str]:
    """Return the name of the family of every supported ``model_type``."""
    return {
        model_type: name
        for name in families.names()
        for model_type in families.member(name).model_types  # type: ignore[attr-defined]
    }


def family_of(model: PreTrainedModel | PreTrainedConfig) -> ModelFamily:
    """Return the family of a model or configuration, dense or cut.

    Raises:
        UserError: no family holds its ``model_type``; names it and those that are supported.
    """
    config = getattr(model, "config", model)
    model_type = str(config.model_type).removeprefix(PREFIX)
    known = supported()
    if model_type not in known:
        why = _WHY_NOT.get(model_type, "")
        allowed = f"allowed: {', '.join(sorted(known))}"
        raise UserError(
            Problem("model", f"models of type {model_type!r} are not supported{why}", allowed)
        )
    return families.create(known[model_type])


def check(model: PreTrainedModel | PreTrainedConfig) -> None:
    """Check that a model can be pruned and trained here.

    Raises:
        UserError: its type is not supported, or its configuration lacks something.
    """
    problems = family_of(model).problems(getattr(model, "config", model))
    if problems:
        raise UserError(*problems)


def architecture(model: PreTrainedModel) -> Architecture:
    """Return the shape of a model, dense or cut.

    A cut model's configuration says which layers of the dense model were dropped; they stand
    with 0 heads and 0 neurons.
    """
    family, size, found = family_of(model), head_size(model.config), record(model)
    layers = family.layers(model)
    there = [_shape(family, layer, size) for layer in layers]
    return Architecture(
        hidden=int(model.config.hidden_size),
        head_size=size,
        layers=tuple(_with_dropped(there, found)),
        kinds=_kinds(family, layers) if found is None else _dense(found).kinds,
    )


def dense_architecture(model: PreTrainedModel) -> Architecture:
    """Return the shape that a model had before anything was cut from it."""
    found = record(model)
    return architecture(model) if found is None else _dense(found)


def record(model: PreTrainedModel | PreTrainedConfig) -> Mapping[str, Any] | None:
    """Return what surgery wrote into the configuration of a cut model; ``None`` if dense."""
    found: Mapping[str, Any] | None = getattr(getattr(model, "config", model), RECORD, None)
    return found


def head_size(config: PreTrainedConfig) -> int:
    """Return the dimensions of one attention head, which pruning never changes."""
    found = record(config)
    if found is not None:
        return int(found["dense"]["head_size"])
    return family_of(config).head_size(config)


def _shape(family: ModelFamily, layer: nn.Module, size: int) -> LayerShape:
    attention, ffn = family.sublayers(layer)
    return LayerShape(heads=attention.width // size, neurons=ffn.width)


def _dense(found: Mapping[str, Any]) -> Architecture:
    return Architecture.from_json(found["dense"])


def _kinds(family: ModelFamily, layers: list[nn.Module]) -> tuple[LayerKind, ...]:
    """Return the kind of every layer; nothing where all are BERT's."""
    kinds = tuple(family.kind(layer) for layer in layers)
    return () if set(kinds) <= {LayerKind()} else kinds


def _with_dropped(there: list[LayerShape], found: Mapping[str, Any] | None) -> list[LayerShape]:
    if found is None:
        return there
    left = iter(there)
    shapes = [LayerShape.from_json(shape) for shape in found["layers"]]
    return [shape if shape.dropped else next(left) for shape in shapes]
