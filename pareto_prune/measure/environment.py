"""The machine and the versions that a number was taken on. Loads no torch, no GPU library."""

from __future__ import annotations

import os
import platform
import re
import subprocess
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from pathlib import Path

from pareto_prune.core.records import Environment

PACKAGES = (
    "pareto-prune",
    "torch",
    "transformers",
    "datasets",
    "optuna",
    "onnxruntime",
    "onnxruntime-gpu",
    "openvino",
    "numpy",
    "nvidia-ml-py",
)

_PROC, _SYS = Path("/proc"), Path("/sys")
_KIB_A_GIB = 2**20
_HASH = re.compile(r"^[0-9a-f]{40}$")


def environment(
    device: str | None = None, threads: int | None = None, details: Mapping[str, str] | None = None
) -> Environment:
    """Return where this process runs.

    Args:
        device: model of the device that is measured; this CPU by default.
        threads: threads in use; by default those that the process may use.
        details: what else is known, such as the driver and the meter.
    """
    return Environment(
        device=device or cpu_name(),
        cores=os.cpu_count() or 1,
        threads=threads or usable_cores(),
        memory_gib=round(memory_gib(), 1),
        system=f"{platform.system()} {platform.release()} {platform.machine()}",
        python=platform.python_version(),
        versions=versions(),
        commit=commit(),
        details=cpu_details() | dict(details or {}),
    )


@cache
def cpu_name() -> str:
    """Return the model of the CPU; with family and model where its name is that of a series."""
    fields = _cpuinfo()
    name = fields.get("model name") or _brand() or platform.processor() or platform.machine()
    if "cpu family" not in fields:
        return name
    return f"{name} (family {fields['cpu family']} model {fields.get('model', '?')})"


def usable_cores() -> int:
    """Return the cores that this process may run on."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def memory_gib() -> float:
    """Return the memory of the machine; 0 if that cannot be read."""
    match = re.search(r"^MemTotal:\s*(\d+)", _text(_PROC / "meminfo"), re.MULTILINE)
    return int(match[1]) / _KIB_A_GIB if match else 0.0


@cache
def versions() -> dict[str, str]:
    """Return the versions of the packages that numbers depend on, of those installed."""
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def cpu_details() -> dict[str, str]:
    """Return governor, clock, cgroup limits and the like, where they can be read."""
    frequency = _SYS / "devices/system/cpu/cpu0/cpufreq"
    found = {
        "governor": _text(frequency / "scaling_governor"),
        "mhz": _cpuinfo().get("cpu MHz", ""),
        "mhz_max": _megahertz(_text(frequency / "cpuinfo_max_freq")),
        "turbo": _turbo(),
        "usable_cores": str(usable_cores()),
        "cgroup_cpu": _text(_SYS / "fs/cgroup/cpu.max"),
        "cgroup_memory": _text(_SYS / "fs/cgroup/memory.max"),
        "hypervisor": _hypervisor(),
    }
    return {name: value for name, value in found.items() if value}


def commit() -> str | None:
    """Return the commit of the checkout that this runs from; ``None`` if it is installed."""
    git = Path(__file__).resolve().parents[2] / ".git"
    head = _text(git / "HEAD")
    reference = head.removeprefix("ref: ")
    if reference != head:
        packed = re.search(
            rf"^([0-9a-f]{{40}}) {re.escape(reference)}$", _text(git / "packed-refs"), re.MULTILINE
        )
        head = _text(git / reference) or (packed[1] if packed else "")
    return head if _HASH.match(head) else None


def _cpuinfo() -> dict[str, str]:
    """Return the fields of the first processor of ``/proc/cpuinfo``."""
    first = _text(_PROC / "cpuinfo").partition("\n\n")[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {name.strip(): value.strip() for name, _, value in pairs}


def _brand() -> str:
    """Return the processor's name on macOS; empty elsewhere."""
    if platform.system() != "Darwin":
        return ""
    asked = ["/usr/sbin/sysctl", "-n", "machdep.cpu.brand_string"]
    return subprocess.run(asked, capture_output=True, text=True, check=False).stdout.strip()


def _megahertz(kilohertz: str) -> str:
    return str(int(kilohertz) // 1000) if kilohertz.isdigit() else ""


def _turbo() -> str:
    intel = _text(_SYS / "devices/system/cpu/intel_pstate/no_turbo")
    boost = _text(_SYS / "devices/system/cpu/cpufreq/boost")
    if intel:
        return "off" if intel == "1" else "on"
    return {"1": "on", "0": "off"}.get(boost, "")


def _hypervisor() -> str:
    if "hypervisor" not in _cpuinfo().get("flags", "").split():
        return ""
    return _text(_SYS / "class/dmi/id/sys_vendor") or "yes"


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
