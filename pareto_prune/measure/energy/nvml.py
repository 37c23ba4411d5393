"""NVML: the energy counter of an NVIDIA GPU."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Any, ClassVar, TypeVar

from pareto_prune.core.records import Grade
from pareto_prune.measure.clock import Clock
from pareto_prune.measure.energy import CounterError, meters

T = TypeVar("T")

SAMPLING_S = 0.02


@meters.register("nvml")
@dataclass(frozen=True)
class Nvml:
    """The energy counter of an NVIDIA GPU; its power, sampled, where it has none."""

    rank: ClassVar[int] = 1

    @staticmethod
    def why_not() -> str | None:
        """Return what keeps NVML from being used."""
        try:
            _initialise()
            count = _call(_pynvml().nvmlDeviceGetCount)
        except CounterError as error:
            return str(error)
        return None if count else "NVML sees no GPU"

    def open(self, device: str, clock: Clock) -> NvmlCounter:
        """Return a counter of the GPU that CUDA calls ``device``."""
        if not device.startswith("cuda"):
            raise CounterError(f"it counts NVIDIA GPUs, and the engine runs on {device}")
        _initialise()
        gpu = find_gpu(int(device.partition(":")[2] or 0))
        return NvmlCounter.of(gpu, clock)


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        handle: NVML's, of the whole board.
        shared: whether the process has a slice of it only (MIG).
    """

    handle: Any
    uuid: str
    name: str
    shared: bool


@dataclass
class NvmlCounter:
    """Joules of one GPU, from its counter or from its sampled power."""

    gpu: Gpu
    clock: Clock
    source: str
    scope: str
    grade: Grade
    limit: float | None
    flags: tuple[str, ...]
    sampler: _Sampler | None
    _seen: int = field(default=0, repr=False)

    @classmethod
    def of(cls, gpu: Gpu, clock: Clock) -> NvmlCounter:
        """Open a GPU; where it has no counter its power is sampled, and the flags say so."""
        sampler = None if _has_counter(gpu.handle) else _Sampler(gpu.handle, clock)
        flags = (("sampled_power",) if sampler else ()) + (("mig",) if gpu.shared else ())
        return cls(
            gpu=gpu,
            clock=clock,
            source="nvml_power" if sampler else "nvml",
            scope="board" if gpu.shared else "gpu",
            grade="attributed" if gpu.shared else "measured",
            limit=_optional(_pynvml().nvmlDeviceGetEnforcedPowerLimit, gpu.handle, scale=1e-3),
            flags=flags,
            sampler=sampler,
        )

    def read(self) -> float:
        """Return mJ since the driver was loaded, or since sampling began."""
        if self.sampler is not None:
            return self.sampler.read()
        return float(_call(_pynvml().nvmlDeviceGetTotalEnergyConsumption, self.gpu.handle))

    def joules(self, start: float, end: float) -> float:
        """Return the joules between two readings."""
        if end < start:
            raise CounterError("the counter fell")
        return (end - start) / 1e3

    def power(self) -> float | None:
        """Return the watts of this instant where the driver tells, else their recent mean."""
        return _power(self.gpu.handle)

    def foreign(self) -> bool | None:
        """Return whether another process has been computing on the GPU since the last call.

        ``None`` where the process table of this container does not show this process.
        """
        pids = _optional(_pynvml().nvmlDeviceGetComputeRunningProcesses_v3, self.gpu.handle)
        if pids is None or os.getpid() not in {process.pid for process in pids}:
            return None
        others = {process.pid for process in pids} - {os.getpid()}
        return bool(others) and self._busy(others)

    def details(self) -> dict[str, str]:
        """Return driver, GPU, clock and limit."""
        nvml = _pynvml()
        clock = _optional(nvml.nvmlDeviceGetClockInfo, self.gpu.handle, nvml.NVML_CLOCK_SM)
        found = {
            "gpu": self.gpu.name,
            "uuid": self.gpu.uuid,
            "driver": _optional(nvml.nvmlSystemGetDriverVersion),
            "sm_clock_mhz": clock,
            "power_limit_w": self.limit,
        }
        return {name: _text(value) for name, value in found.items() if value is not None}

    def close(self) -> None:
        """Stop sampling."""
        if self.sampler is not None:
            self.sampler.close()

    def _busy(self, pids: set[int]) -> bool:
        samples = _optional(_pynvml().nvmlDeviceGetProcessUtilization, self.gpu.handle, self._seen)
        if samples is None:
            return True
        self._seen = max([self._seen, *(int(sample.timeStamp) for sample in samples)])
        return any(sample.pid in pids and sample.smUtil > 0 for sample in samples)


class _Sampler:
    """Sums power over time in a thread of its own, for GPUs without a counter."""

    def __init__(self, handle: Any, clock: Clock) -> None:
        self._handle, self._clock = handle, clock
        self._millijoules, self._error = 0.0, ""
        self._last = self._sampled()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def read(self) -> float:
        """Return the mJ since sampling began."""
        with self._lock:
            self._step()
            return self._millijoules

    def close(self) -> None:
        """Stop."""
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.wait(SAMPLING_S):
            with self._lock:
                try:
                    self._step()
                except CounterError:
                    return

    def _step(self) -> None:
        now, watts = self._sampled()
        before, last = self._last
        self._millijoules += (now - before) * (watts + last) / 2 * 1e3
        self._last = (now, watts)

    def _sampled(self) -> tuple[float, float]:
        watts = _power(self._handle)
        if watts is None:
            raise CounterError("the GPU tells neither its energy nor its power")
        return self._clock.now(), watts


