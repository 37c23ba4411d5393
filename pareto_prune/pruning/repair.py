"""Repair by least squares: refit ``W_o`` and ``W_2`` of a cut model to its dense model, bottom up.

::

    dense    ─► attention ─► y ─► FFN ─► y ─► …     y: residual stream behind a sublayer
                             │           │
    cut      ─► attention ─► fit ─► FFN ─► fit ─►   W x + b ≈ y − what the stream already holds

What the cut model feeds each sublayer comes from its already repaired lower layers, so that the
fit sees the errors it will meet and takes them back (K-prune, Park et al. 2024, section 4.3; the
least squares of Kwon et al. 2022, section 4.4, over whole matrices in place of one scale a unit).

Where hidden channels are gone, what reads them is refitted first: the dense model's input is
regressed on the channels that stay, ``h ≈ M x + m``, and ``W h + w`` becomes ``W M x + W m + w``.
"""

from __future__ import annotations

import copy
import weakref
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel
from transformers.cache_utils import Cache

from pareto_prune.core.errors import TrialError
from pareto_prune.models.families import ModelFamily, architecture, family_of, head_size, weight
from pareto_prune.pruning import modeling_pruned
from pareto_prune.pruning.context import Batch
from pareto_prune.pruning.surgery import plan_of, present_layers

TOKENS = 20_000
RIDGE = 1e-2

Place = tuple[int, str]
"""Where a tensor was seen: the layer, and the name of the point in it."""

Rows = list[int] | slice
READER: Place = (-1, "reader_in")


def repair(
    model: PreTrainedModel,
    dense: PreTrainedModel,
    batches: Sequence[Batch],
    tokens: int = TOKENS,
    ridge: float = RIDGE,
) -> None:
    """Refit, in place, what every sublayer of a cut model writes into the residual stream.

    For each sublayer, bottom up, ``W`` and ``b`` minimise ``‖X Wᵀ + b − (Y − R)‖² + λ‖W − W₀‖²``
    over the tokens of the batches: X what the sublayer's units give, R the cut model's residual
    stream, Y the dense model's stream behind the same sublayer (on the channels that stay), W₀ the
    weights as they are, λ = ridge × mean diagonal of XᵀX. A sublayer without units fits its bias;
    a dropped layer leaves its work to the layers above. After a channel cut q, k, v, ``W_1`` and
    the reader of the last layer are made anew from the dense model's.

    Args:
        model: cut by :func:`pareto_prune.pruning.surgery.cut`.
        dense: the model it was cut from, unchanged, on the same device.
        batches: inputs with ``attention_mask``; further keys but ``labels`` are passed on.
        tokens: batches are taken until they hold this many.
        ridge: strength of the pull towards the present weights.

    Raises:
        TrialError: what a model computes is not finite, or the tokens are too few for no ridge.
    """
    taken = _up_to(batches, tokens)
    if not present_layers(model) or not taken:
        return
    with torch.no_grad(), _evaluating(model), _evaluating(dense):
        _Repair(model, dense, taken, ridge).run()


