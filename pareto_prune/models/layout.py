"""Where a model keeps what can be cut: as paths, which survive JSON, and as what they lead to."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import Tensor, nn


@dataclass(frozen=True)
class SublayerPaths:
    """Where the units of a sublayer live, as dotted paths below a layer.

    Attributes:
        module: what stands in for the whole sublayer where no unit stays.
        tail: what of it still runs then, in order, below ``module``.
        inputs: what makes the units of the residual stream: q, k and v, or ``W_1``; in a gated
            FFN the half that is activated, then the other one. Where they are fused in one
            matrix, one stands above the other.
        output: what writes the units into the stream: ``W_o`` or ``W_2``.
        norm: its norm, before or behind it; a layer may lack it.
        residual: the module whose first input is what the output is added to; "" is the layer.
        counts: attributes that hold the number of units.
        widths: attributes that hold units × features of one.
        shared: the argument of ``module`` that is one tensor for all layers, with an entry for
            each head of a dense one in its second dimension; "" if there is none.
    """

    module: str
    tail: tuple[str, ...]
    inputs: tuple[str, ...]
    output: str
    norm: str
    residual: str = ""
    counts: tuple[str, ...] = ()
    widths: tuple[str, ...] = ()
    shared: str = ""


@dataclass(frozen=True)
class Paths:
    """Where a family keeps what can be cut, as dotted paths; survives JSON.

    Attributes:
        layers: the ``ModuleList`` of layers, below the base model.
        attention: where heads live.
        ffn: where neurons live.
        activation: what stands between ``W_1`` and ``W_2``, below a layer.
        embeddings: tables of hidden width, below the base model.
        embedding_norms: norms over them.
        projection: a projection from narrower embeddings to the hidden width; where a model has
            it, it writes the hidden channels and the embeddings are left alone.
        final_norms: norms behind the last layer, below the base model.
        readers: what reads the hidden channels behind the last layer, below the model or the
            base model; the first that is there does.
    """

    layers: str
    attention: SublayerPaths
    ffn: SublayerPaths
    activation: str
    embeddings: tuple[str, ...]
    embedding_norms: tuple[str, ...]
    readers: tuple[str, ...]
    projection: str = ""
    final_norms: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types."""
        plain: dict[str, Any] = json.loads(json.dumps(dataclasses.asdict(self)))
        return plain


@dataclass(frozen=True, eq=False)
class Sublayer:
    """The attention or the FFN of one layer, dense or cut."""

    paths: SublayerPaths
    layer: nn.Module

    @property
    def inputs(self) -> list[nn.Module]:
        """The projections that make its units; none where no unit stays."""
        return [part for path in self.paths.inputs if (part := find(self.layer, path)) is not None]

    @property
    def output(self) -> nn.Module:
        """``W_o`` or ``W_2``, or the bias that is left of it."""
        return self.layer.get_submodule(self.paths.output)

    @property
    def norm(self) -> nn.Module | None:
        """Its norm, if it has one."""
        norm = find(self.layer, self.paths.norm)
        return norm if hasattr(norm, "weight") else None

    @property
    def residual(self) -> nn.Module:
        """The module whose first input is what the output is added to."""
        return self.layer.get_submodule(self.paths.residual)

    @property
    def width(self) -> int:
        """Features of all its units together."""
        return int(weight(self.output).shape[1])

    def blocks(self) -> list[Tensor]:
        """Return the weights of q, k and v, or of ``W_1`` and the gate, each (width, in)."""
        import torch

        return [block for part in self.inputs for block in torch.split(weight(part), self.width)]


def weight(module: nn.Module) -> Tensor:
    """Return the weight of a projection as an (out, in) view.

    Works for ``nn.Linear`` and for ``Conv1D``, which keeps its transpose. Where only the bias, or
    not even that, is left of a projection, there is no column.
    """
    found: Tensor | None = getattr(module, "weight", None)
    if found is None:
        import torch

        left: Any = module
        return (
            torch.zeros(left.width, 0)
            if left.bias is None
            else left.bias.new_zeros((left.width, 0))
        )
    return found.T if type(module).__name__ == "Conv1D" else found


def find(module: nn.Module, path: str) -> nn.Module | None:
    """Return the module at ``path`` below ``module``; ``None`` if there is none."""
    found: Any = module
    for name in path.split("."):
        found = getattr(found, name, None)
    return found