def find_gpu(index: int) -> Gpu:
    """Return the GPU that CUDA calls ``cuda:<index>`` in this process.

    CUDA numbers GPUs by speed and hides some, NVML shows all by their place on the bus; the UUID
    says which is which.

    Raises:
        CounterError: it cannot be told, or is lost.
    """
    uuid = _cuda_uuid(index) or _visible_uuid(index)
    nvml = _pynvml()
    handle = _handle_of(uuid)
    if uuid.startswith("MIG-"):
        handle = _call(nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle, handle)
    sliced = _optional(nvml.nvmlDeviceGetMigMode, handle)
    shared = sliced is not None and sliced[0] == nvml.NVML_DEVICE_MIG_ENABLE
    name = _text(_call(nvml.nvmlDeviceGetName, handle))
    return Gpu(handle, _text(_call(nvml.nvmlDeviceGetUUID, handle)), name, shared)


def _cuda_uuid(index: int) -> str | None:
    """Return the UUID that CUDA itself tells."""
    import torch

    if not torch.cuda.is_available() or index >= torch.cuda.device_count():
        return None
    uuid = getattr(torch.cuda.get_device_properties(index), "uuid", None)
    return None if uuid is None else _prefixed(str(uuid))


def _prefixed(uuid: str) -> str:
    """Return a UUID as NVML writes it: CUDA does not say whether it is a GPU's or a slice's."""
    bare = uuid.removeprefix("GPU-").removeprefix("MIG-")
    return f"GPU-{bare}" if f"GPU-{bare}" in _uuids() else f"MIG-{bare}"


def _visible_uuid(index: int) -> str:
    """Return the UUID by ``CUDA_VISIBLE_DEVICES``, where CUDA cannot be asked."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    every = _uuids()
    if visible is None:
        entries = [str(i) for i in range(len(every))]
    else:
        entries = [entry.strip() for entry in visible.split(",")]
    entry = entries[index] if index < len(entries) else "-1"
    if entry.startswith("MIG-"):
        return entry
    if entry.isdigit() and int(entry) < len(every):
        return _by_place(int(entry), every)
    named = [uuid for uuid in every if entry.startswith("GPU-") and uuid.startswith(entry)]
    if len(named) != 1:
        raise CounterError(f"CUDA_VISIBLE_DEVICES={visible} leaves no GPU for cuda:{index}")
    return named[0]


def _by_place(place: int, every: dict[str, str]) -> str:
    """Return the UUID at a place in CUDA's own order, where that is NVML's for certain."""
    same = len(set(every.values())) == 1
    if not same and os.environ.get("CUDA_DEVICE_ORDER") != "PCI_BUS_ID":
        raise CounterError(
            "GPUs of several kinds, which CUDA orders by speed; CUDA_DEVICE_ORDER=PCI_BUS_ID, "
            "or UUIDs in CUDA_VISIBLE_DEVICES, would change that"
        )
    return list(every)[place]


def _uuids() -> dict[str, str]:
    """Return UUID and name of every GPU, in NVML's order."""
    nvml = _pynvml()
    handles = [
        _call(nvml.nvmlDeviceGetHandleByIndex, i) for i in range(_call(nvml.nvmlDeviceGetCount))
    ]
    return {
        _text(_call(nvml.nvmlDeviceGetUUID, handle)): _text(_call(nvml.nvmlDeviceGetName, handle))
        for handle in handles
    }


def _handle_of(uuid: str) -> Any:
    return _call(_pynvml().nvmlDeviceGetHandleByUUID, uuid.encode())


def _has_counter(handle: Any) -> bool:
    return _optional(_pynvml().nvmlDeviceGetTotalEnergyConsumption, handle) is not None


def _power(handle: Any) -> float | None:
    nvml = _pynvml()
    fields = _optional(nvml.nvmlDeviceGetFieldValues, handle, [nvml.NVML_FI_DEV_POWER_INSTANT])
    if fields is not None and fields[0].nvmlReturn == nvml.NVML_SUCCESS:
        return float(fields[0].value.uiVal) / 1e3
    return _optional(nvml.nvmlDeviceGetPowerUsage, handle, scale=1e-3)


def _initialise() -> None:
    if find_spec("pynvml") is None:
        raise CounterError("pynvml is not installed; pip install nvidia-ml-py would change that")
    _call(_pynvml().nvmlInit)


def _call(function: Callable[..., T], *arguments: Any) -> T:
    """Call NVML; turn its errors into one line that says what would change them."""
    nvml = _pynvml()
    try:
        return function(*arguments)
    except nvml.NVMLError as error:
        raise CounterError(_explained(nvml, error)) from error


def _explained(nvml: Any, error: Any) -> str:
    known = {
        nvml.NVML_ERROR_LIBRARY_NOT_FOUND: "the NVIDIA driver's libnvidia-ml.so.1 is not there; "
        "a driver, or --gpus all for a container, would change that",
        nvml.NVML_ERROR_DRIVER_NOT_LOADED: "the NVIDIA driver is not loaded",
        nvml.NVML_ERROR_GPU_IS_LOST: "the GPU is lost; a reset or a reboot would change that",
        nvml.NVML_ERROR_NO_PERMISSION: "NVML may not be read by this user",
        nvml.NVML_ERROR_NOT_SUPPORTED: "the GPU does not tell",
    }
    return known.get(error.value, f"NVML says: {error}")


def _optional(function: Callable[..., Any], *arguments: Any, scale: float | None = None) -> Any:
    """Call NVML; return ``None`` where this GPU or driver does not tell.

    Raises:
        CounterError: the GPU is lost.
    """
    try:
        found = _call(function, *arguments)
    except CounterError as error:
        if getattr(error.__cause__, "value", None) == _pynvml().NVML_ERROR_GPU_IS_LOST:
            raise
        return None
    return found if scale is None else found * scale


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, bytes) else str(value)


def _pynvml() -> Any:
    import pynvml

    return pynvml
