"""OpenVINO, on the graph that ONNX Runtime runs."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pareto_prune.measure.engines import Settings, engines, not_installed

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from pareto_prune.measure.engines import Inputs

_PRECISIONS = {"float32": "f32", "bfloat16": "bf16", "float16": "f16", "int8": "f32"}
"""Of what is not quantised; integers stand in the graph."""
_CAPABILITIES = {"bfloat16": "BF16", "float16": "FP16", "int8": "INT8"}


@engines.register("openvino")
@dataclass(frozen=True)
class OpenVino:
    """OpenVINO on a graph that gives the same logits, on a CPU."""

    quiet_threads: ClassVar[int] = 1
    calibrates: ClassVar[bool] = True

    @staticmethod
    def why_not() -> str | None:
        """Return which package is missing; the graph is checked by ONNX Runtime."""
        return not_installed("openvino", "openvino", "onnx", "onnxruntime")

    @staticmethod
    def why_not_on(device: str) -> str | None:
        """Return why it is not run on ``device``."""
        if device == "cpu":
            return None
        if not device.startswith("cuda:"):
            return f"device {device!r} is not known, allowed: cpu"
        return "OpenVINO has no CUDA; the engine eager or onnxruntime would change that"

    @staticmethod
    def dtypes(device: str) -> tuple[str, ...]:
        """Return float32, and what this processor multiplies natively."""
        if device != "cpu" or OpenVino.why_not() is not None:
            return ("float32",)
        import openvino

        able = openvino.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
        return ("float32", *(name for name, needed in _CAPABILITIES.items() if needed in able))

    def version(self) -> str:
        """Return OpenVINO's version."""
        import openvino

        return f"openvino {openvino.__version__.partition('-')[0]}"

    def prepare(self, model: PreTrainedModel, settings: Settings) -> OpenVinoSession:
        """Return a session of the model's graph, once its logits were found to be the model's."""
        from pareto_prune.models import onnx_graph

        dtype: onnx_graph.Dtype = "int8" if settings.dtype == "int8" else "float32"
        graph = onnx_graph.exact(model, dtype, texts=settings.texts)
        return OpenVinoSession.read(graph.proto().SerializeToString(), settings)

    def exclusive(self) -> AbstractContextManager[None]:
        """Its threads are its own: nothing to give back."""
        return nullcontext()


@dataclass(frozen=True)
class OpenVinoSession:
    """One model, compiled."""

    compiled: Any
    network: Any
    inputs: tuple[str, ...]
    settings: Settings

    @classmethod
    def read(cls, graph: bytes | Path, settings: Settings) -> OpenVinoSession:
        """Compile an ONNX graph, or that of a file."""
        import openvino

        return cls.of(openvino.Core().read_model(graph), settings)

    @classmethod
    def of(cls, network: Any, settings: Settings) -> OpenVinoSession:
        """Compile a network."""
        import openvino

        compiled = openvino.Core().compile_model(network, "CPU", _options(settings))
        inputs = tuple(given.any_name for given in compiled.inputs)
        return cls(compiled, network, inputs, settings)

    def bind(self, inputs: Inputs) -> Callable[[], Any]:
        """Return a call that runs the network; the inputs are handed over, not copied."""
        request = self.compiled.create_infer_request()
        feed = {name: inputs[name] for name in self.inputs}
        return lambda: request.infer(feed, share_inputs=True)

    def logits(self, inputs: Inputs) -> NDArray[np.float32]:
        """Return the logits of these inputs."""
        logits: NDArray[np.float32] = self.bind(inputs)()[self.compiled.output(0)]
        return logits

    def twin(self) -> OpenVinoSession:
        """Return the same network, compiled again."""
        return self.of(self.network, self.settings)


def _options(settings: Settings) -> dict[str, Any]:
    """Return options under which two sessions of one process leave each other alone."""
    return {
        "INFERENCE_NUM_THREADS": settings.threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
        "ENABLE_CPU_PINNING": False,
        "INFERENCE_PRECISION_HINT": _PRECISIONS[settings.dtype],
    }
