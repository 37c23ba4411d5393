"""Eager PyTorch."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

from pareto_prune.measure.engines import Settings, engines

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray
    from torch import Tensor, nn
    from transformers import PreTrainedModel

    from pareto_prune.measure.engines import Inputs


@engines.register("eager")
@dataclass(frozen=True)
class Eager:
    """PyTorch as it is, on a CPU or an NVIDIA GPU."""

    quiet_threads: ClassVar[int] = 1
    calibrates: ClassVar[bool] = False

    @staticmethod
    def why_not() -> str | None:
        """PyTorch is always there."""
        return None

    @staticmethod
    def why_not_on(device: str) -> str | None:
        """Return why PyTorch cannot use ``device``."""
        import torch

        if device == "cpu":
            return None
        if not device.startswith("cuda:"):
            return f"device {device!r} is not known, allowed: cpu, cuda, cuda:N"
        if not torch.cuda.is_available():
            return "PyTorch sees no CUDA GPU; a build with CUDA and a driver would change that"
        count = torch.cuda.device_count()
        index = int(device.partition(":")[2])
        return None if index < count else f"PyTorch sees {count} GPUs, cuda:{index} is none of them"

    @staticmethod
    def dtypes(device: str) -> tuple[str, ...]:
        """Dynamic int8 runs on CPUs only."""
        floats = ("float32", "bfloat16", "float16")
        return (*floats, "int8") if device == "cpu" and _has_int8() else floats

    def version(self) -> str:
        """Return PyTorch's version."""
        import torch

        return f"torch {torch.__version__}"

    def prepare(self, model: PreTrainedModel, settings: Settings) -> EagerSession:
        """Return a session of a copy of ``model`` in the dtype asked for."""
        import torch

        own = copy.deepcopy(model).eval().requires_grad_(False)
        if settings.dtype == "int8":
            own = own.to(settings.device)
            _quantise(own)
        else:
            own = own.to(settings.device, getattr(torch, settings.dtype))
        return EagerSession(own, settings)

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        """Give the process its number of threads back at the end of a block."""
        import torch

        threads = torch.get_num_threads()
        try:
            yield
        finally:
            torch.set_num_threads(threads)


@dataclass(frozen=True)
class EagerSession:
    """One model as a module."""

    model: PreTrainedModel
    settings: Settings

    def bind(self, inputs: Inputs) -> Callable[[], Any]:
        """Return a call that runs the model; on a GPU it moves inputs and logits and waits."""
        import torch

        from pareto_prune.models.onnx_graph import input_names

        device, threads, model = self.settings.device, self.settings.threads, self.model
        names = input_names(self.model)
        tensors = {name: torch.from_numpy(inputs[name]) for name in names}
        if device != "cpu":
            tensors = {name: tensor.pin_memory() for name, tensor in tensors.items()}

        def run() -> Tensor:
            if torch.get_num_threads() != threads:
                torch.set_num_threads(threads)
            with torch.inference_mode():
                given = {name: t.to(device, non_blocking=True) for name, t in tensors.items()}
                logits: Tensor = model(**given).logits.float().cpu()
            return logits

        return run

    def logits(self, inputs: Inputs) -> NDArray[np.float32]:
        """Return the logits of these inputs."""
        logits: NDArray[np.float32] = self.bind(inputs)().numpy()
        return logits

    def twin(self) -> EagerSession:
        """Return another copy of the model."""
        return EagerSession(copy.deepcopy(self.model), self.settings)


def _has_int8() -> bool:
    import torch

    known = hasattr(torch, "quantize_per_channel")
    return known and any(e != "none" for e in torch.backends.quantized.supported_engines)


def _quantise(model: nn.Module) -> None:
    """Replace every projection by one with int8 weights; activations are quantised as they come.

    One scale a row of weights, symmetric; one a tensor of activations, asymmetric.
    """
    from torch import nn

    from pareto_prune.models.layout import weight

    for parent in list(model.modules()):
        for name, module in list(parent.named_children()):
            if isinstance(module, nn.Linear) or type(module).__name__ == "Conv1D":
                bias: Any = getattr(module, "bias", None)
                setattr(parent, name, _int8_linear(weight(module), bias))


def _int8_linear(weight: Tensor, bias: Tensor | None) -> nn.Module:
    import torch

    class Int8Linear(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.packed = torch.ops.quantized.linear_prepack(_int8(weight), bias)

        def forward(self, x: Tensor) -> Any:
            return torch.ops.quantized.linear_dynamic(x, self.packed, True)

    return Int8Linear()


def _int8(weight: Tensor) -> torch.Tensor:
    import torch

    scales = (weight.abs().amax(1).clamp_min(1e-12) / 127).double()
    zeros = torch.zeros(len(scales), dtype=torch.long)
    with warnings.catch_warnings():  # quantised tensors are to leave PyTorch, with no successor yet
        warnings.simplefilter("ignore")
        return torch.quantize_per_channel(weight.contiguous(), scales, zeros, 0, torch.qint8)
