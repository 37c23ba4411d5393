import re
import subprocess
import sys
from pathlib import Path

import pytest

from pareto_prune.measure import environment as machine
from pareto_prune.measure.environment import environment

CPUINFO = """processor	: 0
vendor_id	: AuthenticAMD
cpu family	: 25
model		: 17
model name	: AMD EPYC
cpu MHz		: 2596.1
flags		: fpu avx2 hypervisor

processor	: 1
model name	: another
"""


@pytest.fixture
def roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("proc", "sys"):
        monkeypatch.setattr(machine, f"_{name.upper()}", tmp_path / name)
    machine.cpu_name.cache_clear()
    yield tmp_path
    machine.cpu_name.cache_clear()


def put(root: Path, path: str, text: str) -> None:
    (root / path).parent.mkdir(parents=True, exist_ok=True)
    (root / path).write_text(text)


def test_this_machine() -> None:
    found = environment()
    assert found.cores >= found.threads >= 1
    assert found.memory_gib > 0
    assert found.versions["torch"]
    assert re.match(r"^\d+\.\d+", found.python)


def test_what_a_cpu_and_its_container_say(roots: Path) -> None:
    put(roots, "proc/cpuinfo", CPUINFO)
    put(roots, "proc/meminfo", "MemTotal:       16777216 kB\nMemFree: 1 kB\n")
    put(roots, "sys/devices/system/cpu/cpu0/cpufreq/scaling_governor", "powersave\n")
    put(roots, "sys/devices/system/cpu/cpu0/cpufreq/cpuinfo_max_freq", "3700000\n")
    put(roots, "sys/devices/system/cpu/intel_pstate/no_turbo", "1\n")
    put(roots, "sys/fs/cgroup/cpu.max", "200000 100000\n")
    found = environment()
    assert found.device == "AMD EPYC (family 25 model 17)"
    assert found.memory_gib == 16
    details = found.details
    assert details["governor"] == "powersave"
    assert details["mhz_max"] == "3700"
    assert details["turbo"] == "off"
    assert details["cgroup_cpu"] == "200000 100000"
    assert details["hypervisor"] == "yes"


def test_what_cannot_be_read_is_left_out(roots: Path) -> None:
    found = environment(details={"driver": "550"})
    assert found.device
    assert set(found.details) == {"usable_cores", "driver"}


def test_what_is_measured_can_be_told() -> None:
    found = environment("Fake H100", threads=1, details={"meter": "nvml"})
    assert found.device == "Fake H100"
    assert found.threads == 1
    assert found.details["meter"] == "nvml"


def test_the_commit_of_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        machine, "__file__", str(tmp_path / "pareto_prune" / "measure" / "environment.py")
    )
    assert machine.commit() is None
    one, other = "a" * 40, "b" * 40
    put(tmp_path, ".git/HEAD", f"{one}\n")
    assert machine.commit() == one
    put(tmp_path, ".git/HEAD", "ref: refs/heads/main\n")
    put(tmp_path, ".git/packed-refs", f"# pack-refs\n{one} refs/heads/main\n")
    assert machine.commit() == one
    put(tmp_path, ".git/refs/heads/main", f"{other}\n")
    assert machine.commit() == other
    put(tmp_path, ".git/HEAD", "ref: refs/heads/gone\n")
    assert machine.commit() is None


def test_it_loads_no_torch() -> None:
    code = (
        "import sys; from pareto_prune.measure.environment import environment; environment(); "
        "sys.exit('torch' in sys.modules or 'pynvml' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
