"""Graphs of models that are not known here: traced by torch, in seconds instead of tenths."""

from __future__ import annotations

import io
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareto_prune.models.opset import OPSET

if TYPE_CHECKING:
    import onnx
    from transformers import PreTrainedModel

    from pareto_prune.models.graph import Array, Dtype


@dataclass(frozen=True)
class Traced:
    """A traced graph with its interface.

    Attributes:
        inputs: names of its inputs, int64 of shape (batch, tokens).
    """

    model: onnx.ModelProto
    inputs: tuple[str, ...]

    def proto(self) -> onnx.ModelProto:
        """Return the whole model, weights included."""
        return self.model

    def skeleton(self) -> tuple[onnx.ModelProto, dict[str, Array]]:
        """Return the whole model, and no weights beside it."""
        return self.model, {}

    def in_dtype(self, dtype: Dtype) -> Traced:
        """Return it with weights in another dtype; int8 is dynamic."""
        if dtype == "float32":
            return self
        return replace(self, model=_half(self.model) if dtype == "float16" else _int8(self.model))


def trace(model: PreTrainedModel, inputs: tuple[str, ...]) -> Traced:
    """Return the graph of any model that takes these inputs and returns logits."""
    import onnx
    import torch

    ids = torch.arange(2, 24).reshape(2, 11) % model.config.vocab_size
    every = {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "token_type_ids": torch.zeros_like(ids),
    }
    axes: dict[str, Any] = {name: {0: "batch", 1: "tokens"} for name in inputs}
    buffer = io.BytesIO()
    with _evaluating(model), _silence(), torch.no_grad():
        torch.onnx.export(
            _logits_only(model, inputs),
            tuple(every[name].to(model.device) for name in inputs),
            buffer,  # type: ignore[arg-type]
            input_names=list(inputs),
            output_names=["logits"],
            dynamic_axes=axes | {"logits": {0: "batch"}},
            opset_version=OPSET,
            dynamo=False,
        )
    return Traced(onnx.load_model_from_string(buffer.getvalue()), inputs)


def _logits_only(model: PreTrainedModel, names: tuple[str, ...]) -> Any:
    import torch

    class LogitsOnly(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, *tensors: Any) -> Any:
            return self.model(**dict(zip(names, tensors, strict=True))).logits.float()

    return LogitsOnly().eval()


@contextmanager
def _evaluating(model: PreTrainedModel) -> Iterator[None]:
    """Let the model use plain attention, which traces exactly, and no dropout."""
    training, attention = model.training, model.config._attn_implementation
    model.eval()
    model.set_attn_implementation("eager")
    try:
        yield
    finally:
        model.set_attn_implementation(attention)
        model.train(training)


@contextmanager
def _silence() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def _half(model: onnx.ModelProto) -> onnx.ModelProto:
    import onnx
    from onnxruntime.transformers.float16 import convert_float_to_float16

    copied = onnx.ModelProto()
    copied.CopyFrom(model)
    with _silence():
        return convert_float_to_float16(copied, keep_io_types=True)


def _int8(model: onnx.ModelProto) -> onnx.ModelProto:
    import logging

    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    logging.getLogger().disabled, before = True, logging.getLogger().disabled
    try:
        with tempfile.TemporaryDirectory() as folder, _silence():
            path = Path(folder) / "int8.onnx"
            quantize_dynamic(model, path, weight_type=QuantType.QInt8, per_channel=True)
            return onnx.load_model(path)
    finally:
        logging.getLogger().disabled = before
