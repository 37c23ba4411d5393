"""Transformers models whose layers have lost heads, neurons, sublayers, layers or channels.

This file is copied into every exported folder and runs there on torch and transformers alone, so
it imports nothing else. ``PrunedX`` is the stock class ``X`` after :func:`carve`, for any ``X``
(``PrunedBertForSequenceClassification``, ``PrunedBertConfig``); what to carve stands in the
configuration under ``pareto_prune``.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

Kept = Sequence[int]

WEIGHTS = "transformers_weights"
UNLIKE = "its layers are of unlike width: pass trust_remote_code=True, or use pareto_prune.load"


class OnlyBias(nn.Module):
    """What is left of a projection that reads nothing: its bias at every token, 0 without one."""

    def __init__(self, bias: nn.Parameter | None, width: int) -> None:
        super().__init__()
        self.bias, self.width = bias, width

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return the bias for every token: (batch, tokens, any) → (batch, tokens, hidden)."""
        if self.bias is None:
            return hidden_states.new_zeros(*hidden_states.shape[:-1], self.width)
        return self.bias.expand(*hidden_states.shape[:-1], -1)


class NoNeurons(nn.Module):
    """Stands in for an FFN without neurons; runs what is left of it, in order."""

    def __init__(self, tail: dict[str, nn.Module]) -> None:
        super().__init__()
        for name, module in tail.items():
            self.add_module(name, module)

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> Any:
        """Return what the tail makes of the input."""
        for module in self.children():
            hidden_states = module(hidden_states)
        return hidden_states


class NoHeads(NoNeurons):
    """Stands in for an attention without heads."""

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
        """Return what the tail makes of the input, and no attention weights."""
        return super().forward(hidden_states), None


class NoLayer(nn.Module):
    """Keeps the place of a dropped layer: gives its input, and no attention weights."""

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
        """Return the residual stream as it is."""
        return hidden_states, None


def narrow(module: Any, outputs: Kept | None = None, inputs: Kept | None = None) -> None:
    """Keep these outputs and inputs of a projection, norm or table, in place; None: all."""
    if isinstance(module, OnlyBias):
        _narrow_bias(module, outputs)
        module.width = module.width if outputs is None else len(outputs)
        return
    rows, columns = (1, 0) if isinstance(module, Conv1D) else (0, 1)
    module.weight = _select(_select(module.weight, outputs, rows), inputs, columns)
    _narrow_bias(module, outputs)
    _restate(module)


def indices(ranges: str) -> list[int]:
    """Return the indices of runs such as ``"0-2,7"``."""
    runs = [run.split("-") for run in ranges.split(",") if run]
    return [i for run in runs for i in range(int(run[0]), int(run[-1]) + 1)]


def carve(
    model: PreTrainedModel,
    paths: dict[str, Any],
    head_size: int,
    layers: Sequence[tuple[Kept, Kept]],
    channels: Kept | None = None,
    pooled: Kept | None = None,
) -> None:
    """Cut a model in place.

    Args:
        model: dense, or cut before.
        paths: where its parts live.
        head_size: dimensions of a head.
        layers: for every layer it has now, which of its present heads and neurons stay; a layer
            with none of both goes.
        channels: which of its present hidden channels stay; None: all.
        pooled: which of the present units of the task's head stay; None: all.
    """
    base = model.base_model
    paths = _with_own_table(base, paths, [heads for heads, neurons in layers if heads or neurons])
    stack = list(base.get_submodule(paths["layers"]).children())
    there = [layer for layer in stack if not isinstance(layer, NoLayer)]
    gone = len(there) < len(stack) or not (layers and any(layers[0]))
    left = nn.ModuleList([NoLayer()] if gone and paths["first_stays"] else [])
    for layer, (heads, neurons) in zip(there, layers, strict=True):
        if not heads and not neurons:
            continue
        _carve_units(layer, paths["attention"], head_size, heads, NoHeads)
        _carve_units(layer, paths["ffn"], 1, neurons, NoNeurons)
        if channels is not None:
            _carve_layer_channels(layer, paths, channels)
        _number(layer, len(left))
        left.append(layer)
    base.set_submodule(paths["layers"], left)
    if channels is not None:
        _carve_model_channels(model, paths, channels)
    if pooled is not None:
        _carve_pooled(model, paths, pooled)


def _with_own_table(
    base: nn.Module, paths: dict[str, Any], heads: Sequence[Kept]
) -> dict[str, Any]:
    """Let what all layers share have the heads alone that all of them keep."""
    attention = paths["attention"]
    table = _find(base, attention["shared_table"])
    if table is None or not heads:
        return paths
    narrow(table, inputs=heads[0])
    return {**paths, "attention": {**attention, "shared": ""}}


def _carve_pooled(model: PreTrainedModel, paths: dict[str, Any], pooled: Kept) -> None:
    """Keep these units of what the task's head makes between its first and last projection."""
    reader, final = reader_of(model, paths), final_of(model, paths)
    narrow(reader, outputs=pooled)
    norm = _find(model, paths["pooled_norm"])
    if norm is not None:
        narrow(norm, outputs=pooled)
    if final is not None:
        narrow(final, inputs=pooled)


