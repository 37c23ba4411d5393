"""A graph under construction: nodes and weights, in float32, float16 or int8.

Only operators of the ONNX standard are written, so that any runtime can read the result; ONNX
Runtime finds the fused kernels (bias and GELU, integer product and scale) when it loads it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from pareto_prune.models.opset import IR_VERSION, OPSET

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray
    from torch import Tensor

    Array = NDArray[Any]

Dtype = Literal["float32", "float16", "int8"]
Range = tuple[float, float]
"""Lowest and highest of what a projection reads."""
Ranges = Sequence[Range | None]
"""Of every projection, in the order in which they are written; ``None``: it stays in float32."""
_SMALL = 1024
_EIGHT_BITS = 127
_MOST_BIAS = 2**30
"""Of a bias in int32, which products are added to."""


class Graph:
    """Nodes and weights, added one after the other; a name stands for a tensor.

    Args:
        dtype: what the weights are kept in. ``int8`` quantises projections and tables by row
            (symmetric), and activations by tensor (asymmetric).
        weight_bits: bits used of an int8 that is multiplied, see :func:`.runtime.weight_bits`.
        ranges: of activations in int8; without them each is quantised as it comes (dynamic).

    Attributes:
        weights: by name.
        projected: what every projection reads, in the order in which they were written.
    """

    def __init__(
        self, dtype: Dtype = "float32", weight_bits: int = 8, ranges: Ranges | None = None
    ) -> None:
        self.dtype = dtype
        self.projected: list[str] = []
        self._ranges = ranges
        self.real: Array = np.float16 if dtype == "float16" else np.float32  # type: ignore[assignment]
        self.weights: dict[str, Array] = {}
        self._largest = 2 ** (weight_bits - 1) - 1
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def op(self, kind: str, *inputs: str, **attributes: Any) -> str:
        """Add a node with one output; return the output's name."""
        return self.ops(kind, *inputs, outputs=1, **attributes)[0]

    def ops(self, kind: str, *inputs: str, outputs: int, **attributes: Any) -> list[str]:
        """Add a node with several outputs; return their names."""
        from onnx import helper

        names = [f"{kind}_{len(self._nodes)}_{i}" for i in range(outputs)]
        self._nodes.append(helper.make_node(kind, inputs, names, **attributes))
        return names

    def constant(self, value: Any, dtype: Any = np.int64) -> str:
        """Add a small constant; equal ones share a name."""
        array = np.asarray(value, dtype)
        key = (str(array.dtype), array.shape, array.tobytes())
        if key not in self._constants:
            self._constants[key] = self._add(array)
        return self._constants[key]

    def scalar(self, value: float) -> str:
        """Add a number in the dtype that activations have."""
        return self.constant(value, self.real)

    def vector(self, weight: Tensor) -> str:
        """Add a small weight, never quantised."""
        return self._add(_numpy(weight).astype(self.real))

    def table(self, weight: Tensor, rows: str) -> str:
        """Return rows of an embedding table; in int8 each row has its own scale."""
        if self.dtype != "int8":
            return self.op("Gather", self.vector(weight), rows)
        quantised, scales = _quantised(_numpy(weight), _EIGHT_BITS)  # read, never multiplied
        chosen = self.op("Gather", self._add(quantised), rows)
        scale = self.op("Gather", self._add(scales[:, None]), rows)
        return self.op("Mul", self.op("Cast", chosen, to=_FLOAT), scale)

    def linear(self, x: str, weight: Tensor, bias: Tensor | None) -> str:
        """Return ``x Wᵀ + b`` of a two-dimensional ``x``; ``weight`` is (out, in)."""
        self.projected.append(x)
        if self.dtype == "int8":
            if self._ranges is None:
                return self._dynamic_linear(x, _numpy(weight), bias)
            span = self._ranges[len(self.projected) - 1]
            if span is not None:
                return self._static_linear(x, _numpy(weight), bias, span)
        inputs = [x, self.vector(weight)] + ([] if bias is None else [self.vector(bias)])
        return self.op("Gemm", *inputs, transB=1)

    def norm(self, x: str, module: Any) -> str:
        """Return the LayerNorm of ``x`` over its last dimension."""
        biases = [] if module.bias is None else [self.vector(module.bias)]
        inputs = [x, self.vector(module.weight), *biases]
        small = module.eps if hasattr(module, "eps") else module.variance_epsilon
        return self.op("LayerNormalization", *inputs, axis=-1, epsilon=float(small))

    def reshape(self, x: str, shape: Sequence[int], leading: str = "") -> str:
        """Reshape to ``leading`` (the name of a shape) followed by the constant ``shape``."""
        rest = self.constant(shape)
        return self.op("Reshape", x, self.op("Concat", leading, rest, axis=0) if leading else rest)

    def to_real(self, x: str) -> str:
        """Cast to the dtype that activations have."""
        return self.op("Cast", x, to=_HALF if self.dtype == "float16" else _FLOAT)

    def proto(self, inputs: Sequence[str], logits: str, shape: Sequence[Any]) -> onnx.ModelProto:
        """Return the whole model, weights included.

        Args:
            inputs: names of its int64 inputs, all (batch, tokens).
            logits: what it returns, as float32 under the name ``logits``.
            shape: the shape of the logits; a string is a dynamic dimension.
        """
        from onnx import numpy_helper

        weights = [numpy_helper.from_array(array, name) for name, array in self.weights.items()]
        return self._model(inputs, logits, shape, weights)

    def skeleton(
        self, inputs: Sequence[str], logits: str, shape: Sequence[Any]
    ) -> tuple[onnx.ModelProto, dict[str, Array]]:
        """Return the model without its large weights, and those by name.

        Serialising and parsing weights is most of the time a session takes to start.
        """
        from onnx import numpy_helper

        large = {name: array for name, array in self.weights.items() if array.size > _SMALL}
        weights = [
            _declared(name, array) if name in large else numpy_helper.from_array(array, name)
            for name, array in self.weights.items()
        ]
        return self._model(inputs, logits, shape, weights), large

    def _model(
        self, inputs: Sequence[str], logits: str, shape: Sequence[Any], weights: Sequence[Any]
    ) -> onnx.ModelProto:
        from onnx import TensorProto, helper

        cast = helper.make_node("Cast", [logits], ["logits"], to=TensorProto.FLOAT)
        taken = [
            helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "tokens"])
            for name in inputs
        ]
        given = helper.make_tensor_value_info("logits", TensorProto.FLOAT, list(shape))
        graph = helper.make_graph([*self._nodes, cast], "model", taken, [given], list(weights))
        opsets = [helper.make_opsetid("", OPSET)]
        return helper.make_model(
            graph, opset_imports=opsets, ir_version=IR_VERSION, producer_name="pareto-prune"
        )

    def _dynamic_linear(self, x: str, weight: Array, bias: Tensor | None) -> str:
        quantised, scales = _quantised(weight, self._largest)
        x8, scale, zero = self.ops("DynamicQuantizeLinear", x, outputs=3)
        transposed = self._add(np.ascontiguousarray(quantised.T))
        product = self.op("MatMulInteger", x8, transposed, zero)
        scaled = self.op("Mul", scale, self._add(scales))
        y = self.op("Mul", self.op("Cast", product, to=_FLOAT), scaled)
        return y if bias is None else self.op("Add", y, self.vector(bias))

    def _static_linear(self, x: str, weight: Array, bias: Tensor | None, span: Range) -> str:
        """Return the projection in the form that runtimes fuse: all that ``Gemm`` reads rounded."""
        scale, zero = _affine(span)
        added = None if bias is None else _numpy(bias)
        least = 0.0 if added is None else np.abs(added) / (scale * _MOST_BIAS)
        quantised, scales = _quantised(weight, self._largest, least)
        inputs = [self._rounded(x, scale, zero), self._by_row(quantised, scales)]
        if added is not None:
            products = (scales * np.float32(scale)).astype(np.float32)
            inputs.append(self._by_row(np.rint(added / products).astype(np.int32), products))
        return self.op("Gemm", *inputs, transB=1)

    def _rounded(self, x: str, scale: float, zero: int) -> str:
        grid = self.constant(scale, np.float32), self.constant(zero, np.uint8)
        return self.op("DequantizeLinear", self.op("QuantizeLinear", x, *grid), *grid)

    def _by_row(self, integers: Array, scales: Array) -> str:
        # ONNX Runtime does not fuse what has no zero points, and rounds back at every call
        zeros = self._add(np.zeros(len(scales), integers.dtype))
        return self.op("DequantizeLinear", self._add(integers), self._add(scales), zeros, axis=0)

    def _add(self, array: Array) -> str:
        name = f"weight_{len(self.weights)}"
        self.weights[name] = array
        return name


