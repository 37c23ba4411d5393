"""What this machine can measure, and how well: device, engines, meters, storage, versions.

The self-test measures a model of MiniLM's size, with random weights, against itself: the ratio
must be 1 within its interval, whatever else the machine is doing.
"""

from __future__ import annotations

from collections.abc import Sequence

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.errors import ParetoPruneError
from pareto_prune.core.families import entries
from pareto_prune.core.progress import Progress, Silent
from pareto_prune.core.record import Record
from pareto_prune.core.records import Environment, Reading
from pareto_prune.measure import environment as machine
from pareto_prune.measure.clock import SystemClock
from pareto_prune.measure.energy import choose as choose_meter
from pareto_prune.measure.engines import choose as choose_engine
from pareto_prune.measure.engines import engines
from pareto_prune.results.cold import MEANING
from pareto_prune.running.self_test import SelfTest, run_self_test
from pareto_prune.storage import open_storage


class Part(Record):
    """An engine or a meter: whether it can be used here, and why not.

    Attributes:
        dtypes: those of an engine, on the device in use.
    """

    name: str
    summary: str
    available: bool
    why_not: str | None
    dtypes: tuple[str, ...] = ()


class Choice(Record):
    """What a study with default settings would measure with on this machine."""

    device: str
    engine: str
    threads: int
    dtype: str
    meter: str
    grade: str | None
    details: dict[str, str]


class Diagnosis(Record):
    """All that ``doctor`` finds.

    Attributes:
        choice: ``None`` where nothing can be measured; ``trouble`` says why.
        storage_trouble: why the storage cannot be used.
    """

    environment: Environment
    engines: tuple[Part, ...]
    meters: tuple[Part, ...]
    choice: Choice | None
    trouble: str | None
    storage: str | None
    storage_trouble: str | None
    self_test: SelfTest | None = None

    def text(self) -> str:
        """Return it for people."""
        return "\n".join(
            line
            for part in (
                _environment_lines(self.environment),
                _parts_lines("engines", self.engines),
                _parts_lines("energy meters", self.meters),
                _choice_lines(self),
                _storage_lines(self),
                _self_test_lines(self.self_test),
            )
            for line in part
        )


def diagnose(
    storage: str | None = None,
    *,
    self_test: bool = False,
    table: MeasureTable | None = None,
    progress: Progress | None = None,
) -> Diagnosis:
    """Look at this machine.

    Args:
        storage: URL to try; ``None`` tries none.
        self_test: also measure a model against itself, about 10 s.
        table: ``[measure]`` of a study file; its defaults if not given.
        progress: told what is going on.
    """
    settings, watcher = table or MeasureTable(), progress or Silent()
    choice, trouble = _choice(settings)
    name, storage_trouble = _storage(storage)
    tested = None
    if self_test and choice is not None:
        watcher.stage("measuring a model against itself")
        watcher.quiet()
        tested = run_self_test(settings)
    return Diagnosis(
        environment=machine.environment(),
        engines=tuple(_engine_parts(choice.device if choice else "cpu")),
        meters=tuple(_parts("meters")),
        choice=choice,
        trouble=trouble,
        storage=name,
        storage_trouble=storage_trouble,
        self_test=tested,
    )


def _choice(table: MeasureTable) -> tuple[Choice | None, str | None]:
    """Return what would be measured with, or why nothing can be."""
    try:
        name, _, settings = choose_engine(table)
        meter = choose_meter(table, settings.device, SystemClock())
    except ParetoPruneError as error:
        return None, str(error)
    counter = meter.counter
    chosen = Choice(
        device=settings.device,
        engine=name,
        threads=settings.threads,
        dtype=settings.dtype,
        meter=meter.name,
        grade=None if counter is None else counter.grade,
        details={} if counter is None else counter.details(),
    )
    if counter is not None:
        counter.close()
    return chosen, None


def _storage(url: str | None) -> tuple[str | None, str | None]:
    if url is None:
        return None, None
    try:
        opened = open_storage(url)
        name = opened.name
        opened.close()
    except ParetoPruneError as error:
        return None, str(error)
    return name, None


def _engine_parts(device: str) -> list[Part]:
    return [
        part.model_copy(update=_on_device(part, device)) if part.available else part
        for part in _parts("engines")
    ]


def _on_device(part: Part, device: str) -> dict[str, object]:
    engine = engines.create(part.name)
    reason = engine.why_not_on(device)
    if reason is not None:
        return {"available": False, "why_not": reason}
    return {"dtypes": engine.dtypes(device)}


def _parts(family: str) -> list[Part]:
    return [
        Part(name=e.name, summary=e.summary, available=e.available, why_not=e.why_not)
        for e in entries(family)
    ]


def _environment_lines(found: Environment) -> list[str]:
    details = ", ".join(f"{name} {value}" for name, value in found.details.items())
    versions = ", ".join(f"{name} {value}" for name, value in found.versions.items())
    return [
        f"device       {found.device}, {found.cores} cores, {found.memory_gib:g} GiB",
        f"             {details}",
        f"system       {found.system}, Python {found.python}",
        f"versions     {versions}",
    ]


def _parts_lines(title: str, parts: Sequence[Part]) -> list[str]:
    lines = ["", title]
    for part in parts:
        dtypes = f" [{', '.join(part.dtypes)}]" if part.dtypes else ""
        lines.append(f"  {'✓' if part.available else '✗'} {part.name:<12} {part.summary}{dtypes}")
        if part.why_not:
            lines.append(f"    {'':<12} not here: {part.why_not}")
    return lines


def _choice_lines(found: Diagnosis) -> list[str]:
    if found.choice is None:
        return ["", f"nothing can be measured: {found.trouble}"]
    choice = found.choice
    marked = "≈ estimated" if choice.grade == "estimated" else choice.grade or "no joules"
    details = ", ".join(f"{name} {value}" for name, value in choice.details.items())
    return [
        "",
        f"a study would measure on {choice.device} with {choice.engine}, "
        f"{choice.threads} thread{'s' if choice.threads > 1 else ''}, {choice.dtype}",
        f"joules from {choice.meter} ({marked}){f': {details}' if details else ''}",
    ]


def _storage_lines(found: Diagnosis) -> list[str]:
    if found.storage is None and found.storage_trouble is None:
        return []
    return ["", f"storage      {found.storage or f'not usable: {found.storage_trouble}'}"]


def _self_test_lines(found: SelfTest | None) -> list[str]:
    if found is None:
        return []
    verdict = "passed" if found.passed else "FAILED: not within 5 % of 1"
    lines = ["", f"self-test    {verdict}; one measurement took {found.seconds:.1f} s"]
    for name, ratio in found.ratios.items():
        lines.append(f"  {name:<15} {_ratio_text(ratio)}; {_reading_text(found.readings[name])}")
    lines.append(f"  {MEANING}")
    if found.watts_per_core is not None:
        lines.append(f"  {found.watts_per_core:.2f} W per busy core, by the counter")
    return lines


def _ratio_text(ratio: Reading) -> str:
    if ratio.value is None or ratio.interval is None:
        return f"not known: {ratio.reason}"
    flags = f" ({', '.join(ratio.flags)})" if ratio.flags else ""
    low, high = ratio.interval
    return f"ratio {ratio.value:.3f} [{low:.3f}, {high:.3f}]{flags}"


def _reading_text(reading: Reading) -> str:
    if reading.value is None:
        return "no reading"
    sign = "≈ " if reading.grade == "estimated" else ""
    return f"{sign}{reading.value:.4g} {reading.unit}"
