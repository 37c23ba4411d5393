"""ONNX Runtime as it is on this machine: whether it is there, and a graph started in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pareto_prune.core.errors import MissingExtraError

if TYPE_CHECKING:
    import onnx

    from pareto_prune.models.graph import Array
    from pareto_prune.models.onnx_graph.traced import Traced
    from pareto_prune.models.onnx_graph.walk import Built


def session(
    graph: Built | Traced,
    options: Any = None,
    providers: tuple[Any, ...] = ("CPUExecutionProvider",),
) -> Any:
    """Return an ``onnxruntime.InferenceSession`` of a graph, its weights handed over in memory.

    Args:
        graph: what to run.
        options: ``SessionOptions``; one thread if not given.
        providers: what runs it, best first.
    """
    return started(*graph.skeleton(), options, providers)


def started(
    model: onnx.ModelProto,
    large: Mapping[str, Array],
    options: Any = None,
    providers: tuple[Any, ...] = ("CPUExecutionProvider",),
) -> Any:
    """Return a session of a model whose large weights stand beside it; see :func:`session`."""
    import onnxruntime

    if options is None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
    options.log_severity_level = 3
    values = [onnxruntime.OrtValue.ortvalue_from_numpy(array) for array in large.values()]
    if values:
        options.add_external_initializers(list(large), values)
    running = onnxruntime.InferenceSession(
        model.SerializeToString(), options, providers=list(providers)
    )
    running.weights_in_memory = values  # it reads them where they are, without a reference
    return running


def require_packages() -> None:
    """Raise ``MissingExtraError`` where ``onnx`` or ``onnxruntime`` is not installed."""
    from importlib.util import find_spec

    for package in ("onnx", "onnxruntime"):
        if find_spec(package) is None:
            raise MissingExtraError(package, "onnx")


def weight_bits() -> int:
    """Return how many bits of an int8 weight this processor can use without overflow.

    x86 without VNNI multiplies an unsigned by a signed byte and adds two such products in 16 bits
    that saturate (``VPMADDUBSW``; ONNX Runtime, "Quantize ONNX Models", on ``reduce_range``): 2 ×
    255 × 127 is too much, 2 × 255 × 63 is not. Unsigned weights would go by 16-bit factors, at
    half the speed. With VNNI, and on Arm, products are added in 32 bits.
    """
    try:
        with open("/proc/cpuinfo") as file:  # noqa: PTH123
            text = file.read()
    except OSError:
        return 8
    return 7 if "avx2" in text and "vnni" not in text else 8
