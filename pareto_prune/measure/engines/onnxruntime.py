"""ONNX Runtime."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar

from pareto_prune.measure.engines import Settings, engines, not_installed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from pareto_prune.measure.engines import Inputs
    from pareto_prune.models.onnx_graph import Built
    from pareto_prune.models.onnx_graph.traced import Traced


@engines.register("onnxruntime")
@dataclass(frozen=True)
class OnnxRuntime:
    """ONNX Runtime on a graph that gives the same logits, on a CPU or an NVIDIA GPU."""

    quiet_threads: ClassVar[int] = 1
    calibrates: ClassVar[bool] = True

    @staticmethod
    def why_not() -> str | None:
        """Return which package is missing."""
        return not_installed("onnx", "onnx", "onnxruntime")

    @staticmethod
    def why_not_on(device: str) -> str | None:
        """Return why ONNX Runtime cannot use ``device``."""
        if device == "cpu":
            return None
        if not device.startswith("cuda:"):
            return f"device {device!r} is not known, allowed: cpu, cuda, cuda:N"
        if "CUDAExecutionProvider" not in _providers():
            return "this build has no CUDA provider; the package onnxruntime-gpu would change that"
        return None

    @staticmethod
    def dtypes(device: str) -> tuple[str, ...]:
        """Return its dtypes; there are no kernels for bfloat16, and none for int8 on a GPU."""
        return ("float32", "float16", "int8") if device == "cpu" else ("float32", "float16")

    def version(self) -> str:
        """Return ONNX Runtime's version."""
        import onnxruntime

        return f"onnxruntime {onnxruntime.__version__}"

    def prepare(self, model: PreTrainedModel, settings: Settings) -> OnnxSession:
        """Return a session of the model's graph, once its logits were found to be the model's."""
        from pareto_prune.models import onnx_graph

        dtype: onnx_graph.Dtype = settings.dtype  # type: ignore[assignment]
        graph = onnx_graph.exact(model, dtype, texts=settings.texts)
        return OnnxSession.of(graph, settings)

    def exclusive(self) -> AbstractContextManager[None]:
        """Its threads are its own: nothing to give back."""
        return nullcontext()


@dataclass(frozen=True)
class OnnxSession:
    """One model as a graph."""

    running: Any
    graph: Built | Traced
    settings: Settings

    @classmethod
    def of(cls, graph: Built | Traced, settings: Settings) -> OnnxSession:
        """Start a session of a graph."""
        from pareto_prune.models import onnx_graph

        running = onnx_graph.session(graph, _options(settings), _ranked(settings.device))
        return cls(running, graph, settings)

    def bind(self, inputs: Inputs) -> Callable[[], Any]:
        """Return a call that runs the graph."""
        run, feed = self.running.run, {name: inputs[name] for name in self.graph.inputs}
        return lambda: run(None, feed)

    def logits(self, inputs: Inputs) -> NDArray[np.float32]:
        """Return the logits of these inputs."""
        logits: NDArray[np.float32] = self.bind(inputs)()[0]
        return logits

    def twin(self) -> OnnxSession:
        """Return another session of the same graph."""
        return self.of(self.graph, self.settings)


def _providers() -> list[str]:
    if find_spec("onnxruntime") is None:
        return []
    import onnxruntime

    available: list[str] = onnxruntime.get_available_providers()
    return available


def _ranked(device: str) -> tuple[Any, ...]:
    cpu = "CPUExecutionProvider"
    if device == "cpu":
        return (cpu,)
    return (("CUDAExecutionProvider", {"device_id": device.partition(":")[2]}), cpu)


def _options(settings: Settings) -> Any:
    """Return options under which two sessions of one process leave each other alone.

    Each session has threads of its own; they must not go on spinning when its call is over.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = settings.threads
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.force_spinning_stop", "1")
    return options
