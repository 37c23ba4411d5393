"""The measurer of a worker: everything between a model and its measurement."""

from __future__ import annotations

import gc
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

from pareto_prune.core import cache_entries
from pareto_prune.core.config import MeasureTable
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.records import Measurement
from pareto_prune.measure import caches, counters, energy, engines, kept, protocol, readings
from pareto_prune.measure.clock import Clock, SystemClock
from pareto_prune.measure.costs import BlockCosts, block_costs
from pareto_prune.measure.energy import Counter
from pareto_prune.measure.engines import Session, Settings
from pareto_prune.measure.environment import cpu_name
from pareto_prune.measure.protocol import Arm, Protocol
from pareto_prune.measure.quiet import Quiet, quiet
from pareto_prune.measure.windows import Gauge, take
from pareto_prune.measure.workload import Workload
from pareto_prune.models.families import family_of
from pareto_prune.models.onnx_graph import CalibrationTexts

if TYPE_CHECKING:
    from transformers import PreTrainedModel

LIMIT_S = 5.8
LIMIT_STEPPED_S = 30.0
_LONG = 4
_REMEMBERED = 400


class Measurer:
    """Measures models against the dense model, in one process and on one device.

    Calibrates the meter and times the dense model when it is made (up to 6 s). While it
    measures it holds the device's lock, and training elsewhere on the device pauses.

    Args:
        table: ``[measure]`` of the study file.
        dense: the dense model; its weights are copied.
        workload: what is run.
        texts: that int8 is calibrated on; unless given those of the workload, which do for speed.
        clock: of this machine by default.

    Raises:
        UserError: engine, meter, device or dtype cannot be used; one line says why.
    """

    def __init__(
        self,
        table: MeasureTable,
        dense: PreTrainedModel,
        workload: Workload,
        texts: CalibrationTexts | None = None,
        *,
        clock: Clock | None = None,
        plan: Protocol | None = None,
    ) -> None:
        self._table, self._workload, self._model = table, workload, dense
        self._clock = clock or SystemClock()
        self._name, self._engine, settings = engines.choose(table)
        texts = texts or CalibrationTexts((workload.throughput(),))
        self._settings = replace(settings, texts=texts)
        _check_length(dense, workload)
        self._dense_shape = kept.shape_of(dense)
        self._dense_calls: deque[float] = deque(maxlen=_REMEMBERED)
        self._device, self._key = device_name(self._settings.device)
        self._quiet = quiet(self._key)
        with self._alone():
            self._meter = energy.choose(table, self._settings.device, self._clock)
            self._dense = self._engine.prepare(dense, self._settings)
            self._take_dense_calls(plan or Protocol())
            self._calibrate()
        limit = LIMIT_STEPPED_S if self._gauge.stepped else LIMIT_S
        self._plan = plan or Protocol(limit=limit)

    @property
    def quiet(self) -> Quiet:
        """The locks of the device."""
        return self._quiet

    @property
    def device(self) -> str:
        """The device that models run on: ``cpu`` or ``cuda:N``."""
        return self._settings.device

    def dtypes(self) -> tuple[str, ...]:
        """Return the dtypes that the engine has on this device."""
        return self._engine.dtypes(self._settings.device)

    def pause(self) -> None:
        """Wait while another process measures on this device."""
        self._quiet.pause()

    def training(self) -> AbstractContextManager[Callable[[], None]]:
        """Yield what to call before every step of training on this device, for a ``with`` block.

        What measures waits for a step under way, and the next step for what measures.
        """
        return self._quiet.training()

    def check(self, deployment: Mapping[str, Sequence[Any]]) -> None:
        """Check that everything under ``[search.deployment]`` can be measured here.

        Raises:
            UserError: the engine does not have a dtype.
        """
        for dtype in deployment.get("dtype", ()):
            where = "search.deployment.dtype"
            engines.check_dtype(self._name, self._engine, self._settings.device, dtype, where)

    def measure(
        self,
        model: PreTrainedModel,
        cache_key: Any = None,
        *,
        dtype: str | None = None,
        max_length: int | None = None,
        threads: int | None = None,
        workload: Workload | None = None,
        texts: CalibrationTexts | None = None,
        fresh: bool = False,
    ) -> Measurement:
        """Measure a model against the dense model.

        Args:
            model: dense or cut, on any device; it stays as it is.
            cache_key: what else than its shape makes this model's cost its own.
            dtype: it is deployed in, where that differs from the study; the dense model of the
                pairs is deployed as the study says.
            max_length: tokens behind which its inputs are cut off.
            threads: of the engine.
            workload: its inputs, where its tokens are not those of the dense model.
            texts: that int8 is calibrated on, likewise.
            fresh: measure even what was measured before, and keep nothing.

        Raises:
            UserError: the engine does not have the dtype.
        """
        settings = self._deployed(dtype, threads, texts)
        workload = (workload or self._workload).cut(max_length)
        key = self._key_of(model, settings, workload, cache_key)
        path = cache_entries.measurement(key)
        if not fresh and (known := kept.read(path)) is not None:
            return known
        began = self._clock.now()
        with self._alone():
            session = self._engine.prepare(model, settings)
            found = self._compare(session, workload, began, self._plan)
        if not fresh:
            kept.write(path, found)
        return found

    def measure_session(self, session: Session, workload: Workload | None = None) -> Measurement:
        """Measure something else that runs, such as an exported graph, against the dense model.

        Args:
            session: with as many threads as :meth:`profile` says.
            workload: its inputs, where its tokens are not those of the dense model.
        """
        began = self._clock.now()
        with self._alone():
            return self._compare(session, workload or self._workload, began, self._plan)

    def reference(self, long: bool = True) -> Measurement:
        """Return the dense model's own values, measured against itself.

        Args:
            long: four times as long as usual, since its values then stand for a whole study.
        """
        plan = _longer(self._plan) if long else self._plan
        began = self._clock.now()
        with self._alone():
            session = self._engine.prepare(self._model, self._settings)
            return self._compare(session, self._workload, began, plan)

    def profile(self) -> dict[str, str]:
        """Return what must be the same on every worker of a study."""
        counter = self._meter.counter
        meter = "none" if counter is None else f"{counter.source}, {counter.scope}, {counter.grade}"
        return {
            "device": self._device,
            "engine": self._engine.version(),
            "meter": meter,
            "threads": str(self._settings.threads),
            "dtype": self._format(self._settings),
            "protocol": str(protocol.VERSION),
            **self._workload.shape(),
        }

    def details(self) -> dict[str, str]:
        """Return what is worth recording beside the profile: the meter, and why not another."""
        passed_over = {f"why_not_{name}": why for name, why in self._meter.reasons.items()}
        chosen = {"engine": self._name, "meter": self._meter.name}
        return chosen | self._facts.details | passed_over

    def block_costs(
        self,
        head_counts: Sequence[int],
        neuron_counts: Sequence[int],
        batch: Literal["throughput", "latency"] = "throughput",
    ) -> BlockCosts:
        """Return what sublayers of the dense model cost at these widths, of one sample.

        Takes about 10 s for a MiniLM.

        Args:
            head_counts: numbers of heads; 0 costs nothing.
            neuron_counts: numbers of neurons.
            batch: the inputs of which measurement.
        """
        inputs = getattr(self._workload, batch)()
        with self._alone():
            return block_costs(
                self._model,
                inputs,
                head_counts,
                neuron_counts,
                engine=self._engine,
                settings=self._settings,
                gauge=self._gauge,
            )

    def watts_per_core(self) -> float | None:
        """Return the watts of a busy core by the counter; ``None`` where joules are estimated.

        What a ``calibration_file`` for a twin machine without a counter needs.
        """
        counter = self._gauge.counter
        if counter is None or counter.grade != "measured" or self._settings.device != "cpu":
            return None
        arm = _arm([self._dense], self._workload)
        with self._alone():
            (warm,) = protocol.warm_up([arm], self._plan, self._clock)
            window = take(warm.batch, self._gauge, warm.calls)
        return None if window.joules is None else window.joules / window.cpu

    def session(
        self,
        model: PreTrainedModel,
        dtype: str | None = None,
        threads: int | None = None,
        texts: CalibrationTexts | None = None,
    ) -> Session:
        """Return a session of a model as it is deployed, for its logits; see :meth:`measure`.

        Raises:
            UserError: the engine does not have the dtype.
        """
        return self._engine.prepare(model, self._deployed(dtype, threads, texts))

    def _calibrate(self) -> None:
        counter = self._meter.counter
        facts = counters.Facts() if counter is None else counters.calibrate(counter, self._clock)
        reason = self._meter.reason or "no meter"
        usable: Counter | None = counter
        if facts.reason is not None:
            usable, reason = None, facts.reason
            if self._table.require_measured or self._table.meter != "auto":
                wrong = f"{self._meter.name} cannot be used: {facts.reason}"
                raise UserError(Problem("measure.meter", wrong))
        self._facts = facts
        self._gauge = Gauge(self._clock, usable, facts.tick)
        source = readings.Source.of(usable, reason)
        self._joules = replace(source, flags=(*source.flags, *facts.flags))

    def _take_dense_calls(self, plan: Protocol) -> None:
        """Time the dense model alone, so that its p95 is known from the first measurement on."""
        arm = _arm([self._dense], self._workload)
        protocol.warm_up([arm], plan, self._clock)
        calls = protocol.timed(arm.latency[0], protocol.P95_CALLS, self._clock)
        self._dense_calls.extend(calls)

    def _compare(
        self,
        first: Session,
        workload: Workload,
        began: float,
        plan: Protocol,
    ) -> Measurement:
        arms = _placed((first, workload), (self._dense, self._workload), plan.placements)
        arm, dense = protocol.warm_up(arms, plan, self._clock)
        empty = caches.emptier(self._settings.device)
        taken = protocol.measure(arm, dense, self._gauge, plan, began + plan.limit, empty)
        for block in taken.latency.dense:
            self._dense_calls.extend(block)
        return readings.measurement(
            taken,
            samples=self._workload.samples,
            dense_calls=self._dense_calls,
            joules=self._joules,
            idle=self._facts.idle,
            protocol=plan,
            seconds=self._clock.now() - began,
        )

    def _deployed(
        self, dtype: str | None, threads: int | None, texts: CalibrationTexts | None
    ) -> Settings:
        settings = replace(
            self._settings,
            dtype=dtype or self._settings.dtype,
            threads=threads or self._settings.threads,
            texts=texts or self._settings.texts,
        )
        device = settings.device
        engines.check_dtype(self._name, self._engine, device, settings.dtype, "dtype")
        return settings

    def _format(self, settings: Settings) -> str:
        """Return a dtype by the name under which numbers compare."""
        static = settings.dtype == "int8" and self._engine.calibrates
        return "int8, calibrated" if static else settings.dtype

    def _key_of(
        self, model: PreTrainedModel, settings: Settings, workload: Workload, extra: Any
    ) -> dict[str, Any]:
        return {
            "profile": self.profile(),
            "watts": self._facts.details.get("watts"),
            "dense": self._dense_shape,
            "model": kept.shape_of(model),
            "dtype": self._format(settings),
            "threads": settings.threads,
            "inputs": workload.shape(),
            "emptied": caches.buffered(settings.device),
            "extra": extra,
        }

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Hold the device, with no garbage collection and torch's threads given back."""
        with self._quiet.measuring(), self._engine.exclusive():
            collecting = gc.isenabled()
            gc.collect()
            gc.disable()
            try:
                yield
            finally:
                if collecting:
                    gc.enable()