def _carve_units(
    layer: nn.Module, paths: dict[str, Any], size: int, units: Kept, stand_in: type[NoNeurons]
) -> None:
    """Keep these units, each ``size`` features wide, of one sublayer."""
    output: Any = layer.get_submodule(paths["output"])
    if isinstance(output, OnlyBias):
        return
    if not units:
        _empty(layer, paths, stand_in)
        return
    width = _sizes(output)[1]
    kept = [unit * size + i for unit in units for i in range(size)]
    if len(kept) == width:
        return
    narrow(output, inputs=kept)
    for module in (*_those(layer, paths["inputs"]), *_those(layer, paths["beside"])):
        blocks = _sizes(module)[0] // width
        narrow(module, outputs=rows(paths, units, size, width, blocks))
    for path in paths["vectors"]:
        _set(layer, [path], _select(layer.get_parameter(path), kept, 0))
    _set(layer, paths["counts"], len(units))
    _set(layer, paths["widths"], len(kept))
    if paths["shared"]:
        _keep_shared(layer.get_submodule(paths["module"]), paths["shared"], units)


def rows(paths: dict[str, Any], units: Kept, size: int, width: int, blocks: int) -> list[int]:
    """Return the rows of units, of ``size`` features each, in a matrix of so many blocks.

    Args:
        paths: of the sublayer: say how the blocks are fused.
        units: those wanted.
        size: features of a unit.
        width: features of all units.
        blocks: how often the matrix holds each unit: 3 where q, k and v are fused.
    """
    if paths["interleaved"]:
        return [unit * blocks * size + i for unit in units for i in range(blocks * size)]
    kept = [unit * size + i for unit in units for i in range(size)]
    return [block * width + i for block in range(blocks) for i in kept]


def _keep_shared(module: Any, argument: str, units: Kept) -> None:
    """Let a sublayer read its own units of an argument that all layers share."""
    if hasattr(module, "kept_heads"):
        module.kept_heads = [module.kept_heads[unit] for unit in units]
        return
    module.kept_heads = list(units)
    module.shared_argument = list(signature(module.forward).parameters).index(argument)
    module.register_forward_pre_hook(_read_own)


def _read_own(module: Any, args: tuple[Any, ...]) -> tuple[Any, ...]:
    place = module.shared_argument
    # slices, not an index, which would be sent to a GPU in every pass
    own = torch.stack([args[place][:, head] for head in module.kept_heads], 1)
    return (*args[:place], own, *args[place + 1 :])


def _empty(layer: nn.Module, paths: dict[str, Any], stand_in: type[NoNeurons]) -> None:
    output: Any = layer.get_submodule(paths["output"])
    left = OnlyBias(output.bias, _sizes(output)[0])
    layer.set_submodule(paths["output"], left)
    sublayer = layer.get_submodule(paths["module"])
    tail = {name: getattr(sublayer, name) for name in paths["tail"]}
    layer.set_submodule(paths["module"], stand_in(tail))


def _sizes(module: Any) -> tuple[int, int]:
    """Return outputs and inputs of a projection."""
    rows, columns = module.weight.shape
    return (columns, rows) if isinstance(module, Conv1D) else (rows, columns)


def _carve_layer_channels(layer: nn.Module, paths: dict[str, Any], channels: Kept) -> None:
    for sublayer in (paths["attention"], paths["ffn"]):
        for module in _those(layer, (*sublayer["inputs"], *sublayer["beside"])):
            narrow(module, inputs=channels)
        narrow(layer.get_submodule(sublayer["output"]), outputs=channels)
        norm = _find(layer, sublayer["norm"])
        if hasattr(norm, "weight"):
            narrow(norm, outputs=channels)


def _carve_model_channels(model: PreTrainedModel, paths: dict[str, Any], channels: Kept) -> None:
    base = model.base_model
    projection = _find(base, paths["projection"])
    norms = (*paths["mixer_norms"], *paths["table_norms"], *paths["final_norms"])
    tables = paths["tables"]
    if projection is not None:
        narrow(projection, outputs=channels)
    else:
        tables = (*tables, *paths["embeddings"])
    if projection is None or paths["projects_first"]:
        norms = (*norms, *paths["embedding_norms"])
    for table in _those(base, tables):
        narrow(table, inputs=channels)
    for norm in _those(base, norms):
        narrow(norm, outputs=channels)
    for module in _those(base, paths["mixer_maps"]):
        narrow(module, outputs=channels, inputs=channels)
    reader = reader_of(model, paths)
    if reader is not None:
        narrow(reader, inputs=channels)


def reader_of(model: PreTrainedModel, paths: dict[str, Any]) -> nn.Linear | None:
    """Return what reads the hidden channels behind the last layer, if anything does."""
    found = (_find(root, path) for path in paths["readers"] for root in (model, model.base_model))
    return next((module for module in found if isinstance(module, nn.Linear)), None)


def final_of(model: PreTrainedModel, paths: dict[str, Any]) -> nn.Linear | None:
    """Return the last projection of the task's head, if there is one."""
    found = (_find(model, path) for path in paths["finals"])
    return next((module for module in found if isinstance(module, nn.Linear)), None)


