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

from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from pareto_prune.core.errors import TrialError
from pareto_prune.inputs.batch import Batch
from pareto_prune.models.families import family_of, head_size
from pareto_prune.models.layout import Sublayer, weight
from pareto_prune.pruning import modeling_pruned
from pareto_prune.pruning.replay import (
    READER,
    Ascent,
    Place,
    dense_traces,
    evaluating,
    input_of,
    real_rows,
    replaying_heads,
    replaying_neurons,
    run_to,
    start,
)
from pareto_prune.pruning.surgery import plan_of, present_layers

TOKENS = 20_000
RIDGE = 1e-2

Rows = list[int] | slice
Seen = list[tuple[Tensor, Tensor]]
"""What a module was given and the residual stream, for every batch."""
See = Callable[[Sublayer, nn.Module], Seen]


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
    with torch.no_grad(), evaluating(model), evaluating(dense):
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
        self.channels, self.size = self.plan.channels, head_size(dense.config)
        self.traces = dense_traces(dense, batches, inputs=self.channels is not None)
        self.ascents = [start(model, self.family, batch) for batch in batches]

    def run(self) -> None:
        """Repair every layer that is there and, after a channel cut, what reads the last one."""
        for index, layer in present_layers(self.model).items():
            attention, ffn = self.family.sublayers(layer)
            heads = self._repair_sublayer((index, "attention"), attention, self._from_below)
            neurons = self._repair_sublayer((index, "ffn"), ffn, partial(self._behind, heads))
            for ascent, of_heads, of_neurons in zip(self.ascents, heads, neurons, strict=True):
                with replaying_heads(attention, of_heads), replaying_neurons(ffn, of_neurons):
                    ascent.hidden = ascent.through(layer)
        if self.channels is not None:
            self._repair_reader()

    def _repair_sublayer(self, place: Place, sublayer: Sublayer, see: See) -> list[Tensor]:
        """Refit one sublayer; return what its units give for every batch.

        ``see`` runs all batches up to a module of it.
        """
        index, name = place
        if self.channels is not None and sublayer.inputs:
            read = [features for features, _ in see(sublayer, sublayer.reader)]
            full: Sublayer = getattr(self.family, name)(self._dense_layer(index))
            rows = self._rows(place, full)
            self._reread(sublayer.inputs, full.inputs, rows, read, (index, f"{name}_in"))
        seen = see(sublayer, sublayer.output)
        self._refit(sublayer.output, seen, (index, f"{name}_out"))
        return [features for features, _ in seen]

    def _from_below(self, sublayer: Sublayer, module: nn.Module) -> Seen:
        layer, residual = sublayer.layer, sublayer.residual
        return [run_to(layer, ascent, module, residual) for ascent in self.ascents]

    def _behind(self, heads: Sequence[Tensor], sublayer: Sublayer, module: nn.Module) -> Seen:
        """Run up to a module of the FFN behind an attention whose heads give this."""
        layer, residual, seen = sublayer.layer, sublayer.residual, []
        for ascent, features in zip(self.ascents, heads, strict=True):
            with replaying_heads(self.family.attention(layer), features):
                seen.append(run_to(layer, ascent, module, residual))
        return seen

    def _repair_reader(self) -> None:
        paths = self.family.paths.to_json()
        reader, dense_reader = (
            modeling_pruned.reader_of(model, paths) for model in (self.model, self.dense)
        )
        if reader is None or dense_reader is None:
            return
        read = [input_of(self.model, reader, batch) for batch in self.batches]
        rows: Rows = slice(None) if self.plan.pooled is None else list(self.plan.pooled)
        # it may read one token of a sentence: a tenth or less of the rows, so a stronger pull
        self._reread([reader], [dense_reader], [rows], read, READER, 10 * self.ridge)

    def _dense_layer(self, index: int) -> nn.Module:
        return self.family.layers(self.dense)[index]

    def _rows(self, place: Place, full: Sublayer) -> Sequence[Rows]:
        """Return, for each projection that makes units, the dense one's rows that stay."""
        index, name = place
        plan = self.plan.layers[index]
        units, size = (plan.heads, self.size) if name == "attention" else (plan.neurons, 1)
        paths, width = asdict(full.paths), full.width
        blocks = [len(weight(module)) // width for module in full.inputs]
        return [modeling_pruned.rows(paths, units, size, width, count) for count in blocks]

    def _reread(
        self,
        modules: Sequence[nn.Module],
        dense_modules: Sequence[nn.Module],
        rows: Sequence[Rows],
        read: Sequence[Tensor],
        place: Place,
        ridge: float | None = None,
    ) -> None:
        """Let modules make of the channels that stay what the dense ones make of all."""
        wanted = self.traces.of(place)
        xs = [real_rows(x, ascent.real) for x, ascent in zip(read, self.ascents, strict=True)]
        constant = all(getattr(module, "bias", None) is not None for module in modules)
        recovery = _recovery(xs, wanted, self.channels or (), ridge or self.ridge, constant)
        kept = len(self.channels or ())
        for module, dense_module, own in zip(modules, dense_modules, rows, strict=True):
            full, left = weight(dense_module)[own].float(), _any(module)
            weight(module).copy_(full @ recovery[:kept].T)
            if constant:
                left.bias.copy_(_any(dense_module).bias[own] + full @ recovery[-1])

    def _refit(
        self, module: nn.Module, seen: Sequence[tuple[Tensor, Tensor]], place: Place
    ) -> None:
        _fit(module, seen, self.traces.of(place, self.channels), self.ascents, self.ridge)


def _recovery(
    xs: Sequence[Tensor],
    wanted: Sequence[Tensor],
    channels: Sequence[int],
    ridge: float,
    constant: bool = True,
) -> Tensor:
    """Return M and m, below it, of ``wanted ≈ x Mᵀ + m``, transposed: (kept + 1, hidden).

    The ridge pulls towards taking the channels that stay as they are and 0 for the others.
    Without ``constant``, for readers without a bias, there is no m.
    """
    known = torch.zeros(len(channels) + constant, wanted[0].shape[1], device=wanted[0].device)
    known[torch.arange(len(channels)), torch.tensor(channels)] = 1.0
    gram = known.new_zeros(len(known), len(known), dtype=torch.float64)
    cross = known.new_zeros(known.shape, dtype=torch.float64)
    for x, target in zip(xs, wanted, strict=True):
        given = _with_ones(x.float(), constant)
        gram += given.T @ given
        cross += given.T @ (target - given @ known)
    return known + _solve(gram, cross, ridge, constant).float()


def _up_to(batches: Sequence[Batch], tokens: int) -> list[Batch]:
    taken, seen = [], 0
    for batch in batches:
        if seen >= tokens:
            break
        seen += int(batch["attention_mask"].sum())
        taken.append(batch)
    return taken


def _fit(
    module: nn.Module,
    seen: Sequence[tuple[Tensor, Tensor]],
    targets: Sequence[Tensor],
    students: Sequence[Ascent],
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
    bias: Any = getattr(module, "bias", None)
    constant = bias is not None
    size = inputs + constant
    if not size:
        return
    gram = torch.zeros(size, size, dtype=torch.float64, device=targets[0].device)
    cross = gram.new_zeros(size, outputs)
    for (features, residual), target, student in zip(seen, targets, students, strict=True):
        given = features[student.real]
        missing = target - (residual[student.real] + module(given)).float()
        x = _with_ones(given[:, :inputs].float(), constant)
        gram += x.T @ x
        cross += x.T @ missing
    change = _solve(gram, cross, ridge, constant)
    if inputs:
        weight(module).add_(change[:inputs].T.to(weight(module).dtype))
    if constant:
        bias.add_(change[-1].to(bias.dtype))


def _with_ones(x: Tensor, constant: bool) -> Tensor:
    """Return rows with a 1 behind each, which fits the bias."""
    return torch.cat([x, x.new_ones(len(x), 1)], dim=1) if constant else x


def _solve(gram: Tensor, cross: Tensor, ridge: float, constant: bool) -> Tensor:
    """Return the ridge solution; the last row, if of the bias, is not pulled towards 0."""
    pull, weights = gram.diagonal() * 1e-9, len(gram) - constant
    if weights:
        pull[:weights] += ridge * gram.diagonal()[:weights].mean() + 1e-12
    factor, failed = torch.linalg.cholesky_ex(gram + torch.diag(pull))
    if failed or not bool(cross.isfinite().all()):
        raise TrialError("repair", "least squares without a solution: values are not finite")
    return torch.cholesky_solve(cross, factor)


def _any(module: nn.Module) -> Any:
    return module
