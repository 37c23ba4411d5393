"""A user's own model on every engine that is installed here, in every number format it has."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from rich.console import Group, RenderableType
from rich.text import Text

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.progress import Progress, Silent
from pareto_prune.core.quantities import written
from pareto_prune.core.record import Record
from pareto_prune.inputs.checkpoint import Checkpoint, first_line, names_of
from pareto_prune.inputs.tasks import Task, tasks
from pareto_prune.measure import Workload, caches
from pareto_prune.measure.clock import Clock, SystemClock
from pareto_prune.measure.engines import Engine, Settings, choose, engines
from pareto_prune.measure.measurer import device_name
from pareto_prune.measure.quiet import quiet
from pareto_prune.measure.speed import speed
from pareto_prune.models.families import family_of
from pareto_prune.models.onnx_graph import CalibrationTexts
from pareto_prune.results.cold import MEANING
from pareto_prune.results.tables.text import plain_table, shown, shown_lines

if TYPE_CHECKING:
    from transformers import PreTrainedModel

SECONDS = 40.0
"""That all engines together are timed for; loading comes to it."""
BATCH = 32
LENGTH = 128


class EngineSpeed(Record):
    """One engine in one number format.

    Attributes:
        latency_ms: at batch 1, asked back to back.
        latency_cold_ms: at batch 1, asked once a second; ``None`` where no caches are emptied.
        texts_per_second: in batches.
        batch: texts of those: fewer than asked for where so many would have taken too long.
        trouble: why there are no values.
    """

    engine: str
    dtype: str
    latency_ms: float | None = None
    latency_cold_ms: float | None = None
    texts_per_second: float | None = None
    batch: int | None = None
    trouble: str | None = None


class Speeds(Record):
    """What a model takes on this machine.

    Attributes:
        tokens: of every text.
        not_here: engines that cannot be used, and why.
    """

    model: str
    device: str
    threads: int
    tokens: int
    rows: tuple[EngineSpeed, ...]
    not_here: dict[str, str]

    @property
    def fastest(self) -> EngineSpeed | None:
        """The row of the least latency."""
        known = [row for row in self.rows if row.latency_ms is not None]
        return min(known, key=lambda row: row.latency_ms or 0.0, default=None)


def model_speeds(
    path: str,
    *,
    max_length: int = LENGTH,
    table: MeasureTable | None = None,
    seconds: float = SECONDS,
    progress: Progress | None = None,
) -> Speeds:
    """Run a model on random texts, on every engine of this machine in turn.

    Args:
        path: hub id, folder or demo name of a checkpoint.
        max_length: tokens of every text.
        table: device and threads.
        seconds: that all engines together are timed for.
        progress: told what is going on.

    Raises:
        UserError: the checkpoint cannot be loaded, or has fewer positions.
    """
    watcher = progress or Silent()
    settings = table or MeasureTable()
    _, _, chosen = choose(settings)
    watcher.stage("loading the model")
    model = _load(path)
    workload = _workload(model, max_length)
    named, not_here = _usable(chosen.device)
    plan = [(name, dtype) for name, engine in named for dtype in engine.dtypes(chosen.device)]
    device, key = device_name(chosen.device)
    timed = _Timed(model, workload, chosen, SystemClock(), seconds)
    watcher.stage("timing it", len(plan))
    with quiet(key).measuring():
        rows = tuple(timed.rows(plan, watcher))
    return Speeds(
        model=path,
        device=device,
        threads=chosen.threads,
        tokens=max_length,
        rows=rows,
        not_here=not_here,
    )


@dataclass(frozen=True)
class _Timed:
    """A model that is run on one engine after the other, each with its share of the time left."""

    model: PreTrainedModel
    workload: Workload
    settings: Settings
    clock: Clock
    seconds: float

    def rows(self, plan: Sequence[tuple[str, str]], progress: Progress) -> Iterator[EngineSpeed]:
        """Yield a row for every engine and number format."""
        until = self.clock.now() + self.seconds
        for place, (name, dtype) in enumerate(plan):
            ends = self.clock.now() + (until - self.clock.now()) / (len(plan) - place)
            try:
                yield self._row(name, dtype, ends)
            except Exception as error:  # what an engine cannot run fails in its own ways
                yield EngineSpeed(engine=name, dtype=dtype, trouble=first_line(error))
            progress.advance()

    def _row(self, name: str, dtype: str, ends: float) -> EngineSpeed:
        engine = engines.create(name)
        texts = CalibrationTexts((self.workload.throughput(),))
        settings = Settings(self.settings.device, self.settings.threads, dtype, texts)
        with engine.exclusive():
            session = engine.prepare(self.model, settings)
            found = speed(
                session,
                self.workload.latency(),
                self.workload.throughput(),
                self.clock,
                max(ends - self.clock.now(), 0.0),
                caches.emptier(settings.device),
            )
        return EngineSpeed(
            engine=name,
            dtype=dtype,
            latency_ms=1e3 * found.latency,
            latency_cold_ms=None if found.cold is None else 1e3 * found.cold,
            texts_per_second=found.rate,
            batch=found.batch,
        )


def speeds_view(found: Speeds) -> RenderableType:
    """Return the table of all engines, the fastest marked, and what its columns are."""
    plural = "s" if found.threads > 1 else ""
    head = f"{found.model} on {found.device}, {found.threads} thread{plural}, {found.tokens} tokens"
    table = plain_table()
    table.add_column("", width=1)
    for name in ("engine", "dtype"):
        table.add_column(name, no_wrap=True)
    for name in ("back to back", "once a second", "texts a second"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    for row in found.rows:
        table.add_row("★" if row is found.fastest else "", row.engine, row.dtype, *_cells(row))
    absent = [f"{name} is not here: {why}" for name, why in found.not_here.items()]
    notes = shown_lines([MEANING, "Random texts, so nothing is said of accuracy.", *absent])
    return Group(shown(head), table, notes)


def _cells(row: EngineSpeed) -> tuple[str, str, str, Text]:
    if row.latency_ms is None:
        return "", "", "", shown(f"not run: {row.trouble}")
    cold = "–" if row.latency_cold_ms is None else written("latency_cold_ms", row.latency_cold_ms)
    batch = "" if row.batch == BATCH else f"batches of {row.batch}: {BATCH} took too long"
    return (
        written("latency_ms", row.latency_ms),
        cold,
        written("throughput", row.texts_per_second),
        shown(batch),
    )


def _usable(device: str) -> tuple[list[tuple[str, Engine]], dict[str, str]]:
    """Return the engines that can be used on a device, and why others cannot."""
    usable, not_here = [], {}
    for name in engines.names():
        engine = engines.create(name)
        reason = engine.why_not() or engine.why_not_on(device)
        if reason is None:
            usable.append((name, engine))
        else:
            not_here[name] = reason
    return usable, not_here


def _load(path: str) -> PreTrainedModel:
    """Return a checkpoint's model with the head it has, else one that is drawn."""
    import torch

    checkpoint = Checkpoint.find(path)
    config = checkpoint.config()
    with torch.random.fork_rng(devices=[]):
        model, _ = checkpoint.model(_task(config.architectures or ()), names_of(config))
    return model.eval()


def _task(architectures: Sequence[str]) -> Task:
    """Return a task whose head, or bare body, a checkpoint has; else the first task."""
    known = [tasks.create(name) for name in tasks.names()]
    heads = {task.model_class.removeprefix("AutoModel") or "Model": task for task in known[::-1]}
    found = (task for head, task in heads.items() for name in architectures if name.endswith(head))
    return next(found, known[0])


def _workload(model: PreTrainedModel, tokens: int) -> Workload:
    """Return random texts of a model's vocabulary, all of one length."""
    longest = family_of(model).most_tokens(model.config)
    if longest is not None and tokens > longest:
        wrong = f"{tokens} tokens are more than the model's {longest} positions"
        raise UserError(Problem("--max-length", wrong))
    generator = np.random.default_rng(0)
    texts = [generator.integers(model.config.vocab_size, size=tokens) for _ in range(BATCH)]
    return Workload.from_lengths(texts, MeasureTable(tokens=tokens, energy_batch=BATCH), seed=0)
