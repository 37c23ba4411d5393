"""Inference engines: model → callable. What a study measures is what it will deploy.

A session owns a copy of the model's weights, so that training the model later changes nothing it
does. Several sessions of one engine live in a process without disturbing each other.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.registry import Registry

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from pareto_prune.models.onnx_graph import CalibrationTexts

    Inputs = Mapping[str, NDArray[np.int64]]

DTYPES = ("float32", "bfloat16", "float16", "int8")


@dataclass(frozen=True)
class Settings:
    """How an engine runs a model.

    Attributes:
        device: ``cpu`` or ``cuda:N``.
        threads: CPU threads.
        dtype: number format of weights and products.
        texts: that an engine calibrates int8 on, if it does; without them activations are quantised
            as they come (dynamic).
    """

    device: str = "cpu"
    threads: int = 1
    dtype: str = "float32"
    texts: CalibrationTexts | None = None


class Session(Protocol):
    """One model, ready to run."""

    def bind(self, inputs: Inputs) -> Callable[[], Any]:
        """Return a call that runs the model on these inputs and returns when it is done.

        Inputs are int64, (batch, tokens), in host memory; moving them to the device and the
        logits back is part of the call.
        """

    def logits(self, inputs: Inputs) -> NDArray[np.float32]:
        """Return the logits of these inputs."""

    def twin(self) -> Session:
        """Return a session of the same model in another place of memory."""


class Engine(Protocol):
    """What runs models. A member is a frozen dataclass.

    Attributes:
        quiet_threads: threads whose measurements repeat best.
        calibrates: whether its int8 is calibrated where there are texts to do it on.
    """

    quiet_threads: ClassVar[int]
    calibrates: ClassVar[bool]

    @staticmethod
    def why_not() -> str | None:
        """Return why it cannot be used here and what would change that; ``None`` if it can."""

    @staticmethod
    def why_not_on(device: str) -> str | None:
        """Return why it cannot be used on ``device``; ``None`` if it can."""

    @staticmethod
    def dtypes(device: str) -> tuple[str, ...]:
        """Return the dtypes it has on ``device``."""

    def version(self) -> str:
        """Return the name and version of what runs the models."""

    def prepare(self, model: PreTrainedModel, settings: Settings) -> Session:
        """Return a session of a copy of ``model``; its logits are those of the model."""

    def exclusive(self) -> AbstractContextManager[None]:
        """Give what it changes in the process (torch's threads) back at the end of a block."""


def not_installed(extra: str, *packages: str) -> str | None:
    """Return which of some packages are missing and the extra that has them; ``None`` if none."""
    missing = [name for name in packages if find_spec(name) is None]
    if not missing:
        return None
    return (
        f"{' and '.join(missing)} not installed; "
        f"pip install 'pareto-prune[{extra}]' would change that"
    )


engines: Registry[Engine] = Registry("inference engine", __name__)


def choose(table: MeasureTable) -> tuple[str, Engine, Settings]:
    """Return the engine that a study file asks for, by name, with its settings.

    ``auto`` is eager PyTorch on a GPU; on a CPU it is ONNX Runtime where that is installed.

    Raises:
        UserError: the engine, the device, the dtype or so many cores are not there; one line says
            what is.
    """
    device = _device(table)
    name = _default(device) if table.engine == "auto" else table.engine
    engine = engines.create(name, where="measure.engine")
    reason = engine.why_not() or engine.why_not_on(device)
    if reason is not None:
        raise UserError(Problem("measure.engine", f"{name} cannot be used: {reason}"))
    check_dtype(name, engine, device, table.dtype, "measure.dtype")
    check_threads(table.threads, "measure.threads")
    threads = table.threads or engine.quiet_threads
    return name, engine, Settings(device, threads, table.dtype)


def check_dtype(name: str, engine: Engine, device: str, dtype: str, where: str) -> None:
    """Raise ``UserError`` where an engine does not have a dtype on a device."""
    known = engine.dtypes(device)
    if dtype not in known:
        wrong = f"{name} has no {dtype} on {device}"
        raise UserError(Problem(where, wrong, f"allowed: {', '.join(known)}"))


def check_threads(threads: int, where: str) -> None:
    """Raise ``UserError`` where a machine has fewer cores than an engine is to have threads."""
    cores = os.cpu_count() or 1
    if threads > cores:
        wrong = f"{threads} is more than the {cores} cores of this machine"
        raise UserError(Problem(where, wrong, f"allowed: at most {cores}"))


def check_trains(device: str) -> None:
    """Raise ``UserError`` where PyTorch cannot train on a device (``cpu``, ``cuda:N``)."""
    reason = engines.create("eager").why_not_on(device)
    if reason is not None:
        raise UserError(Problem("measure.device", f"{device}: {reason}"))


def _device(table: MeasureTable) -> str:
    if table.device != "auto":
        return "cuda:0" if table.device == "cuda" else table.device
    if table.engine == "auto":
        return "cuda:0" if _has_cuda() else "cpu"
    usable = engines.create(table.engine, where="measure.engine").why_not_on("cuda:0") is None
    return "cuda:0" if usable else "cpu"


def _has_cuda() -> bool:
    import torch

    return torch.cuda.is_available()


def _default(device: str) -> str:
    if device == "cpu" and engines.create("onnxruntime").why_not() is None:
        return "onnxruntime"
    return "eager"
