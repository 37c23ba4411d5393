import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pynvml
import pytest

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.errors import UserError
from pareto_prune.measure import counters
from pareto_prune.measure.energy import CounterError, choose, nvml
from pareto_prune.measure.energy.nvml import Nvml, find_gpu
from pareto_prune.measure.windows import Gauge, take
from tests.measure.fake_nvml import LOST, NOT_SUPPORTED, FakeGpu, FakeNvml
from tests.measure.scripted import ScriptedClock, call

A, B = "GPU-aaaaaaaa-1111", "GPU-bbbbbbbb-2222"


class PatientClock(ScriptedClock):
    """Looking at it takes 0.1 ms, so that who polls gets somewhere."""

    def now(self) -> float:
        self.wall += 1e-4
        return self.wall


@pytest.fixture
def clock() -> ScriptedClock:
    return PatientClock()


@pytest.fixture
def library(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Puts a library under the real bindings."""

    def install(*gpus: FakeGpu, **options: Any) -> FakeNvml:
        fake = FakeNvml(*gpus, **options)
        monkeypatch.setattr(pynvml, "nvmlLib", fake)
        pynvml._nvmlGetFunctionPointer_cache.clear()
        return fake

    monkeypatch.setattr(nvml, "_cuda_uuid", lambda index: None)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield install
    pynvml._nvmlGetFunctionPointer_cache.clear()


@pytest.mark.parametrize("tick", [0.1, 0.02])
def test_joules_of_a_counter_that_moves_in_steps(
    library: Any, clock: ScriptedClock, tick: float
) -> None:
    library(FakeGpu(A, clock, watts=250.0, tick=tick))
    counter = Nvml().open("cuda:0", clock)
    facts = counters.calibrate(counter, clock)
    assert facts.tick == pytest.approx(tick, rel=0.05)
    assert facts.idle == pytest.approx(250, rel=0.1)
    assert facts.reason is None
    window = take(call(clock, 0.003), Gauge(clock, counter, facts.tick), calls=1)
    assert window.joules is not None
    assert window.joules / window.seconds == pytest.approx(250, rel=0.01)
    assert (counter.source, counter.scope, counter.grade) == ("nvml", "gpu", "measured")


def test_a_window_shorter_than_ten_steps_is_unknown(library: Any, clock: ScriptedClock) -> None:
    library(FakeGpu(A, clock))
    gauge = Gauge(clock, Nvml().open("cuda:0", clock), 0.1)
    start = gauge.edge()
    clock.work(0.05)
    window = gauge.between(start, gauge.edge(), 1)
    assert window.joules is None
    assert "shorter than 10 steps" in str(window.reason)


def test_a_gpu_without_a_counter_has_its_power_sampled_and_says_so(
    library: Any, clock: ScriptedClock
) -> None:
    silent = {"nvmlDeviceGetTotalEnergyConsumption": NOT_SUPPORTED}
    library(FakeGpu(A, clock, watts=120.0, returns=silent))
    counter = Nvml().open("cuda:0", clock)
    try:
        start = counter.read()
        clock.wait(2.0)
        assert counter.joules(start, counter.read()) == pytest.approx(240, rel=0.01)
        assert counter.source == "nvml_power"
        assert counter.flags == ("sampled_power",)
    finally:
        counter.close()


def test_the_mean_power_serves_where_the_instant_is_not_told(
    library: Any, clock: ScriptedClock
) -> None:
    library(FakeGpu(A, clock, watts=90.0, returns={"nvmlDeviceGetFieldValues": NOT_SUPPORTED}))
    assert Nvml().open("cuda:0", clock).power() == pytest.approx(90)


def test_a_gpu_that_tells_nothing_is_refused(library: Any, clock: ScriptedClock) -> None:
    names = ("TotalEnergyConsumption", "FieldValues", "PowerUsage")
    silent = {f"nvmlDeviceGet{name}": NOT_SUPPORTED for name in names}
    library(FakeGpu(A, clock, returns=silent))
    with pytest.raises(CounterError, match="neither its energy nor its power"):
        Nvml().open("cuda:0", clock)
    with pytest.raises(UserError, match=r"^measure\.meter: nvml cannot be used"):
        choose(MeasureTable(meter="nvml"), "cuda:0", clock)


def test_a_gpu_that_is_lost_on_the_way_is_unknown_never_zero(
    library: Any, clock: ScriptedClock
) -> None:
    gpu = FakeGpu(A, clock)
    library(gpu)
    counter = Nvml().open("cuda:0", clock)

    def work() -> None:
        clock.work(0.3)
        gpu.returns["nvmlDeviceGetTotalEnergyConsumption"] = LOST
        gpu.returns["nvmlDeviceGetComputeRunningProcesses_v3"] = LOST

    window = take(work, Gauge(clock, counter, 0.1), calls=1)
    assert window.joules is None
    assert "lost" in str(window.reason)


def test_a_gpu_that_is_lost_from_the_start_is_refused(library: Any, clock: ScriptedClock) -> None:
    library(FakeGpu(A, clock, returns={"nvmlDeviceGetTotalEnergyConsumption": LOST}))
    with pytest.raises(CounterError, match="lost"):
        Nvml().open("cuda:0", clock)


def test_a_counter_that_stands_still_is_found_in_calibration(
    library: Any, clock: ScriptedClock
) -> None:
    library(FakeGpu(A, clock, watts=0.0))
    facts = counters.calibrate(Nvml().open("cuda:0", clock), clock)
    assert facts.reason == "the counter does not move"
    assert facts.idle is None


def test_a_counter_that_disagrees_with_the_power_is_flagged(
    library: Any, clock: ScriptedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    library(FakeGpu(A, clock, watts=200.0))
    counter = Nvml().open("cuda:0", clock)
    monkeypatch.setattr(counter, "power", lambda: 60.0)
    assert counters.calibrate(counter, clock).flags == ("counter_and_power_disagree",)


@pytest.mark.parametrize(
    ("visible", "index", "found"),
    [
        (None, 0, A),
        (None, 1, B),
        ("1", 0, B),
        ("1,0", 1, A),
        (B, 0, B),
        ("GPU-bbbb", 0, B),
        (f"{B}, {A}", 1, A),
    ],
)
def test_the_gpu_is_the_one_that_cuda_means(
    library: Any,
    monkeypatch: pytest.MonkeyPatch,
    visible: str | None,
    index: int,
    found: str,
) -> None:
    library(FakeGpu(A), FakeGpu(B))
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    assert find_gpu(index).uuid == found


@pytest.mark.parametrize(
    ("visible", "index"), [("-1", 0), ("", 0), ("0", 1), ("7", 0), ("GPU-c", 0)]
)
def test_a_gpu_that_is_not_visible_is_an_error(
    library: Any, monkeypatch: pytest.MonkeyPatch, visible: str, index: int
) -> None:
    library(FakeGpu(A), FakeGpu(B))
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(CounterError, match="leaves no GPU"):
        find_gpu(index)


def test_an_index_that_differs_from_cudas_is_resolved_by_uuid(
    library: Any, monkeypatch: pytest.MonkeyPatch, clock: ScriptedClock
) -> None:
    """CUDA puts the faster GPU first, which NVML lists second."""
    library(FakeGpu(A, clock, watts=70.0), FakeGpu(B, clock, watts=300.0, name="Fake H100"))
    monkeypatch.setattr(nvml, "_cuda_uuid", lambda index: [B, A][index])
    counter = Nvml().open("cuda:0", clock)
    assert counter.gpu.uuid == B
    assert counter.power() == pytest.approx(300)


def test_a_uuid_is_a_gpus_or_else_a_slices(library: Any) -> None:
    library(FakeGpu(A))
    assert nvml._prefixed(A.removeprefix("GPU-")) == A
    assert nvml._prefixed(A) == A
    assert nvml._prefixed("cccc") == "MIG-cccc"


def test_an_order_that_only_cuda_knows_is_not_guessed(
    library: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    library(FakeGpu(A), FakeGpu(B, name="Fake H100"))
    with pytest.raises(CounterError, match="CUDA_DEVICE_ORDER=PCI_BUS_ID"):
        find_gpu(0)
    monkeypatch.setenv("CUDA_DEVICE_ORDER", "PCI_BUS_ID")
    assert find_gpu(1).uuid == B


def test_a_slice_of_a_gpu_is_attributed_to_the_board(
    library: Any, monkeypatch: pytest.MonkeyPatch, clock: ScriptedClock
) -> None:
    library(FakeGpu(A, clock, mig=1), slices={"MIG-cccc": 0})
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "MIG-cccc")
    counter = Nvml().open("cuda:0", clock)
    assert (counter.grade, counter.scope, counter.flags) == ("attributed", "board", ("mig",))
    with pytest.raises(UserError, match="attributed joules, not measured"):
        choose(MeasureTable(require_measured=True), "cuda:0", clock)


def test_a_gpu_that_knows_no_slices_is_whole(library: Any, clock: ScriptedClock) -> None:
    library(FakeGpu(A, clock, mig=None))
    assert Nvml().open("cuda:0", clock).grade == "measured"


@pytest.mark.parametrize(
    ("pids", "busy", "foreign"),
    [
        ([os.getpid()], {}, False),
        ([os.getpid(), 99999], {99999: 40}, True),
        ([os.getpid(), 99999], {99999: 0}, False),
        ([99999], {99999: 40}, None),
        ([], {}, None),
    ],
)
def test_who_else_computes_on_the_gpu(
    library: Any, clock: ScriptedClock, pids: list[int], busy: dict[int, int], foreign: bool | None
) -> None:
    """Process ids of another container's namespace say nothing."""
    library(FakeGpu(A, clock, pids=pids, busy=busy))
    assert Nvml().open("cuda:0", clock).foreign() is foreign


def test_driver_gpu_and_limit_are_recorded(library: Any, clock: ScriptedClock) -> None:
    library(FakeGpu(A, clock))
    counter = Nvml().open("cuda:0", clock)
    found = counter.details()
    assert found["driver"] == "550.54"
    assert found["gpu"] == "Fake A100"
    assert found["sm_clock_mhz"] == "1410"
    assert counter.limit == pytest.approx(400)


def test_power_above_the_limit_is_rejected(library: Any, clock: ScriptedClock) -> None:
    library(FakeGpu(A, clock, watts=600.0, limit=300.0))
    window = take(call(clock, 0.01), Gauge(clock, Nvml().open("cuda:0", clock), 0.1), calls=1)
    assert window.joules is None
    assert "above the limit of 300 W" in str(window.reason)


def test_no_gpu_and_no_library_say_so(library: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    library()
    assert Nvml.why_not() == "NVML sees no GPU"
    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "CDLL", _absent)
    pynvml._nvmlGetFunctionPointer_cache.clear()
    assert "libnvidia-ml.so.1 is not there" in str(Nvml.why_not())


def _absent(name: str) -> None:
    raise OSError(name)


def test_it_counts_no_cpu(library: Any, clock: ScriptedClock) -> None:
    library(FakeGpu(A, clock))
    with pytest.raises(CounterError, match="runs on cpu"):
        Nvml().open("cpu", clock)


LIBRARY = r"""
#include <string.h>
#include <time.h>
typedef void *handle;
static int gpu;
int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *n) { *n = 1; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned i, handle *h) { *h = &gpu; return i ? 2 : 0; }
int nvmlDeviceGetHandleByUUID(const char *u, handle *h) {
    *h = &gpu;
    return strcmp(u, "GPU-c") ? 6 : 0;
}
int nvmlDeviceGetUUID(handle h, char *b, unsigned n) { strncpy(b, "GPU-c", n); return 0; }
int nvmlDeviceGetName(handle h, char *b, unsigned n) { strncpy(b, "Compiled GPU", n); return 0; }
int nvmlDeviceGetMigMode(handle h, unsigned *a, unsigned *b) { return 3; }
int nvmlDeviceGetEnforcedPowerLimit(handle h, unsigned *mw) { *mw = 400000; return 0; }
int nvmlDeviceGetTotalEnergyConsumption(handle h, unsigned long long *mj) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    unsigned long long ms = t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
    *mj = ms / 20 * 20 * 150;          /* 150 W in steps of 20 ms */
    return 0;
}
"""

LOADING = """
from pareto_prune.measure.clock import SystemClock
from pareto_prune.measure.counters import calibrate
from pareto_prune.measure.energy import nvml
from pareto_prune.measure.windows import Gauge, take
nvml._cuda_uuid = lambda index: None
nvml.os.environ.pop("CUDA_VISIBLE_DEVICES", None)
assert nvml.Nvml.why_not() is None, nvml.Nvml.why_not()
clock = SystemClock()
counter = nvml.Nvml().open("cuda:0", clock)
assert counter.gpu.name == "Compiled GPU"
facts = calibrate(counter, clock)
assert 0.015 < facts.tick < 0.03, facts
assert abs(facts.idle - 150) < 10, facts
window = take(lambda: sum(range(1000)), Gauge(clock, counter, facts.tick), 1)
assert window.joules and abs(window.joules / window.seconds - 150) < 15, window
assert counter.foreign() is None and counter.power() is None
print("loaded")
"""


@pytest.mark.slow
def test_a_compiled_library_through_the_real_loader(tmp_path: Path) -> None:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler")
    source, library = tmp_path / "nvml.c", tmp_path / "libnvidia-ml.so.1"
    source.write_text(LIBRARY)
    flags = ["-shared", "-fPIC", "-Wl,-soname,libnvidia-ml.so.1"]
    subprocess.run([compiler, *flags, "-o", str(library), str(source)], check=True)
    done = subprocess.run(
        [sys.executable, "-c", LOADING],
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout.strip() == "loaded", done.stderr