def _select(parameter: Tensor, kept: Kept | None, dim: int) -> nn.Parameter:
    if kept is None:
        return parameter  # type: ignore[return-value]
    index = torch.tensor(kept, dtype=torch.long, device=parameter.device)
    chosen = parameter.detach().index_select(dim, index)
    return nn.Parameter(chosen, requires_grad=parameter.requires_grad)


def _narrow_bias(module: Any, outputs: Kept | None) -> None:
    if getattr(module, "bias", None) is not None:
        module.bias = _select(module.bias, outputs, 0)


def _restate(module: Any) -> None:
    """Let the sizes that a module states agree with its weight."""
    shape = module.weight.shape
    if len(shape) == 1:
        module.normalized_shape = tuple(shape)
    elif isinstance(module, nn.Embedding):
        module.embedding_dim = shape[1]
    elif isinstance(module, Conv1D):
        module.nx, module.nf = shape
    elif isinstance(module, nn.Conv1d):
        module.out_channels, module.in_channels = shape[:2]
    else:
        module.out_features, module.in_features = shape


def _set(layer: nn.Module, paths: Sequence[str], value: Any) -> None:
    for path in paths:
        owner, _, name = path.rpartition(".")
        setattr(layer.get_submodule(owner), name, value)


def _find(module: Any, path: str) -> Any:
    for name in path.split("."):
        module = getattr(module, name, None) if name else None
    return module


def _those(module: Any, paths: Sequence[str]) -> list[Any]:
    found = (_find(module, path) for path in paths)
    return [part for part in found if part is not None]


def _number(layer: nn.Module, index: int) -> None:
    """Tell a layer where it stands now: a key-value cache is addressed by it."""
    for module in layer.modules():
        if hasattr(module, "layer_idx"):
            module.layer_idx = index  # type: ignore[assignment]


@contextmanager
def _dense_sizes(config: PreTrainedConfig) -> Iterator[None]:
    """Let a configuration state the sizes of the dense model: stock classes build that one."""
    dense, stated = config.pareto_prune["dense"], config.pareto_prune["stated"]
    sizes = {"hidden_size": dense["hidden"], "num_hidden_layers": len(dense["layers"])}
    now = {name: getattr(config, name) for name in (*sizes, *stated)}
    _state(config, sizes | stated)
    try:
        yield
    finally:
        _state(config, now)


def _state(config: PreTrainedConfig, values: dict[str, Any]) -> None:
    for name, value in values.items():
        setattr(config, name, value)


def _carve_as_configured(model: PreTrainedModel) -> None:
    record = model.config.pareto_prune
    plan = record["plan"]
    layers = [(indices(kept["heads"]), indices(kept["neurons"])) for kept in plan["layers"]]
    channels = None if plan["channels"] is None else indices(plan["channels"])
    pooled = indices(plan["pooled"]) if "pooled" in plan else None
    carve(model, record["paths"], record["dense"]["head_size"], layers, channels, pooled)


def _config_class(stock: type[PreTrainedConfig]) -> type[PreTrainedConfig]:
    """Return a configuration class of the stock type, so that a tokenizer loads without code.

    Its file says that the weights are in no file that a stock class could read: those refuse,
    where layers that lack a sublayer would else be filled at random.
    """
    # Early versions of transformers 5 have no __post_init__.
    reads = "__post_init__" if hasattr(stock, "__post_init__") else "__init__"

    def read(self: Any, *values: Any, **given: Any) -> None:
        given.pop(WEIGHTS, None)
        getattr(stock, reads)(self, *values, **given)

    def to_dict(self: Any) -> dict[str, Any]:
        return {**stock.to_dict(self), WEIGHTS: UNLIKE}

    attributes = {
        "__module__": __name__,
        reads: read,
        "to_dict": to_dict,
        "_auto_class": "AutoConfig",
    }
    return type(f"Pruned{stock.__name__}", (stock,), attributes)


def _model_class(stock: type[PreTrainedModel]) -> type[PreTrainedModel]:
    def build(self: Any, config: PreTrainedConfig, *args: Any, **kwargs: Any) -> None:
        with _dense_sizes(config):
            stock.__init__(self, config, *args, **kwargs)
        _carve_as_configured(self)

    task = stock.__name__.partition("For")[2]
    attributes = {
        "__module__": __name__,
        "__init__": build,
        "config_class": __getattr__(f"Pruned{stock.config_class.__name__}"),
        "_auto_class": f"AutoModelFor{task}" if task else "AutoModel",
    }
    return type(f"Pruned{stock.__name__}", (stock,), attributes)


def __getattr__(name: str) -> Any:
    """Make ``PrunedX`` of the stock class ``X``, once."""
    if name in globals():
        return globals()[name]
    stock = getattr(transformers, name.removeprefix("Pruned"), None)
    if not name.startswith("Pruned") or not isinstance(stock, type):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    make: Any = _config_class if issubclass(stock, PreTrainedConfig) else _model_class
    return globals().setdefault(name, make(stock))
