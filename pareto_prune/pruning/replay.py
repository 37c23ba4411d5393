"""Replay of a model's sublayers: what a dense one held at each, a cut one run up to any of them.

::

    dense  ─► DenseTraces     what was read and written at every place, on the real tokens
    cut    ─► start ─► Ascent ─► run_to(module)     one batch, as far up as it was asked to go
                                 ▲
                 replaying_heads, replaying_neurons: what is known runs no second time
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from pareto_prune.inputs.batch import Batch
from pareto_prune.models.families import family_of
from pareto_prune.models.family import ModelFamily
from pareto_prune.models.layout import Sublayer, find
from pareto_prune.pruning import modeling_pruned

Place = tuple[int, str]
"""Where a tensor was seen: the layer, and the name of the point in it."""

READER: Place = (-1, "reader_in")
SUBLAYERS = ("attention", "ffn")


class DenseTraces:
    """What a dense model holds on the real tokens of some batches.

    The residual stream behind every sublayer and, with ``inputs``, what every sublayer and the
    reader of the last layer read. Kept as float16: 2 × layers × tokens × hidden × 2 bytes, twice
    that with ``inputs``.
    """

    def __init__(self, dense: PreTrainedModel, batches: Sequence[Batch], inputs: bool) -> None:
        self.inputs = inputs
        self._batches = [_trace(dense, batch, inputs) for batch in batches]

    def first(self, count: int) -> DenseTraces:
        """Return the traces of the first ``count`` batches; no copy."""
        fewer = copy.copy(self)
        fewer._batches = self._batches[:count]
        return fewer

    def of(self, place: Place, channels: Sequence[int] | None = None) -> list[Tensor]:
        """Return, for each batch, what is at ``place``: (real tokens, channels), float32."""
        kept = slice(None) if channels is None else torch.tensor(channels)
        return [batch[place][:, kept].float() for batch in self._batches]


def _trace(dense: PreTrainedModel, batch: Batch, inputs: bool) -> dict[Place, Tensor]:
    family, real = family_of(dense), batch["attention_mask"].bool()
    layers, seen = family.layers(dense), dict[Place, Tensor]()
    handles = [handle for i, layer in enumerate(layers) for handle in _taps(family, layer, i, seen)]
    reader = modeling_pruned.reader_of(dense, family.paths.to_json())
    if reader is not None:
        handles.append(reader.register_forward_pre_hook(_note_input(seen, READER)))
    with _hooked(*handles):
        dense(**_without_labels(batch))
    kept = dict[Place, Tensor]()
    for i in range(len(layers)):
        for name in SUBLAYERS:
            kept[i, f"{name}_out"] = seen[i, f"{name}_residual"] + seen[i, name]
    if inputs:
        kept |= {place: seen[place] for place in seen if place[1].endswith("_in")}
    return {place: real_rows(tensor, real).half() for place, tensor in kept.items()}


def _taps(
    family: ModelFamily, layer: nn.Module, index: int, seen: dict[Place, Tensor]
) -> Iterator[Any]:
    """Hook one layer of a dense model so that what it reads and writes is noted."""
    for name, sublayer in zip(SUBLAYERS, family.sublayers(layer), strict=True):
        residual, reader, output = sublayer.residual, sublayer.reader, sublayer.output
        yield residual.register_forward_pre_hook(_note_input(seen, (index, f"{name}_residual")))
        yield reader.register_forward_pre_hook(_note_input(seen, (index, f"{name}_in")))
        yield output.register_forward_hook(_note_output(seen, (index, name)))


def input_of(model: PreTrainedModel, module: nn.Module, batch: Batch) -> Tensor:
    """Return what ``module`` of a model reads on a batch."""
    seen: dict[Place, Tensor] = {}
    with _hooked(module.register_forward_pre_hook(_note_input(seen, READER))):
        model(**_without_labels(batch))
    return seen[READER]


def real_rows(tensor: Tensor, real: Tensor) -> Tensor:
    """Return a (batch, tokens, ·) tensor at real tokens; one row an example is left as it is."""
    return tensor[real] if tensor.ndim == 3 else tensor


@dataclass
class _Latest:
    """The last dense model and its traces: a process repairs many models against one."""

    dense: weakref.ref[PreTrainedModel]
    versions: list[int]
    batches: Sequence[Batch]
    traces: DenseTraces

    def serves(self, dense: PreTrainedModel, batches: Sequence[Batch], inputs: bool) -> bool:
        """Whether these are the traces of this model, unchanged, on these batches and more."""
        return (
            self.versions == _versions(dense)
            and self.dense() is dense
            and self.traces.inputs >= inputs
            and len(self.batches) >= len(batches)
            and all(
                torch.equal(a[key], b[key])
                for a, b in zip(self.batches, batches, strict=False)
                for key in ("input_ids", "attention_mask")
            )
        )


_latest: list[_Latest] = []


def dense_traces(dense: PreTrainedModel, batches: Sequence[Batch], inputs: bool) -> DenseTraces:
    """Return the traces of a dense model: those made last, if they serve."""
    if not (_latest and _latest[0].serves(dense, batches, inputs)):
        _latest.clear()
        traces = DenseTraces(dense, batches, inputs)
        gone = weakref.ref(dense, lambda _: _latest.clear())
        _latest.append(_Latest(gone, _versions(dense), batches, traces))
    return _latest[0].traces.first(len(batches))


def _versions(model: nn.Module) -> list[int]:
    return [parameter._version for parameter in model.parameters()]


@dataclass
class Ascent:
    """One batch on its way through the layers: where it is, and what each layer is given beside.

    ``hidden``: (batch, tokens, hidden); ``given``: arguments after it, which alternate where the
    kind of attention does; ``real``: (batch, tokens), false for padding; ``behind``: what works on
    the stream between a layer and the next.
    """

    hidden: Tensor
    given: dict[nn.Module, tuple[tuple[Any, ...], dict[str, Any]]]
    real: Tensor
    behind: dict[nn.Module, Callable[[Tensor], Tensor]] = field(default_factory=dict)

    def through(self, layer: nn.Module) -> Tensor:
        """Return what ``layer`` makes of the hidden states, as the next one reads it."""
        args, kwargs = self.given[layer]
        output: Any = layer(self.hidden, *args, **kwargs)
        found: Tensor = output[0] if isinstance(output, tuple) else output
        return self.behind[layer](found) if layer in self.behind else found


class _Reached(Exception):  # noqa: N818
    """Ends a forward pass where it has given what was asked for."""


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Keep a model in eval mode for a ``with`` block."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def start(model: PreTrainedModel, family: ModelFamily, batch: Batch) -> Ascent:
    """Run a batch up to the first layer and note what every layer would be called with."""
    layers, real = family.layers(model), batch["attention_mask"].bool()
    ascent = Ascent(torch.empty(0), {}, real)

    def skip(layer: nn.Module, hidden: Tensor, *args: Any, **kwargs: Any) -> Any:
        # a key-value cache would remember the calls of earlier passes
        others = tuple(None if isinstance(value, Cache) else value for value in args)
        named = {k: None if isinstance(v, Cache) else v for k, v in kwargs.items()}
        ascent.hidden, ascent.given[layer] = hidden, (others, named)
        if layer is layers[-1]:
            raise _Reached
        return (hidden, None) if family.gives_tuples else hidden

    def mix(module: nn.Module, below: Tensor, stream: Tensor, *others: Any) -> Tensor:
        if not ascent.given:  # the first layer is gone: this is below all that are there
            mixed: Tensor = type(module).forward(module, below, stream, *others)
            return mixed
        ascent.behind[layers[0]] = lambda x: module(below, x, *others)
        return stream

    mixer = find(model.base_model, family.paths.mixer)
    with ExitStack() as patches, suppress(_Reached):
        if mixer is not None:
            patches.enter_context(computing(mixer, partial(mix, mixer)))
        for layer in layers:
            patches.enter_context(computing(layer, partial(skip, layer)))
        model(**_without_labels(batch))
    return ascent


@contextmanager
def computing(module: nn.Module, function: Any) -> Iterator[None]:
    """Let a module compute ``function`` within a ``with`` block."""
    module.forward = function
    try:
        yield
    finally:
        del module.forward


def _without_labels(batch: Batch) -> dict[str, Tensor]:
    return {key: value for key, value in batch.items() if key != "labels"}


def run_to(
    layer: nn.Module, student: Ascent, module: nn.Module, residual: nn.Module
) -> tuple[Tensor, Tensor]:
    """Run a batch up to ``module``; return its input and the first input of ``residual``."""
    seen: dict[str, Tensor] = {}

    def stop(_: nn.Module, args: tuple[Any, ...]) -> None:
        seen["features"] = args[0]
        raise _Reached

    handles = (
        residual.register_forward_pre_hook(_note_input(seen, "residual")),
        module.register_forward_pre_hook(stop),
    )
    with _hooked(*handles), suppress(_Reached):
        student.through(layer)
    return seen["features"], seen["residual"]


class _Known(nn.Module):
    """Stands in for modules whose result is known; gives it to what comes behind them."""

    def __init__(self, value: Tensor, tail: Sequence[nn.Module] = ()) -> None:
        super().__init__()
        self.value, self.tail = value, tail

    def forward(self, *_: Any, **__: Any) -> Tensor:
        value = self.value
        for module in self.tail:
            value = module(value)
        return value


class _KnownAttention(_Known):
    def forward(self, *_: Any, **__: Any) -> Any:
        return super().forward(), None


def replaying_heads(sublayer: Sublayer, features: Tensor) -> AbstractContextManager[None]:
    """Let the attention of a layer give known inputs to ``W_o`` within a ``with`` block."""
    return _replaying(sublayer, features, _KnownAttention)


def replaying_neurons(sublayer: Sublayer, features: Tensor) -> AbstractContextManager[None]:
    """Let the FFN of a layer give known inputs to ``W_2`` within a ``with`` block."""
    return _replaying(sublayer, features, _Known)


@contextmanager
def _replaying(sublayer: Sublayer, features: Tensor, known: type[_Known]) -> Iterator[None]:
    layer, path = sublayer.layer, sublayer.paths.module
    module = layer.get_submodule(path)
    tail = [module.get_submodule(name) for name in sublayer.paths.tail]
    layer.set_submodule(path, known(features, tail))
    try:
        yield
    finally:
        layer.set_submodule(path, module)


@contextmanager
def _hooked(*handles: Any) -> Iterator[None]:
    with ExitStack() as stack:
        for handle in handles:
            stack.callback(handle.remove)
        yield


def _note_output(seen: dict[Any, Tensor], name: Any) -> Any:
    def hook(_: nn.Module, __: Any, output: Tensor) -> None:
        seen[name] = output

    return hook


def _note_input(seen: dict[Any, Tensor], name: Any) -> Any:
    def hook(_: nn.Module, args: tuple[Any, ...]) -> None:
        seen[name] = args[0]

    return hook
