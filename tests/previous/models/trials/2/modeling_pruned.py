"""Transformers models whose layers have lost heads, neurons, sublayers, layers or channels.

This file is copied into every exported folder and runs there on torch and transformers alone, so
it imports nothing else. ``PrunedX`` is the stock class ``X`` after :func:`carve`, for any ``X``
(``PrunedBertForSequenceClassification``, ``PrunedBertConfig``); what to carve stands in the
configuration under ``pareto_prune``.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.pytorch_utils import Conv1D

Kept = Sequence[int]


class OnlyBias(nn.Module):
    """What is left of a projection that reads nothing: its bias, at every token."""

    def __init__(self, bias: nn.Parameter) -> None:
        super().__init__()
        self.bias = bias

    def forward(self, hidden_states: Tensor) -> Tensor:
        """Return the bias for every token: (batch, tokens, any) → (batch, tokens, hidden)."""
        return self.bias.expand(*hidden_states.shape[:-1], -1)


class NoHeads(nn.Module):
    """Stands in for an attention without heads; runs what is left of it, in order."""

    def __init__(self, tail: dict[str, nn.Module]) -> None:
        super().__init__()
        for name, module in tail.items():
            self.add_module(name, module)

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> tuple[Tensor, None]:
        """Return what the tail makes of the input, and no attention weights."""
        for module in self.children():
            hidden_states = module(hidden_states)
        return hidden_states, None


def narrow(module: Any, outputs: Kept | None = None, inputs: Kept | None = None) -> None:
    """Keep these outputs and inputs of a projection, LayerNorm or table, in place; None: all."""
    if isinstance(module, OnlyBias):
        module.bias = _select(module.bias, outputs, 0)
        return
    rows, columns = (1, 0) if isinstance(module, Conv1D) else (0, 1)
    module.weight = _select(_select(module.weight, outputs, rows), inputs, columns)
    if getattr(module, "bias", None) is not None:
        module.bias = _select(module.bias, outputs, 0)
    _restate(module)


def carve(
    model: PreTrainedModel,
    paths: dict[str, Any],
    head_size: int,
    layers: Sequence[tuple[Kept, Kept]],
    channels: Kept | None = None,
) -> None:
    """Cut a model in place.

    Args:
        model: dense, or cut before.
        paths: where its parts live.
        head_size: dimensions of a head.
        layers: for every layer it has now, which of its present heads and neurons stay; a layer
            with none of both goes.
        channels: which of its present hidden channels stay; None: all.
    """
    base = model.base_model
    stack = base.get_submodule(paths["layers"])
    left = nn.ModuleList()
    for layer, (heads, neurons) in zip(stack, layers, strict=True):
        if not heads and not neurons:
            continue
        _carve_heads(layer, paths, head_size, heads)
        _carve_neurons(layer, paths, neurons)
        if channels is not None:
            _carve_layer_channels(layer, paths, channels)
        _number(layer, len(left))
        left.append(layer)
    base.set_submodule(paths["layers"], left)
    if channels is not None:
        _carve_model_channels(model, paths, channels)


def _carve_heads(layer: nn.Module, paths: dict[str, Any], size: int, heads: Kept) -> None:
    w_o: Any = layer.get_submodule(paths["heads_out"])
    if isinstance(w_o, OnlyBias):
        return
    if not heads:
        layer.set_submodule(paths["heads_out"], OnlyBias(w_o.bias))
        attention = layer.get_submodule(paths["attention"])
        tail = {name: getattr(attention, name) for name in paths["attention_tail"]}
        layer.set_submodule(paths["attention"], NoHeads(tail))
        return
    width = w_o.weight.shape[0 if isinstance(w_o, Conv1D) else 1]
    kept = [head * size + i for head in heads for i in range(size)]
    if len(kept) == width:
        return
    narrow(w_o, inputs=kept)
    parts = 3 // len(paths["heads_in"])
    fused = [part * width + i for part in range(parts) for i in kept]
    for path in paths["heads_in"]:
        narrow(layer.get_submodule(path), outputs=fused)
    _set(layer, paths["head_counts"], len(heads))
    _set(layer, paths["head_widths"], len(kept))


def _carve_neurons(layer: nn.Module, paths: dict[str, Any], neurons: Kept) -> None:
    w_2: Any = layer.get_submodule(paths["neurons_out"])
    if isinstance(w_2, OnlyBias):
        return
    if not neurons:
        layer.set_submodule(paths["neurons_out"], OnlyBias(w_2.bias))
        layer.set_submodule(paths["neurons_in"], nn.Identity())
        _set(layer, [paths["activation"]], nn.Identity())
    elif len(neurons) < w_2.weight.shape[0 if isinstance(w_2, Conv1D) else 1]:
        narrow(w_2, inputs=neurons)
        narrow(layer.get_submodule(paths["neurons_in"]), outputs=neurons)


def _carve_layer_channels(layer: nn.Module, paths: dict[str, Any], channels: Kept) -> None:
    for path in (*paths["heads_in"], paths["neurons_in"]):
        module = _find(layer, path)
        if hasattr(module, "weight"):
            narrow(module, inputs=channels)
    for path in (paths["heads_out"], paths["neurons_out"], *paths["norms"]):
        narrow(layer.get_submodule(path), outputs=channels)


def _carve_model_channels(model: PreTrainedModel, paths: dict[str, Any], channels: Kept) -> None:
    base = model.base_model
    projection = _find(base, paths["projection"])
    if projection is not None:
        narrow(projection, outputs=channels)
    else:
        for path in paths["embeddings"]:
            narrow(base.get_submodule(path), inputs=channels)
        for path in paths["embedding_norms"]:
            narrow(base.get_submodule(path), outputs=channels)
    for path in paths["final_norms"]:
        narrow(base.get_submodule(path), outputs=channels)
    reader = reader_of(model, paths)
    if reader is not None:
        narrow(reader, inputs=channels)


def reader_of(model: PreTrainedModel, paths: dict[str, Any]) -> nn.Linear | None:
    """Return what reads the hidden channels behind the last layer, if anything does."""
    found = (_find(root, path) for path in paths["readers"] for root in (model, model.base_model))
    return next((module for module in found if isinstance(module, nn.Linear)), None)


def _select(parameter: Tensor, kept: Kept | None, dim: int) -> nn.Parameter:
    if kept is None:
        return parameter  # type: ignore[return-value]
    index = torch.tensor(kept, dtype=torch.long, device=parameter.device)
    chosen = parameter.detach().index_select(dim, index)
    return nn.Parameter(chosen, requires_grad=parameter.requires_grad)


def _restate(module: Any) -> None:
    """Let the sizes that a module states agree with its weight."""
    shape = module.weight.shape
    if isinstance(module, nn.LayerNorm):
        module.normalized_shape = tuple(shape)
    elif isinstance(module, nn.Embedding):
        module.embedding_dim = shape[1]
    elif isinstance(module, Conv1D):
        module.nx, module.nf = shape
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


def _number(layer: nn.Module, index: int) -> None:
    """Tell a layer where it stands now: a key-value cache is addressed by it."""
    for module in layer.modules():
        if hasattr(module, "layer_idx"):
            module.layer_idx = index  # type: ignore[assignment]


@contextmanager
def _dense_sizes(config: PreTrainedConfig) -> Iterator[None]:
    """Let a configuration state the sizes of the dense model: stock classes build that one."""
    dense = config.pareto_prune["dense"]
    now = config.hidden_size, config.num_hidden_layers
    config.hidden_size, config.num_hidden_layers = dense["hidden"], len(dense["layers"])
    try:
        yield
    finally:
        config.hidden_size, config.num_hidden_layers = now


def _carve_as_configured(model: PreTrainedModel) -> None:
    record = model.config.pareto_prune
    layers = [(range(shape["heads"]), range(shape["neurons"])) for shape in record["layers"]]
    cut = model.config.hidden_size < record["dense"]["hidden"]
    channels = range(model.config.hidden_size) if cut else None
    carve(model, record["paths"], record["dense"]["head_size"], layers, channels)


def _config_class(stock: type[PreTrainedConfig]) -> type[PreTrainedConfig]:
    attributes = {
        "__module__": __name__,
        "model_type": f"pruned_{stock.model_type}",
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