def _placed(
    model: tuple[Session, Workload], dense: tuple[Session, Workload], placements: int
) -> list[Arm]:
    """Return both models in fresh places of memory, taken in turn, so that neither has the better.

    The dense model's own session is left out: it would have the same luck in every measurement.
    """
    models, denses = [model[0]], [dense[0].twin()]
    for _ in range(placements - 1):
        models.append(model[0].twin())
        denses.append(dense[0].twin())
    return [_arm(models, model[1]), _arm(denses, dense[1])]


def _arm(sessions: Sequence[Session], workload: Workload) -> Arm:
    single, batch = workload.latency(), workload.throughput()
    return Arm(tuple(s.bind(single) for s in sessions), sessions[0].bind(batch))


def _longer(plan: Protocol) -> Protocol:
    return replace(
        plan,
        limit=plan.limit * _LONG,
        pairs=plan.pairs * _LONG,
        more_pairs=plan.more_pairs * _LONG,
        dense_block=plan.block,
        energy_pairs=plan.more_energy_pairs,
        more_energy_pairs=plan.more_energy_pairs * _LONG,
        cold_pairs=plan.cold_pairs * _LONG,
        more_cold_pairs=plan.more_cold_pairs * _LONG,
        cold_seconds=plan.cold_seconds * _LONG,
        retakes=plan.retakes * _LONG,
    )


def _check_length(model: PreTrainedModel, workload: Workload) -> None:
    tokens = workload.latency()["input_ids"].shape[1]
    longest = family_of(model).most_tokens(model.config)
    if longest is not None and tokens > longest:
        wrong = f"{tokens} tokens are more than the model's {longest} positions"
        raise UserError(Problem("measure.tokens", wrong))


def device_name(device: str) -> tuple[str, str]:
    """Return the model of a device, and what its lock is named after."""
    if device == "cpu":
        return cpu_name(), "cpu"
    import torch

    properties = torch.cuda.get_device_properties(device)
    return properties.name, f"gpu-{getattr(properties, 'uuid', device)}"
