"""Where a model keeps what can be cut: as paths, which survive JSON, and as what they lead to."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
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
        beside: projections with the outputs of one input each, which read tables that all layers
            share (``Paths.tables``); a layer may lack them.
        vectors: parameters with an entry for each feature: biases kept apart from their input.
        interleaved: whether a fused matrix holds q, k and v of the first unit, then of the next.
        shared_table: where that tensor comes from, with a column for each head, below the base
            model; "" if there is none.
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
    beside: tuple[str, ...] = ()
    vectors: tuple[str, ...] = ()
    interleaved: bool = False
    shared_table: str = ""


@dataclass(frozen=True)
class Paths:
    """Where a family keeps what can be cut, as dotted paths; survives JSON.

    Attributes:
        layers: the ``ModuleList`` of layers, below the base model.
        attention: where heads live.
        ffn: where neurons live.
        activation: what stands between ``W_1`` and ``W_2``, below a layer.
        embeddings: tables of hidden width, below the base model; a model may lack some.
        embedding_norms: norms over them.
        projection: a projection from narrower embeddings to the hidden width; where a model has
            it, it writes the hidden channels and the embeddings are left alone.
        projects_first: whether the norms over the embeddings stand behind the projection.
        final_norms: norms behind the last layer, below the base model.
        readers: what reads the hidden channels behind the last layer, below the model or the
            base model; the first that is there does.
        tables: tables of hidden width that all layers read beside the stream, below the base
            model, as what follows; a model may lack them.
        table_norms: norms over them.
        mixer: what mixes neighbouring tokens behind the first layer: it is called with the stream
            below that layer and behind it, and returns what the next one reads.
        mixer_maps: what of it reads and writes hidden channels.
        mixer_norms: its norms.
        first_stays: whether the model computes at the place of its first layer: a stand-in keeps
            that place where the layer is dropped.
        pooled_norm: the norm of what a reader writes, below the model; "" if there is none.
        finals: the last projection, below the model; the first that is there is it. Where it is
            not the reader, it reads what the reader writes: as many pooled units as there are
            hidden channels.
    """

    layers: str
    attention: SublayerPaths
    ffn: SublayerPaths
    activation: str
    embeddings: tuple[str, ...]
    embedding_norms: tuple[str, ...]
    readers: tuple[str, ...]
    projection: str = ""
    projects_first: bool = False
    final_norms: tuple[str, ...] = ()
    tables: tuple[str, ...] = ()
    table_norms: tuple[str, ...] = ()
    mixer: str = ""
    mixer_maps: tuple[str, ...] = ()
    mixer_norms: tuple[str, ...] = ()
    first_stays: bool = False
    pooled_norm: str = ""
    finals: tuple[str, ...] = ("classifier.out_proj", "classifier", "score")

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
        return present(self.layer, self.paths.inputs)

    @property
    def reader(self) -> nn.Module:
        """The last of its inputs, v or ``W_1`` or a gate: it reads the stream alone."""
        return self.inputs[-1]

    @property
    def beside(self) -> list[nn.Module]:
        """The projections of its units that read what all layers share."""
        return present(self.layer, self.paths.beside)

    @property
    def vectors(self) -> list[Tensor]:
        """Biases that stand apart from their projection, each (width,); none without a unit."""
        if not self.inputs:
            return []
        return [self.layer.get_parameter(path) for path in self.paths.vectors]

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

        if self.paths.interleaved:
            return [block for part in self.inputs for block in self._apart(weight(part))]
        return [block for part in self.inputs for block in torch.split(weight(part), self.width)]

    def _apart(self, fused: Tensor) -> list[Tensor]:
        owner, _, name = self.paths.counts[0].rpartition(".")
        units, blocks = getattr(self.layer.get_submodule(owner), name), len(fused) // self.width
        split = fused.view(units, blocks, -1, fused.shape[1])
        return [block.flatten(0, 1) for block in split.unbind(1)]


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


def present(module: nn.Module, paths: Iterable[str]) -> list[nn.Module]:
    """Return the modules at ``paths`` below ``module`` that are there."""
    return [part for path in paths if (part := find(module, path)) is not None]


def find(module: nn.Module, path: str) -> nn.Module | None:
    """Return the module at ``path`` below ``module``; ``None`` if there is none."""
    found: Any = module
    for name in path.split("."):
        found = getattr(found, name, None)
    return found
