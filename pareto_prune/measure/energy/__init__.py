"""Energy meters: who counts joules.

A meter opens a counter; a counter is read at the two edges of a window and never in between. What
is not known is an error with a reason, never 0 J.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.errors import ParetoPruneError, Problem, UserError
from pareto_prune.core.records import Grade
from pareto_prune.core.registry import Registry
from pareto_prune.measure.clock import Clock


class CounterError(ParetoPruneError):
    """A counter could not be read, or what it said cannot be."""


class Counter(Protocol):
    """Counts joules since some moment. Made by a meter, used by one process.

    Attributes:
        source: what counts (``nvml``, ``rapl``, ``cpu_time``).
        scope: what is counted (``gpu``, ``package``, ``process``).
        grade: measured, attributed or estimated.
        limit: watts that it cannot exceed; ``None`` if unknown.
        flags: what is odd about all it says.
    """

    source: str
    scope: str
    grade: Grade
    limit: float | None
    flags: tuple[str, ...]

    def read(self) -> Any:
        """Return the counter as it stands.

        Raises:
            CounterError: it cannot be read.
        """

    def joules(self, start: Any, end: Any) -> float:
        """Return the joules between two readings.

        Raises:
            CounterError: it fell by more than a wrap explains, or cannot be decoded.
        """

    def power(self) -> float | None:
        """Return the watts that the device itself reports now; ``None`` if it does not."""

    def foreign(self) -> bool | None:
        """Return whether other processes use the device now; ``None`` if that is not known."""

    def details(self) -> dict[str, str]:
        """Return what is worth recording about it: driver, zones, watts in use."""

    def close(self) -> None:
        """Release it."""


class Meter(Protocol):
    """What can open a counter. A member is a frozen dataclass.

    Attributes:
        rank: ``auto`` tries meters in this order, smallest first.
    """

    rank: ClassVar[int]

    @staticmethod
    def why_not() -> str | None:
        """Return why it cannot be used here and what would change that; ``None`` if it can."""

    def open(self, device: str, clock: Clock) -> Counter:
        """Return a counter of what an engine on ``device`` (``cpu``, ``cuda:N``) uses.

        Raises:
            CounterError: it cannot count that device, with the reason.
        """


meters: Registry[Meter] = Registry("energy meter", __name__)


@dataclass(frozen=True)
class Chosen:
    """The meter of a study: its name and counter, or why there is none.

    Attributes:
        counter: ``None`` where no meter works.
        reasons: why the meters that were passed over cannot be used, by name.
    """

    name: str
    counter: Counter | None
    reasons: dict[str, str]

    @property
    def reason(self) -> str:
        """Why there is no counter, in one line."""
        return "; ".join(f"{name}: {reason}" for name, reason in self.reasons.items())


def choose(table: MeasureTable, device: str, clock: Clock) -> Chosen:
    """Open the meter that a study file asks for; ``auto`` takes the best that works.

    Raises:
        UserError: the one asked for cannot be used, or only an estimate can and
            ``require_measured`` is set; one line says why and what would change that.
    """
    if table.meter != "auto":
        return _asked_for(table, device, clock)
    reasons: dict[str, str] = {}
    for name in sorted(meters.names(), key=lambda name: meters.member(name).rank):  # type: ignore[attr-defined]
        try:
            counter = _create(name, table).open(device, clock)
        except CounterError as error:
            reasons[name] = str(error)
            continue
        _check_grade(table, name, counter, reasons)
        return Chosen(name, counter, reasons)
    if table.require_measured:
        _refuse("no meter works here", reasons)
    return Chosen("none", None, reasons)


def _asked_for(table: MeasureTable, device: str, clock: Clock) -> Chosen:
    try:
        counter = _create(table.meter, table).open(device, clock)
    except CounterError as error:
        raise UserError(
            Problem("measure.meter", f"{table.meter} cannot be used: {error}")
        ) from error
    _check_grade(table, table.meter, counter, {})
    return Chosen(table.meter, counter, {})


def _check_grade(table: MeasureTable, name: str, counter: Counter, reasons: dict[str, str]) -> None:
    if table.require_measured and counter.grade != "measured":
        counter.close()
        _refuse(f"{name} gives {counter.grade} joules, not measured ones", reasons)


def _refuse(wrong: str, reasons: dict[str, str]) -> None:
    why = "; ".join(f"{name}: {reason}" for name, reason in reasons.items())
    raise UserError(Problem("measure.require_measured", f"{wrong}{f' ({why})' if why else ''}"))


def _create(name: str, table: MeasureTable) -> Meter:
    """Return a meter with those options of the study file that it has."""
    given = {
        "watts_per_core": table.watts_per_core,
        "calibration_file": table.calibration_file,
    }
    fields = getattr(meters.member(name, "measure.meter"), "__dataclass_fields__", {})
    options = {key: value for key, value in given.items() if key in fields}
    return meters.create(name, options, "measure")
