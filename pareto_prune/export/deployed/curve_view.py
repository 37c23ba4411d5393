"""A deployment curve as tables for the terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from pareto_prune.core.quantities import UNITS, times, written
from pareto_prune.export.deployed.curve import KNEE, Curve, CurvePoint, Deployed
from pareto_prune.results.tables import shown
from pareto_prune.results.tables.text import plain_table


def curve_view(found: Curve) -> RenderableType:
    """Return what the model takes, its tables along batch, threads and length, and the knee."""
    first = found.batches[0]
    titles = (
        (f"batch, at {_threads(first)} and {first.tokens} tokens", "batch", found.batches),
        (f"threads, at batch 1 and {first.tokens} tokens", "threads", found.threads),
        (f"length, at batch 1 and {_threads(first)}", "tokens", found.lengths),
    )
    tables = [part for each in titles for part in (Text(f"\nBy {each[0]}"), _along(*each[1:]))]
    return Group(_footprints(found), *tables, Text(""), *map(shown, _sentences(found)))


def _threads(point: CurvePoint) -> str:
    return f"{point.threads} thread{'s' if point.threads > 1 else ''}"


def _footprints(found: Curve) -> Table:
    table = plain_table()
    table.add_column("")
    for name in ("format", "runs on"):
        table.add_column(name, no_wrap=True)
    for name in ("on disk", "in memory", "load"):
        table.add_column(name, justify="right", no_wrap=True)
    for one in (found.model, found.against):
        if one is not None:
            table.add_row(*_footprint(one))
    return table


def _footprint(one: Deployed) -> tuple[RenderableType, ...]:
    took, byte = one.footprint, UNITS["B"]
    memory = "–" if took.resident_bytes is None else byte.written(took.resident_bytes)
    load = f"{took.load_seconds:.2f} s"
    kind = f"{one.format} {one.dtype}"
    return shown(one.folder), kind, one.engine, byte.written(took.disk_bytes), memory, load


def _along(name: str, points: Sequence[CurvePoint]) -> Table:
    table = plain_table()
    for title in (name, "p50", "p95", "p99", "texts a second"):
        table.add_column(title, justify="right", no_wrap=True)
    compared = points[0].faster is not None
    if compared:
        table.add_column("faster", justify="right", no_wrap=True)
        table.add_column("95 %", justify="right", no_wrap=True)
    for point in points:
        spans = _compared(point) if compared else ()
        table.add_row(str(getattr(point, name)), *_cells(point), *spans)
    return table


def _cells(point: CurvePoint) -> Iterator[str]:
    for value in (point.p50_ms, point.p95_ms, point.p99_ms):
        yield "–" if value is None else written("latency_ms", value)
    yield written("throughput", point.texts_per_second)


def _compared(point: CurvePoint) -> tuple[str, str]:
    span = " … ".join(f"{end:.2f}" for end in point.interval) if point.interval else ""
    return times(point.faster), span


def _sentences(found: Curve) -> Iterator[str]:
    knee = next(point for point in found.batches if point.batch == found.knee)
    fast, slow = written("throughput", knee.texts_per_second), written("latency_ms", knee.p50_ms)
    share = f"{100 * KNEE:.0f} % of the most texts a second"
    yield f"Knee: batch {knee.batch}, the smallest with {share} ({fast} at {slow})."
    if found.against is not None:
        other = found.against
        yield f"Faster than {other.folder} ({other.format} {other.dtype}), in blocks in turn."
    yield (
        "Latencies are those of random texts, asked back to back; a p95 needs 200 calls, a p99 "
        "1000. In memory and load: of a process with this model alone, libraries included. "
        f"Measured on {found.device}."
    )
