"""Model families: where heads, neurons, layers and hidden channels live. One file each.

A family says it as data: paths of modules below a layer, below the base model or below the whole
model. Surgery, calibration and export read these paths and know no family by name.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pareto_prune.core.architecture import Architecture, LayerShape
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.registry import Registry

if TYPE_CHECKING:
    from torch import Tensor, nn
    from transformers import PreTrainedConfig, PreTrainedModel

RECORD = "pareto_prune"
PREFIX = "pruned_"


@dataclass(frozen=True)
class Paths:
    """Where a family keeps what can be cut, as dotted paths; survives JSON.

    Attributes:
        layers: the ``ModuleList`` of layers, below the base model.
        attention: what stands in for the whole attention where no head stays, below a layer.
        attention_tail: what of it still runs then, in order, below ``attention``.
        heads_in: q, k and v; one path where they are fused, q above k above v.
        heads_out: ``W_o``.
        head_counts: attributes that hold the number of heads.
        head_widths: attributes that hold heads × head size.
        neurons_in: ``W_1``.
        activation: what stands between ``W_1`` and ``W_2``.
        neurons_out: ``W_2``.
        neurons_residual: the module whose first input is what the output of ``W_2`` is added to.
        norms: LayerNorms of a layer.
        embeddings: tables of hidden width, below the base model.
        embedding_norms: LayerNorms over them.
        projection: a projection from narrower embeddings to the hidden width; where a model has
            it, it writes the hidden channels and the embeddings are left alone.
        final_norms: LayerNorms behind the last layer, below the base model.
        readers: what reads the hidden channels behind the last layer, below the model or the
            base model; the first that is there does.
    """

    layers: str
    attention: str
    attention_tail: tuple[str, ...]
    heads_in: tuple[str, ...]
    heads_out: str
    head_counts: tuple[str, ...]
    head_widths: tuple[str, ...]
    neurons_in: str
    activation: str
    neurons_out: str
    neurons_residual: str
    norms: tuple[str, ...]
    embeddings: tuple[str, ...]
    embedding_norms: tuple[str, ...]
    projection: str
    final_norms: tuple[str, ...]
    readers: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in dataclasses.asdict(self).items()
        }


@dataclass(frozen=True)
class ModelFamily:
    """What is built alike. A member sets ``model_types`` and ``paths``.

    Attributes:
        model_types: values of ``config.model_type`` that are built this way.
        paths: where its parts live.
    """

    model_types: ClassVar[tuple[str, ...]]
    paths: ClassVar[Paths]

    def layers(self, model: PreTrainedModel) -> list[nn.Module]:
        """Return the layers that are there, bottom up; dropped ones are not among them."""
        return list(model.base_model.get_submodule(self.paths.layers).children())

    def heads_in(self, layer: nn.Module) -> list[nn.Module]:
        """Return q, k and v, or the one projection that fuses them; none where no head stays."""
        return [part for path in self.paths.heads_in if (part := find(layer, path)) is not None]

    def heads_out(self, layer: nn.Module) -> nn.Module:
        """Return ``W_o``, or the bias that is left of it."""
        return layer.get_submodule(self.paths.heads_out)

    def neurons_in(self, layer: nn.Module) -> nn.Module:
        """Return ``W_1``, or an identity where no neuron stays."""
        return layer.get_submodule(self.paths.neurons_in)

    def neurons_out(self, layer: nn.Module) -> nn.Module:
        """Return ``W_2``, or the bias that is left of it."""
        return layer.get_submodule(self.paths.neurons_out)

    def norms(self, layer: nn.Module) -> list[nn.Module]:
        """Return the LayerNorms of a layer."""
        return [layer.get_submodule(path) for path in self.paths.norms]

    def qkv(self, layer: nn.Module) -> list[Tensor]:
        """Return the weights of q, k and v as (out, in) views; none where no head stays."""
        weights = [weight(part) for part in self.heads_in(layer)]
        return list(weights[0].chunk(3)) if len(weights) == 1 else weights

    def most_tokens(self, config: PreTrainedConfig) -> int | None:
        """Return the length of the longest sequence that there are positions for; None: any."""
        return int(config.max_position_embeddings)

    def problems(self, config: PreTrainedConfig) -> list[Problem]:  # noqa: ARG002
        """Return what keeps a model with this configuration from the tasks of this package."""
        return []


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
        allowed = f"allowed: {', '.join(sorted(known))}"
        raise UserError(
            Problem("model", f"models of type {model_type!r} are not supported", allowed)
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
    family, size = family_of(model), head_size(model.config)
    there = [_shape(family, layer, size) for layer in family.layers(model)]
    hidden = int(model.config.hidden_size)
    shapes = tuple(_with_dropped(there, record(model)))
    return Architecture(hidden=hidden, head_size=size, layers=shapes)


def dense_architecture(model: PreTrainedModel) -> Architecture:
    """Return the shape that a model had before anything was cut from it."""
    found = record(model)
    return architecture(model) if found is None else Architecture.from_json(found["dense"])


def record(model: PreTrainedModel | PreTrainedConfig) -> Mapping[str, Any] | None:
    """Return what surgery wrote into the configuration of a cut model; ``None`` if dense."""
    found: Mapping[str, Any] | None = getattr(getattr(model, "config", model), RECORD, None)
    return found


def head_size(config: PreTrainedConfig) -> int:
    """Return the dimensions of one attention head, which pruning never changes."""
    found = record(config)
    if found is not None:
        return int(found["dense"]["head_size"])
    return int(config.hidden_size) // int(config.num_attention_heads)


def weight(module: nn.Module) -> Tensor:
    """Return the weight of a projection as an (out, in) view.

    Works for ``nn.Linear`` and for ``Conv1D``, which keeps its transpose. Where only the bias is
    left of a projection the view has no column.
    """
    found: Tensor | None = getattr(module, "weight", None)
    if found is None:
        bias: Any = module.bias
        return bias.new_zeros((bias.shape[0], 0))
    return found.T if type(module).__name__ == "Conv1D" else found


def find(module: nn.Module, path: str) -> nn.Module | None:
    """Return the module at ``path`` below ``module``; ``None`` if there is none."""
    found: Any = module
    for name in path.split("."):
        found = getattr(found, name, None)
    return found


def _shape(family: ModelFamily, layer: nn.Module, size: int) -> LayerShape:
    heads = weight(family.heads_out(layer)).shape[1] // size
    return LayerShape(heads=heads, neurons=weight(family.neurons_out(layer)).shape[1])


def _with_dropped(there: list[LayerShape], found: Mapping[str, Any] | None) -> list[LayerShape]:
    if found is None:
        return there
    left = iter(there)
    shapes = [LayerShape.from_json(shape) for shape in found["layers"]]
    return [shape if shape.dropped else next(left) for shape in shapes]
