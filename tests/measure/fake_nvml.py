# ruff: noqa: N802  (the names are NVML's)
"""An NVML library under the real bindings: what ``ctypes`` would call, in Python."""

from dataclasses import dataclass, field
from typing import Any

import pynvml

SUCCESS = pynvml.NVML_SUCCESS
NOT_SUPPORTED = pynvml.NVML_ERROR_NOT_SUPPORTED
LOST = pynvml.NVML_ERROR_GPU_IS_LOST


@dataclass
class FakeGpu:
    """One GPU whose counter moves every ``tick`` seconds of a scripted clock.

    ``returns`` holds what a function returns instead of success.
    """

    uuid: str
    clock: Any = None
    name: str = "Fake A100"
    watts: float = 200.0
    tick: float = 0.1
    mig: int | None = 0
    limit: float = 400.0
    pids: list[int] = field(default_factory=list)
    busy: dict[int, int] = field(default_factory=dict)
    returns: dict[str, int] = field(default_factory=dict)

    def energy(self) -> int:
        steps = int(self.clock.now() / self.tick + 1e-9)
        return int(steps * self.tick * self.watts * 1000)


class FakeNvml:
    """The functions of ``libnvidia-ml.so.1`` that are used. A handle is a position."""

    def __init__(self, *gpus: FakeGpu, slices: dict[str, int] | None = None) -> None:
        self.gpus = list(gpus)
        self.slices = slices or {}
        self.calls: list[str] = []

    def __getattr__(self, name: str) -> Any:
        function = getattr(type(self), f"_{name}", None)
        if function is None:
            raise AttributeError(name)

        def call(*arguments: Any) -> int:
            self.calls.append(name)
            handle = arguments[0] if arguments else None
            gpu = self._gpu(handle)
            if gpu is not None and name in gpu.returns:
                return gpu.returns[name]
            return int(function(self, *arguments) or 0)

        return call

    def _gpu(self, handle: Any) -> FakeGpu | None:
        if not isinstance(handle, pynvml.c_nvmlDevice_t):
            return None
        return self.gpus[self._index(handle)]

    @staticmethod
    def _index(handle: Any) -> int:
        import ctypes

        address = ctypes.cast(handle, ctypes.c_void_p).value
        assert address is not None
        return (address - 1000) % 100

    @staticmethod
    def _fill(reference: Any, address: int) -> None:
        import ctypes

        pointer = ctypes.cast(ctypes.c_void_p(address), pynvml.c_nvmlDevice_t)
        ctypes.memmove(ctypes.byref(reference._obj), ctypes.byref(pointer), ctypes.sizeof(pointer))

    def _nvmlInitWithFlags(self, flags: Any) -> None:
        pass

    def _nvmlDeviceGetCount_v2(self, count: Any) -> None:
        count._obj.value = len(self.gpus)

    def _nvmlDeviceGetHandleByIndex_v2(self, index: Any, handle: Any) -> int | None:
        if index.value >= len(self.gpus):
            return pynvml.NVML_ERROR_INVALID_ARGUMENT
        self._fill(handle, 1000 + index.value)
        return None

    def _nvmlDeviceGetHandleByUUID(self, uuid: Any, handle: Any) -> int | None:
        text = uuid.value.decode()
        for index, gpu in enumerate(self.gpus):
            if gpu.uuid == text:
                self._fill(handle, 1000 + index)
                return None
        if text in self.slices:
            self._fill(handle, 1100 + self.slices[text])
            return None
        return pynvml.NVML_ERROR_NOT_FOUND

    def _nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, sliced: Any, handle: Any) -> None:
        self._fill(handle, 1000 + self._index(sliced))

    def _nvmlDeviceGetUUID(self, handle: Any, buffer: Any, size: Any) -> None:
        buffer.value = self.gpus[self._index(handle)].uuid.encode()

    def _nvmlDeviceGetName(self, handle: Any, buffer: Any, size: Any) -> None:
        buffer.value = self.gpus[self._index(handle)].name.encode()

    def _nvmlDeviceGetMigMode(self, handle: Any, current: Any, pending: Any) -> int | None:
        mode = self.gpus[self._index(handle)].mig
        if mode is None:
            return NOT_SUPPORTED
        current._obj.value = pending._obj.value = mode
        return None

    def _nvmlDeviceGetTotalEnergyConsumption(self, handle: Any, millijoules: Any) -> None:
        millijoules._obj.value = self.gpus[self._index(handle)].energy()

    def _nvmlDeviceGetPowerUsage(self, handle: Any, milliwatts: Any) -> None:
        milliwatts._obj.value = int(self.gpus[self._index(handle)].watts * 1000)

    def _nvmlDeviceGetFieldValues(self, handle: Any, count: Any, values: Any) -> None:
        for value in values._obj:
            value.nvmlReturn = SUCCESS
            value.value.uiVal = int(self.gpus[self._index(handle)].watts * 1000)

    def _nvmlDeviceGetEnforcedPowerLimit(self, handle: Any, milliwatts: Any) -> None:
        milliwatts._obj.value = int(self.gpus[self._index(handle)].limit * 1000)

    def _nvmlDeviceGetClockInfo(self, handle: Any, kind: Any, megahertz: Any) -> None:
        megahertz._obj.value = 1410

    def _nvmlSystemGetDriverVersion(self, buffer: Any, size: Any) -> None:
        buffer.value = b"550.54"

    def _nvmlDeviceGetComputeRunningProcesses_v3(
        self, handle: Any, count: Any, array: Any
    ) -> int | None:
        pids = self.gpus[self._index(handle)].pids
        if array is None and pids:
            count._obj.value = len(pids)
            return pynvml.NVML_ERROR_INSUFFICIENT_SIZE
        for place, pid in enumerate(pids):
            array[place].pid = pid
        count._obj.value = len(pids)
        return None

    def _nvmlDeviceGetProcessUtilization(
        self, handle: Any, array: Any, count: Any, since: Any
    ) -> int | None:
        busy = self.gpus[self._index(handle)].busy
        if array is None:
            count._obj.value = len(busy)
            return pynvml.NVML_ERROR_INSUFFICIENT_SIZE
        for place, (pid, share) in enumerate(busy.items()):
            array[place].pid, array[place].smUtil = pid, share
            array[place].timeStamp = since.value + 1
        count._obj.value = len(busy)
        return None
