"""RAPL: the energy counters of a CPU package, through powercap in sysfs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from pareto_prune.core.records import Grade
from pareto_prune.measure.clock import Clock
from pareto_prune.measure.energy import CounterError, meters

ROOT_VARIABLE = "PARETO_PRUNE_POWERCAP_ROOT"
UNIT_UJ = 61
"""One step of the counter, 2⁻¹⁴ J, in µJ."""

_DEFAULT_ROOT = "/sys/class/powercap"
_SAME_UJ = 500_000
_MISSING = (
    "no RAPL zone under {root}; a kernel with intel_rapl_common on a machine that is not virtual, "
    "or a tree that the hypervisor exports and {variable} points to, would change that"
)
_FORBIDDEN = (
    "{path} is not readable; sudo chmod a+r it (a udev rule makes that last), or bind-mount "
    "/sys/devices/virtual/powercap into the container"
)


@meters.register("rapl")
@dataclass(frozen=True)
class Rapl:
    """The counters of the CPU packages and their memory, read in sysfs."""

    rank: ClassVar[int] = 2

    @staticmethod
    def why_not() -> str | None:
        """Return what keeps the counters from being read."""
        try:
            _readable(zones(root()))
        except CounterError as error:
            return str(error)
        return None

    def open(self, device: str, clock: Clock) -> RaplCounter:
        """Return a counter of all packages of this machine."""
        if device != "cpu":
            raise CounterError(f"it counts CPU packages, and the engine runs on {device}")
        found = _without_mirrors(_readable(zones(root())), clock)
        return RaplCounter(tuple(found))


@dataclass(frozen=True)
class Zone:
    """One counter: ``package-0``, or the ``dram`` nested in it.

    Attributes:
        wrap: µJ after which it starts from 0; ``None`` if that cannot be read.
    """

    name: str
    path: Path
    wrap: int | None

    def read(self) -> int:
        """Return the µJ that it stands at."""
        try:
            return int((self.path / "energy_uj").read_text())
        except PermissionError as error:
            raise CounterError(_FORBIDDEN.format(path=self.path / "energy_uj")) from error
        except (OSError, ValueError) as error:
            raise CounterError(f"{self.path / 'energy_uj'} cannot be read: {error}") from error


@dataclass(frozen=True)
class RaplCounter:
    """The sum of the zones of a machine."""

    zones: tuple[Zone, ...]
    source: str = "rapl"
    grade: Grade = "measured"
    limit: float | None = None
    flags: tuple[str, ...] = ()

    @property
    def scope(self) -> str:
        """``package``, or ``package+dram``."""
        return "package+dram" if any(zone.name == "dram" for zone in self.zones) else "package"

    def read(self) -> tuple[int, ...]:
        """Return the µJ of every zone."""
        return tuple(zone.read() for zone in self.zones)

    def joules(self, start: tuple[int, ...], end: tuple[int, ...]) -> float:
        """Return the joules between two readings, at most one wrap apart."""
        moved = (
            difference(a, b, zone.wrap) for a, b, zone in zip(start, end, self.zones, strict=True)
        )
        return sum(moved) / 1e6

    def power(self) -> float | None:
        """There is no sensor beside the counter."""
        return None

    def foreign(self) -> bool | None:
        """The load of the whole machine tells; the counter does not."""
        return None

    def details(self) -> dict[str, str]:
        """Return the zones that are summed."""
        return {"zones": ", ".join(f"{zone.name} ({zone.path.name})" for zone in self.zones)}

    def close(self) -> None:
        """Nothing is held."""


def difference(start: int, end: int, wrap: int | None) -> int:
    """Return the µJ from one reading to a later one.

    Right for any distance below one wrap, which takes minutes at full power.

    Raises:
        CounterError: it fell, and where it wraps is not known.
    """
    if wrap is not None:
        return (end - start) % wrap
    if end < start:
        raise CounterError("the counter fell, and where it wraps cannot be read")
    return end - start


def root() -> Path:
    """Return the folder of the powercap tree."""
    return Path(os.environ.get(ROOT_VARIABLE) or _DEFAULT_ROOT)


def zones(tree: Path) -> list[Zone]:
    """Return the zones to sum: packages (or their dies) and the dram nested in them.

    ``psys`` contains the packages and is left out; so are ``core`` and ``uncore``, which they
    contain, and the twins that the memory-mapped interface shows.

    Raises:
        CounterError: there is none.
    """
    folders = {folder.name: folder for folder in _folders(tree)}
    names = {key: _text(folder / "name") for key, folder in folders.items()}
    packages = {key for key, name in names.items() if name.startswith("package-")}
    chosen = [
        key
        for key, name in names.items()
        if key in packages or (name == "dram" and key.rpartition(":")[0] in packages)
    ]
    if not chosen:
        raise CounterError(_MISSING.format(root=tree, variable=ROOT_VARIABLE))
    return [Zone(names[key], folders[key], _wrap(folders[key])) for key in sorted(chosen)]


def _folders(tree: Path) -> Iterator[Path]:
    """Yield the folders of zones, at any depth; sysfs shows nested ones at the top as well."""
    try:
        children = sorted(tree.iterdir())
    except OSError:
        return
    for child in children:
        if ":" in child.name and not child.name.startswith("intel-rapl-mmio"):
            yield child
            yield from _folders(child)
        elif child.name == "intel-rapl":
            yield from _folders(child)


def _wrap(folder: Path) -> int | None:
    text = _text(folder / "max_energy_range_uj")
    return int(text) + UNIT_UJ if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""


def _readable(found: list[Zone]) -> list[Zone]:
    for zone in found:
        zone.read()
    return found


def _without_mirrors(found: list[Zone], clock: Clock) -> list[Zone]:
    """Return the zones without those that repeat another one of the same package.

    On some parts every die shows the whole package. Two counters that were within half a joule
    of each other twice are one.
    """
    first = [zone.read() for zone in found]
    clock.sleep(0.01)
    second = [zone.read() for zone in found]
    kept: list[int] = []
    for i, zone in enumerate(found):
        twins = (
            j
            for j in kept
            if _same_package(found[j].name, zone.name)
            and abs(first[i] - first[j]) < _SAME_UJ
            and abs(second[i] - second[j]) < _SAME_UJ
        )
        if next(twins, None) is None:
            kept.append(i)
    return [found[i] for i in kept]


def _same_package(one: str, other: str) -> bool:
    """Whether two zones are dies of one package (``package-0-die-0``, ``package-0-die-1``)."""
    package, _, die = one.partition("-die-")
    other_package, _, other_die = other.partition("-die-")
    return bool(die and other_die) and package == other_package