class _Repair:
    """One repair: a cut model, the dense one, and how far up every batch has come."""

    def __init__(
        self,
        model: PreTrainedModel,
        dense: PreTrainedModel,
        batches: Sequence[Batch],
        ridge: float,
    ) -> None:
        self.family, self.plan = family_of(dense), plan_of(model)
        self.model, self.dense, self.batches, self.ridge = model, dense, batches, ridge
        self.channels = self.plan.channels
        self.traces = _dense_traces(dense, batches, inputs=self.channels is not None)
        self.ascents = [_start(model, self.family, batch) for batch in batches]

    def run(self) -> None:
        """Repair every layer that is there and, after a channel cut, what reads the last one."""
        for index, layer in present_layers(self.model).items():
            heads = self._repair_attention(index, layer)
            neurons = self._repair_ffn(index, layer, heads)
            for ascent, of_heads, of_neurons in zip(self.ascents, heads, neurons, strict=True):
                with (
                    _replaying_heads(self.family, layer, of_heads),
                    _replaying_neurons(self.family, layer, of_neurons),
                ):
                    ascent.hidden = ascent.through(layer)
        if self.channels is not None:
            self._repair_reader()

    def _repair_attention(self, index: int, layer: nn.Module) -> list[Tensor]:
        """Refit the attention of a layer; return what its heads give for every batch."""
        family, w_o = self.family, self.family.heads_out(layer)
        q = family.heads_in(layer)
        if self.channels is not None and q:
            read = [_run_to(layer, ascent, q[0], layer)[0] for ascent in self.ascents]
            dense_q = family.heads_in(self._dense_layer(index))
            self._reread(q, dense_q, self._head_rows(index, len(q)), read, (index, "attention_in"))
        seen = [_run_to(layer, ascent, w_o, layer) for ascent in self.ascents]
        self._refit(w_o, seen, (index, "attention_out"))
        return [features for features, _ in seen]

    def _repair_ffn(self, index: int, layer: nn.Module, heads: Sequence[Tensor]) -> list[Tensor]:
        """Refit the FFN of a layer whose heads give this; return what its neurons give."""
        w_1, w_2 = self.family.neurons_in(layer), self.family.neurons_out(layer)
        neurons = self.plan.layers[index].neurons
        if self.channels is not None and neurons:
            read = [features for features, _ in self._behind_heads(layer, heads, w_1)]
            dense_w_1 = self.family.neurons_in(self._dense_layer(index))
            self._reread([w_1], [dense_w_1], list(neurons), read, (index, "ffn_in"))
        seen = self._behind_heads(layer, heads, w_2)
        self._refit(w_2, seen, (index, "ffn_out"))
        return [features for features, _ in seen]

    def _behind_heads(
        self, layer: nn.Module, heads: Sequence[Tensor], module: nn.Module
    ) -> list[tuple[Tensor, Tensor]]:
        middle, seen = layer.get_submodule(self.family.paths.neurons_residual), []
        for ascent, features in zip(self.ascents, heads, strict=True):
            with _replaying_heads(self.family, layer, features):
                seen.append(_run_to(layer, ascent, module, middle))
        return seen

    def _repair_reader(self) -> None:
        paths = self.family.paths.to_json()
        reader, dense_reader = (
            modeling_pruned.reader_of(model, paths) for model in (self.model, self.dense)
        )
        if reader is None or dense_reader is None:
            return
        read = [_input_of(self.model, reader, batch) for batch in self.batches]
        # it may read one token of a sentence: a tenth or less of the rows, so a stronger pull
        self._reread([reader], [dense_reader], slice(None), read, READER, 10 * self.ridge)

    def _dense_layer(self, index: int) -> nn.Module:
        return self.family.layers(self.dense)[index]

    def _head_rows(self, index: int, modules: int) -> list[int]:
        """Return the rows of the dense model's q, k or v, or of all three fused, that stay."""
        size = head_size(self.dense.config)
        width = architecture(self.dense).layers[index].heads * size
        rows = [h * size + i for h in self.plan.layers[index].heads for i in range(size)]
        return [part * width + row for part in range(3 // modules) for row in rows]

    def _reread(
        self,
        modules: Sequence[nn.Module],
        dense_modules: Sequence[nn.Module],
        rows: Rows,
        read: Sequence[Tensor],
        place: Place,
        ridge: float | None = None,
    ) -> None:
        """Let modules make of the channels that stay what the dense ones make of all."""
        wanted = self.traces.of(place)
        xs = [_rows(x, ascent.real) for x, ascent in zip(read, self.ascents, strict=True)]
        recovery = _recovery(xs, wanted, self.channels or (), ridge or self.ridge)
        for module, dense_module in zip(modules, dense_modules, strict=True):
            full = weight(dense_module)[rows].float()
            shift, bias = full @ recovery[-1], getattr(module, "bias", None)
            weight(module).copy_(full @ recovery[:-1].T)
            if bias is not None:
                bias.copy_(dense_module.bias[rows] + shift)  # type: ignore[index]

    def _refit(
        self, module: nn.Module, seen: Sequence[tuple[Tensor, Tensor]], place: Place
    ) -> None:
        _fit(module, seen, self.traces.of(place, self.channels), self.ascents, self.ridge)


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
        kept[i, "attention_out"] = seen[i, "before"] + seen[i, "attention"]
        kept[i, "ffn_out"] = seen[i, "middle"] + seen[i, "ffn"]
    if inputs:
        kept |= {place: seen[place] for place in seen if place[1].endswith("_in")}
    return {place: _rows(tensor, real).half() for place, tensor in kept.items()}


def _taps(
    family: ModelFamily, layer: nn.Module, index: int, seen: dict[Place, Tensor]
) -> Iterator[Any]:
    """Hook one layer of a dense model so that what it reads and writes is noted."""
    middle = layer.get_submodule(family.paths.neurons_residual)
    for module, name in (
        (layer, "before"),
        (family.heads_in(layer)[0], "attention_in"),
        (middle, "middle"),
        (family.neurons_in(layer), "ffn_in"),
    ):
        yield module.register_forward_pre_hook(_note_input(seen, (index, name)))
    yield family.heads_out(layer).register_forward_hook(_note_output(seen, (index, "attention")))
    yield family.neurons_out(layer).register_forward_hook(_note_output(seen, (index, "ffn")))


def _input_of(model: PreTrainedModel, module: nn.Module, batch: Batch) -> Tensor:
    seen: dict[Place, Tensor] = {}
    with _hooked(module.register_forward_pre_hook(_note_input(seen, READER))):
        model(**_without_labels(batch))
    return seen[READER]


def _rows(tensor: Tensor, real: Tensor) -> Tensor:
    """Return a (batch, tokens, ·) tensor at real tokens; one row an example is left as it is."""
    return tensor[real] if tensor.ndim == 3 else tensor


def _recovery(
    xs: Sequence[Tensor], wanted: Sequence[Tensor], channels: Sequence[int], ridge: float
) -> Tensor:
    """Return M and m, below it, of ``wanted ≈ x Mᵀ + m``, transposed: (kept + 1, hidden).

    The ridge pulls towards taking the channels that stay as they are and 0 for the others.
    """
    known = torch.zeros(len(channels) + 1, wanted[0].shape[1], device=wanted[0].device)
    known[torch.arange(len(channels)), torch.tensor(channels)] = 1.0
    gram = known.new_zeros(len(known), len(known), dtype=torch.float64)
    cross = known.new_zeros(known.shape, dtype=torch.float64)
    for x, target in zip(xs, wanted, strict=True):
        ones = torch.cat([x.float(), x.new_ones(len(x), 1).float()], dim=1)
        gram += ones.T @ ones
        cross += ones.T @ (target - ones @ known)
    return known + _solve(gram, cross, ridge).float()


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


def _dense_traces(dense: PreTrainedModel, batches: Sequence[Batch], inputs: bool) -> DenseTraces:
    if not (_latest and _latest[0].serves(dense, batches, inputs)):
        _latest.clear()
        traces = DenseTraces(dense, batches, inputs)
        gone = weakref.ref(dense, lambda _: _latest.clear())
        _latest.append(_Latest(gone, _versions(dense), batches, traces))
    return _latest[0].traces.first(len(batches))


def _versions(model: nn.Module) -> list[int]:
    return [parameter._version for parameter in model.parameters()]


@dataclass
class _Ascent:
    """One batch on its way through the layers: where it is, and what each layer is given beside.

    ``hidden``: (batch, tokens, hidden); ``real``: (batch, tokens), false for padding.
    """

    hidden: Tensor
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    real: Tensor

    def through(self, layer: nn.Module) -> Tensor:
        """Return what ``layer`` makes of the hidden states."""
        output: Tensor = layer(self.hidden, *self.args, **self.kwargs)
        return output


class _Reached(Exception):  # noqa: N818
    """Ends a forward pass where it has given what was asked for."""


def _up_to(batches: Sequence[Batch], tokens: int) -> list[Batch]:
    taken, seen = [], 0
    for batch in batches:
        if seen >= tokens:
            break
        seen += int(batch["attention_mask"].sum())
        taken.append(batch)
    return taken


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _start(model: PreTrainedModel, family: ModelFamily, batch: Batch) -> _Ascent:
    """Run a batch up to the first layer and return what that would be called with."""
    found: list[_Ascent] = []

    def stop(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        hidden, *rest = args
        # a key-value cache would remember the calls of earlier passes
        others = tuple(None if isinstance(value, Cache) else value for value in rest)
        named = {k: None if isinstance(v, Cache) else v for k, v in kwargs.items()}
        found.append(_Ascent(hidden, others, named, batch["attention_mask"].bool()))
        raise _Reached

    handle = family.layers(model)[0].register_forward_pre_hook(stop, with_kwargs=True)
    with _hooked(handle), suppress(_Reached):
        model(**_without_labels(batch))
    return found[0]


def _without_labels(batch: Batch) -> dict[str, Tensor]:
    return {key: value for key, value in batch.items() if key != "labels"}


def _run_to(
    layer: nn.Module, student: _Ascent, module: nn.Module, residual: nn.Module
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


@contextmanager
def _replaying_heads(family: ModelFamily, layer: nn.Module, features: Tensor) -> Iterator[None]:
    """Let the attention of a layer give known inputs to ``W_o``."""
    path = family.paths.attention
    attention = layer.get_submodule(path)
    tail = [attention.get_submodule(name) for name in family.paths.attention_tail]
    layer.set_submodule(path, _KnownAttention(features, tail))
    try:
        yield
    finally:
        layer.set_submodule(path, attention)


@contextmanager
def _replaying_neurons(family: ModelFamily, layer: nn.Module, features: Tensor) -> Iterator[None]:
    """Let the FFN of a layer give known inputs to ``W_2``."""
    paths = (family.paths.neurons_in, family.paths.activation)
    owners = [
        (layer.get_submodule(path.rpartition(".")[0]), path.rpartition(".")[2]) for path in paths
    ]
    before = [getattr(owner, name) for owner, name in owners]
    for (owner, name), module in zip(owners, (_Known(features), nn.Identity()), strict=True):
        setattr(owner, name, module)
    try:
        yield
    finally:
        for (owner, name), module in zip(owners, before, strict=True):
            setattr(owner, name, module)


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


def _fit(
    module: nn.Module,
    seen: Sequence[tuple[Tensor, Tensor]],
    targets: Sequence[Tensor],
    students: Sequence[_Ascent],
    ridge: float,
) -> None:
    """Change an output projection, in place, to the least squares over all batches.

    The sums are kept in float64; each batch's own share is multiplied in float32.

    Args:
        module: ``W_o`` or ``W_2``.
        seen: its input and the residual stream, (batch, tokens, ·), for each batch.
        targets: the stream that it should lead to, (real tokens, ·), for each batch.
        students: say which tokens are real.
        ridge: see :func:`repair`.
    """
    outputs, inputs = weight(module).shape
    bias: Any = module.bias
    size = inputs + 1  # a column of ones fits the bias
    gram = torch.zeros(size, size, dtype=torch.float64, device=targets[0].device)
    cross = gram.new_zeros(size, outputs)
    for (features, residual), target, student in zip(seen, targets, students, strict=True):
        given = features[student.real]
        missing = target - (residual[student.real] + module(given)).float()
        x = given[:, :inputs].float()
        x = torch.cat([x, x.new_ones(len(x), 1)], dim=1)
        gram += x.T @ x
        cross += x.T @ missing
    change = _solve(gram, cross, ridge)
    if inputs:
        weight(module).add_(change[:-1].T.to(bias.dtype))
    bias.add_(change[-1].to(bias.dtype))


def _solve(gram: Tensor, cross: Tensor, ridge: float) -> Tensor:
    """Return the ridge solution; the last row, of the bias, is not pulled towards 0."""
    pull = gram.diagonal() * 1e-9
    if len(gram) > 1:
        pull[:-1] += ridge * gram.diagonal()[:-1].mean() + 1e-12
    factor, failed = torch.linalg.cholesky_ex(gram + torch.diag(pull))
    if failed or not bool(cross.isfinite().all()):
        raise TrialError("repair", "least squares without a solution: values are not finite")
    return torch.cholesky_solve(cross, factor)
