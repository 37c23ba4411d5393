"""How an exported model behaves where it is deployed: by batch, threads and length of the texts.

::

    batch    1 2 4 … 64      at one thread and a quarter of the longest text
    threads  1 2 4 … cores   at batch 1
    tokens   ⅛ ¼ ½ 1         of the longest text, at batch 1 and one thread

Beside another folder, such as the dense model in the same format, both are run in blocks that
alternate.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pareto_prune.core.progress import Progress, Silent
from pareto_prune.core.record import Record
from pareto_prune.core.records import Interval
from pareto_prune.export.deployed._folder import opened
from pareto_prune.export.deployed._footprint import Footprint, footprint
from pareto_prune.export.deployed._running import engine_name, inputs_of, runner_of
from pareto_prune.export.deployed._tokens import LONGEST
from pareto_prune.export.manifest import Manifest
from pareto_prune.measure.clock import Clock, SystemClock
from pareto_prune.measure.engines import Session, engines
from pareto_prune.measure.environment import cpu_name, usable_cores
from pareto_prune.measure.protocol import P95_CALLS, P99_CALLS, Latency
from pareto_prune.measure.quiet import quiet
from pareto_prune.measure.speed import in_turn

SECONDS = 60.0
BATCHES = (1, 2, 4, 8, 16, 32, 64)
KNEE = 0.9
"""Share of the most texts a second, from which a larger batch is not worth its latency."""


class Setting(Record):
    """One way to run a model."""

    batch: int
    threads: int
    tokens: int


class CurvePoint(Setting):
    """What a model does in one setting.

    Attributes:
        calls: that were timed.
        p50_ms, p95_ms, p99_ms: of a call; those of fewer than 200 and 1000 calls are not known.
        texts_per_second: at the median.
        faster: the other folder's median over this one's; ``None`` without another.
        interval: of ``faster``, 95 %.
    """

    calls: int
    p50_ms: float
    p95_ms: float | None = None
    p99_ms: float | None = None
    texts_per_second: float
    faster: float | None = None
    interval: Interval | None = None


class Deployed(Record):
    """A folder: what is in it, what runs it, what it takes."""

    folder: str
    format: str
    dtype: str
    engine: str
    footprint: Footprint


class Curve(Record):
    """How an exported model behaves where it is deployed.

    Attributes:
        against: the folder that it is held against.
        batches, threads, lengths: points along each.
        knee: the smallest batch with nearly the most texts a second.
    """

    model: Deployed
    against: Deployed | None
    device: str
    batches: tuple[CurvePoint, ...]
    threads: tuple[CurvePoint, ...]
    lengths: tuple[CurvePoint, ...]
    knee: int


def curve(
    folder: str | Path,
    against: str | Path | None = None,
    *,
    seconds: float = SECONDS,
    progress: Progress | None = None,
) -> Curve:
    """Run an exported model in many settings, on random texts.

    Args:
        folder: written by ``pareto-prune export``.
        against: another one, such as the dense model's in the same format.
        seconds: of all settings together; loading comes to it.
        progress: told what is going on.

    Raises:
        UserError: not such a folder, or its weights were changed.
    """
    watcher = progress or Silent()
    folders = [Path(one) for one in (folder, against) if one is not None]
    opened_ones = [_Opened(one, opened(one)) for one in folders]
    longest = min(one.longest for one in opened_ones)
    sweeps = [_batches(longest), _threads(longest), _lengths(longest)]
    distinct = sorted(dict.fromkeys(itertools.chain(*sweeps)), key=lambda one: one.threads)
    watcher.stage("loading each alone")
    deployed = [one.deployed(_usual(longest)) for one in opened_ones]
    watcher.stage("timing", len(distinct))
    with quiet("cpu").measuring():
        points = dict(zip(distinct, _points(opened_ones, distinct, seconds, watcher), strict=True))
    batches, threads, lengths = (tuple(points[one] for one in sweep) for sweep in sweeps)
    return Curve(
        model=deployed[0],
        against=deployed[1] if against is not None else None,
        device=cpu_name(),
        batches=batches,
        threads=threads,
        lengths=lengths,
        knee=knee_of(batches),
    )


def knee_of(batches: Sequence[CurvePoint]) -> int:
    """Return the smallest batch with nearly the most texts a second."""
    most = max(point.texts_per_second for point in batches)
    return next(p.batch for p in batches if p.texts_per_second >= KNEE * most)


def _usual(longest: int) -> int:
    return max(longest // 4, 1)


def _batches(longest: int) -> list[Setting]:
    return [Setting(batch=n, threads=1, tokens=_usual(longest)) for n in BATCHES]


def _threads(longest: int) -> list[Setting]:
    cores = usable_cores()
    counts = sorted({cores, *(2**n for n in range(cores.bit_length()))})
    return [Setting(batch=1, threads=n, tokens=_usual(longest)) for n in counts if n <= cores]


def _lengths(longest: int) -> list[Setting]:
    lengths = dict.fromkeys(max(longest // part, 1) for part in (8, 4, 2, 1))
    return [Setting(batch=1, threads=1, tokens=n) for n in lengths]


@dataclass(frozen=True)
class _Opened:
    """A folder whose weights are those that were exported."""

    folder: Path
    manifest: Manifest

    @property
    def longest(self) -> int:
        return int(self.manifest.card.settings.get("max_length", LONGEST))

    def deployed(self, tokens: int) -> Deployed:
        return Deployed(
            folder=self.folder.resolve().name,
            format=self.manifest.format,
            dtype=self.manifest.dtype,
            engine=engine_name(self.manifest),
            footprint=footprint(self.folder, tokens),
        )

    def call(self, session: Session, setting: Setting) -> Callable[[], object]:
        inputs = inputs_of(self.folder, self.manifest, setting.batch, setting.tokens)
        return session.bind(inputs)


def _points(
    folders: Sequence[_Opened], settings: Sequence[Setting], seconds: float, progress: Progress
) -> Iterator[CurvePoint]:
    """Yield what the first folder does in each setting, each with its share of the time left."""
    clock: Clock = SystemClock()
    until = clock.now() + seconds
    make = [runner_of(one.folder, one.manifest) for one in folders]
    sessions: dict[int, list[Session]] = {}
    for place, setting in enumerate(settings):
        with engines.create(engine_name(folders[0].manifest)).exclusive():
            if setting.threads not in sessions:
                sessions = {setting.threads: [one(setting.threads) for one in make]}
            ready = zip(folders, sessions[setting.threads], strict=True)
            model, *others = [one.call(session, setting) for one, session in ready]
            share = max(until - clock.now(), 0.0) / (len(settings) - place)
            taken = in_turn(model, others[0] if others else None, clock, share)
        yield _point(setting, taken)
        progress.advance()


def _point(setting: Setting, taken: Latency) -> CurvePoint:
    times = 1e3 * np.array([time for block in taken.model for time in block])
    ratio = taken.ratio if taken.dense else None
    p50, p95, p99 = (float(one) for one in np.quantile(times, (0.5, 0.95, 0.99)))
    return CurvePoint(
        **setting.to_json(),
        calls=len(times),
        p50_ms=p50,
        p95_ms=p95 if len(times) >= P95_CALLS else None,
        p99_ms=p99 if len(times) >= P99_CALLS else None,
        texts_per_second=1e3 * setting.batch / p50,
        faster=1 / ratio.value if ratio else None,
        interval=(1 / ratio.high, 1 / ratio.low) if ratio else None,
    )
