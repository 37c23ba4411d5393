"""Surgery: from a plan to a physically smaller model, and the masked model it must equal.

Every strategy, loader and export goes through here. A plan always speaks of the *dense* model, so
plans compose: a cut model may be cut again by any plan that keeps no more than it has.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call
from transformers import PreTrainedModel

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.models.families import (
    RECORD,
    architecture,
    dense_architecture,
    family_of,
    head_size,
    record,
)
from pareto_prune.models.family import ModelFamily
from pareto_prune.models.layout import find
from pareto_prune.models.word_rows import keep_rows
from pareto_prune.pruning import modeling_pruned
from pareto_prune.pruning.modeling_pruned import indices
from pareto_prune.pruning.plan import LayerPlan, PruningPlan
from pareto_prune.pruning.stock import is_plain, own_table, pooled_scores, stock_sizes

RECORD_VERSION = 1
_CHANNEL_TASKS = ("", "SequenceClassification", "TokenClassification")


def cut(model: PreTrainedModel, plan: PruningPlan) -> PreTrainedModel:
    """Cut ``model`` in place until only what ``plan`` keeps is left.

    Its parameters become smaller, none is masked. An attention without heads and an FFN without
    neurons give just their output bias; a layer with neither is not there. The configuration
    then holds the plan, so that the model saves and loads as it is.

    Args:
        model: dense, or cut before.
        plan: indices into the dense model.

    Returns:
        ``model`` itself.

    Raises:
        ValueError: the plan does not fit the model, or keeps what it no longer has.
        UserError: the model's type is not supported.
    """
    family, dense = family_of(model), dense_architecture(model)
    plan.check(dense)
    if plan.channels is not None or plan.rows is not None:
        _check_head(model, "hidden channels" if plan.rows is None else "the vocabulary")
    layers, channels = _relative(plan_of(model), plan)
    pooled = _relative_pooled(model, plan)
    rows = _relative_rows(plan_of(model).rows, plan.rows)
    stays = [position for position, (heads, neurons) in enumerate(layers) if heads or neurons]
    sizes = stock_sizes(model, plan)
    stated = family.stated(model.config, stays, dense.head_size) | (sizes or {})
    if rows is not None:
        keep_rows(model, rows)
    paths = _paths(model, family, bool(sizes) and _loses_heads(plan, dense))
    modeling_pruned.carve(model, paths, dense.head_size, layers, channels, pooled)
    _write_record(model, paths, dense, plan, stated)
    if sizes is None:
        _become_pruned(model)
    return model


def cut_copy(model: PreTrainedModel, plan: PruningPlan) -> PreTrainedModel:
    """Return a cut copy of ``model``, which stays as it is; only kept weights are copied.

    Raises:
        ValueError, UserError: as :func:`cut`.
    """
    tensors = [*model.parameters(), *model.buffers()]
    shared = {id(tensor): tensor for tensor in tensors}
    smaller = cut(copy.deepcopy(model, dict(shared)), plan)
    _unshare(smaller, set(shared))
    return smaller


def plan_of(model: PreTrainedModel) -> PruningPlan:
    """Return the plan that a model was cut by; one that keeps everything if it is dense."""
    found = record(model)
    if found is None:
        return PruningPlan.dense(architecture(model))
    return plan_from_ranges(found["plan"])


def present_layers(model: PreTrainedModel) -> dict[int, nn.Module]:
    """Return the layers that are there, by their index in the dense model, bottom up."""
    indices = [i for i, layer in enumerate(plan_of(model).layers) if not layer.dropped]
    return dict(zip(indices, family_of(model).layers(model), strict=True))


@contextmanager
def masked(model: PreTrainedModel, plan: PruningPlan) -> Iterator[PreTrainedModel]:
    """Let a dense model compute, within a ``with`` block, what :func:`cut` would.

    Hooks multiply the inputs of ``W_o`` and ``W_2`` by 0 for what is not kept, skip dropped
    layers, and keep the residual stream and its LayerNorms to the kept channels. Gradients flow.

    Raises:
        ValueError: the plan does not fit the model.
    """
    plan.check(architecture(model))
    family, size = family_of(model), head_size(model.config)
    with ExitStack() as hooks:
        for layer, kept in zip(family.layers(model), plan.layers, strict=True):
            for handle in _mask_layer(family, layer, kept, size):
                hooks.callback(handle.remove)
        if plan.channels is not None:
            for handle in _mask_channels(family, model, plan.channels):
                hooks.callback(handle.remove)
        if plan.pooled is not None:
            for handle in _mask_pooled(family, model, plan.pooled):
                hooks.callback(handle.remove)
        yield model


def plan_to_ranges(plan: PruningPlan) -> dict[str, Any]:
    """Return a plan as JSON with runs of indices (``"0-2,7"``), short enough for a config."""
    return {
        "layers": [
            {"heads": _ranges(layer.heads), "neurons": _ranges(layer.neurons)}
            for layer in plan.layers
        ],
        "channels": None if plan.channels is None else _ranges(plan.channels),
        **({} if plan.pooled is None else {"pooled": _ranges(plan.pooled)}),
        **({} if plan.rows is None else {"rows": _ranges(plan.rows)}),
    }


def plan_from_ranges(data: dict[str, Any]) -> PruningPlan:
    """Read what :func:`plan_to_ranges` wrote."""
    channels = data["channels"]
    plan = PruningPlan.of(
        ((indices(layer["heads"]), indices(layer["neurons"])) for layer in data["layers"]),
        None if channels is None else indices(channels),
    )
    if "pooled" in data:
        plan = plan.with_pooled(indices(data["pooled"]))
    return plan.with_rows(indices(data["rows"])) if "rows" in data else plan


def _ranges(indices: Sequence[int]) -> str:
    starts = [k for k, i in enumerate(indices) if k == 0 or i != indices[k - 1] + 1]
    ends = [*(k - 1 for k in starts[1:]), len(indices) - 1]
    runs = ((indices[a], indices[b]) for a, b in zip(starts, ends, strict=False))
    return ",".join(str(a) if a == b else f"{a}-{b}" for a, b in runs)


def _relative(
    current: PruningPlan, plan: PruningPlan
) -> tuple[list[tuple[list[int], list[int]]], list[int] | None]:
    """Return the plan in positions of what the model has now, for the layers it has now."""
    layers = []
    for index, (has, keeps) in enumerate(zip(current.layers, plan.layers, strict=True)):
        heads = _positions(has.heads, keeps.heads, f"layer {index}: head")
        neurons = _positions(has.neurons, keeps.neurons, f"layer {index}: neuron")
        if not has.dropped:
            layers.append((heads, neurons))
    if plan.channels is None:
        if current.channels is not None:
            raise ValueError("the plan keeps all channels, the model has lost some")
        return layers, None
    if current.channels is None:
        return layers, list(plan.channels)
    if current.channels == plan.channels:
        return layers, None
    return layers, _positions(current.channels, plan.channels, "channel")


def _relative_pooled(model: PreTrainedModel, plan: PruningPlan) -> list[int] | None:
    """Return the pooled units that stay, in positions of what the model has now; ``None``: all."""
    has, keeps = plan_of(model).pooled, plan.pooled
    if has == keeps:
        return None
    if keeps is None:
        raise ValueError("the plan keeps all pooled units, the model has lost some")
    if pooled_scores(model) is None:
        raise ValueError("the plan names pooled units, the model's head has none")
    return list(keeps) if has is None else _positions(has, keeps, "pooled unit")


def _loses_heads(plan: PruningPlan, dense: Architecture) -> bool:
    pairs = zip(plan.layers, dense.layers, strict=True)
    return any(0 < len(kept.heads) < full.heads for kept, full in pairs)


def _paths(model: PreTrainedModel, family: ModelFamily, own: bool) -> dict[str, Any]:
    """Return where parts live; what layers share is a part to be cut in stock models alone."""
    paths, before = family.paths.to_json(), record(model)
    if before is not None and own_table(before) and not own:
        raise ValueError("what the layers share has lost heads: cut the dense model instead")
    if not own:
        paths["attention"]["shared_table"] = ""
    return paths


def _relative_rows(has: Sequence[int] | None, keeps: Sequence[int] | None) -> Sequence[int] | None:
    """Return the rows that stay, in positions of the table as it is now; ``None``: all."""
    if has == keeps:
        return None
    if keeps is None:
        raise ValueError("the plan keeps the whole vocabulary, the model has lost some of it")
    return keeps if has is None else _positions(has, keeps, "row")


def _positions(has: Sequence[int], keeps: Sequence[int], what: str) -> list[int]:
    where = {unit: position for position, unit in enumerate(has)}
    gone = [unit for unit in keeps if unit not in where]
    if gone:
        raise ValueError(f"{what} {gone[0]} is kept by the plan, but the model has lost it")
    return [where[unit] for unit in keeps]


def _check_head(model: PreTrainedModel, what: str) -> None:
    name = type(model).__name__
    task = name.partition("For")[2]
    if task not in _CHANNEL_TASKS or (not task and not name.endswith("Model")):
        allowed = "allowed: sequence or token classification, or the base model"
        raise UserError(Problem("model", f"{what} of {name} cannot be cut", allowed))


def _write_record(
    model: PreTrainedModel,
    paths: dict[str, Any],
    dense: Architecture,
    plan: PruningPlan,
    stated: dict[str, Any],
) -> None:
    config, shape, before = model.config, plan.architecture(dense), record(model)
    earlier = {} if before is None else before["stated"]
    first = {name: getattr(config, name, None) for name in stated} | earlier
    found = {
        "version": RECORD_VERSION,
        "dense": dense.to_json(),
        "layers": [layer.to_json() for layer in shape.layers],
        "plan": plan_to_ranges(plan),
        "paths": paths,
        "stated": first,
    }
    config.hidden_size = shape.hidden
    config.num_hidden_layers = sum(not layer.dropped for layer in shape.layers)
    for name, value in (earlier | stated).items():
        setattr(config, name, value)
    setattr(config, RECORD, found)


def _become_pruned(model: PreTrainedModel) -> None:
    """Give the model the class that saves and loads its shape (``PrunedX`` for its class ``X``)."""
    if not is_plain(model):
        return
    pruned: Any = getattr(modeling_pruned, f"Pruned{type(model).__name__}")
    model.__class__ = pruned
    model.config.__class__ = pruned.config_class
    module = modeling_pruned.__name__.rpartition(".")[2]
    model.config.auto_map = {
        "AutoConfig": f"{module}.{pruned.config_class.__name__}",
        "AutoModel": f"{module}.Pruned{type(model.base_model).__name__.removeprefix('Pruned')}",
        pruned._auto_class: f"{module}.{pruned.__name__}",
    }
    if model.base_model is model:
        # transformers notes what a class can record (hidden states) when one is constructed
        with torch.device("meta"):
            pruned(copy.deepcopy(model.config))


def _unshare(model: PreTrainedModel, shared: set[int]) -> None:
    """Give a model its own copy of every tensor that it still shares with another one."""
    own: dict[int, Tensor] = {}
    for module in model.modules():
        for name, parameter in module.named_parameters(recurse=False):
            if id(parameter) in shared:
                fresh = own.setdefault(id(parameter), _clone(parameter))
                module._parameters[name] = fresh
        for name, buffer in module.named_buffers(recurse=False):
            if id(buffer) in shared:
                module._buffers[name] = own.setdefault(id(buffer), buffer.clone())


def _clone(parameter: nn.Parameter) -> nn.Parameter:
    return nn.Parameter(parameter.detach().clone(), requires_grad=parameter.requires_grad)


def _mask_layer(family: ModelFamily, layer: nn.Module, kept: LayerPlan, size: int) -> Iterator[Any]:
    if kept.dropped:
        yield layer.register_forward_hook(_skip, with_kwargs=True)
        return
    columns = [head * size + i for head in kept.heads for i in range(size)]
    for sublayer, features in zip(family.sublayers(layer), (columns, kept.neurons), strict=True):
        yield sublayer.output.register_forward_pre_hook(_keep_inputs(features))


def _skip(_: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
    hidden = args[0] if args else kwargs["hidden_states"]
    return (hidden, *output[1:]) if isinstance(output, tuple) else hidden


def _keep_inputs(kept: Sequence[int]) -> Any:
    def hook(_: nn.Module, args: tuple[Any, ...]) -> tuple[Any, ...]:
        return (args[0] * _mask(kept, args[0]), *args[1:])

    return hook


def _mask_channels(
    family: ModelFamily, model: PreTrainedModel, channels: Sequence[int]
) -> Iterator[Any]:
    below, behind = family.stream_norms(model)
    writers, norms = family.stream_writers(model), [*below, *behind, *family.table_norms(model)]
    for layer in family.layers(model):
        writers += [sublayer.output for sublayer in family.sublayers(layer)]
        norms += family.norms(layer)
        for reader in family.table_readers(layer):
            yield reader.register_forward_pre_hook(_keep_inputs(channels))
    for module in writers:
        yield module.register_forward_hook(_keep_outputs(channels))
    for norm in norms:
        yield norm.register_forward_hook(_norm_over(norm, channels))


def _mask_pooled(
    family: ModelFamily, model: PreTrainedModel, pooled: Sequence[int]
) -> Iterator[Any]:
    reader = modeling_pruned.reader_of(model, family.paths.to_json())
    assert reader is not None
    yield reader.register_forward_hook(_keep_outputs(pooled))
    norm = find(model, family.paths.pooled_norm)
    if norm is not None:
        yield norm.register_forward_hook(_norm_over(norm, pooled))


def _keep_outputs(kept: Sequence[int]) -> Any:
    def hook(_: nn.Module, __: Any, output: Tensor) -> Tensor:
        return output * _mask(kept, output)

    return hook


def _norm_over(norm: nn.Module, kept: Sequence[int]) -> Any:
    narrower = copy.deepcopy(norm)
    modeling_pruned.narrow(narrower, outputs=kept)

    def hook(_: nn.Module, args: tuple[Any, ...], output: Tensor) -> Tensor:
        index = torch.tensor(kept, device=output.device)
        own = {name: parameter[index] for name, parameter in norm.named_parameters()}
        some = functional_call(narrower, own, (args[0][..., index],))
        return torch.zeros_like(output).index_copy(-1, index, some)

    return hook


def _mask(kept: Sequence[int], like: Tensor) -> Tensor:
    mask = torch.zeros(like.shape[-1], dtype=like.dtype, device=like.device)
    mask[list(kept)] = 1.0
    return mask