_FLOAT, _HALF = 1, 10


def _quantised(weight: Array, largest: int, least: Any = 0.0) -> tuple[Array, Array]:
    """Quantise by row: (rows, columns) → int8 of the same shape, scales (rows,).

    Args:
        weight: to be quantised.
        largest: integer that is used.
        least: that a scale is, of all rows or of each.
    """
    scales = np.maximum(np.maximum(np.abs(weight).max(1), 1e-12) / largest, least)
    return np.rint(weight / scales[:, None]).astype(np.int8), scales.astype(np.float32)


def _affine(span: Range) -> tuple[float, int]:
    """Return scale and zero point of an uint8 over a range, widened to hold 0, which is exact."""
    low, high = min(span[0], 0.0), max(span[1], 0.0)
    scale = max(high - low, 1e-6) / 255
    return scale, round(-low / scale)


def _numpy(weight: Tensor) -> Array:
    """Return a copy as float32: later training of the model must not reach into the graph."""
    copied: Array = weight.detach().cpu().float().contiguous().numpy().copy()
    return copied


def _declared(name: str, array: Array) -> onnx.TensorProto:
    from onnx import TensorProto, helper

    kind = helper.np_dtype_to_tensor_dtype(array.dtype)
    declared = TensorProto(name=name, data_type=kind, dims=array.shape)
    declared.data_location = TensorProto.EXTERNAL
    declared.external_data.add(key="location", value="in_memory")
    return declared
