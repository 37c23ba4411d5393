"""The measurer, on a scripted engine where numbers matter and on real ones where kernels do."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.errors import MismatchError, UserError
from pareto_prune.measure import (
    Measurer,
    Protocol,
    Workload,
    caches,
    check_profile,
    energy,
    engines,
    kept,
)
from pareto_prune.measure.quiet import VARIABLE
from pareto_prune.models.families import architecture
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.surgery import cut_copy
from tests.full_disk import full_disk
from tests.measure.scripted import ScriptedClock, ScriptedCounter, ScriptedEngine
from tests.tiny import HEADS, LAYERS, NEURONS, PAD, POSITIONS, VOCABULARY, tiny_model

pytestmark = pytest.mark.slow

HALF = PruningPlan.of([(range(HEADS // 2), range(NEURONS // 2))] * LAYERS)
DENSE_UNITS = LAYERS * (HEADS + NEURONS)
BRIEF = Protocol(
    limit=1.0, warm_seconds=0.0, warm_calls=2, pairs=4, block=3, dense_block=3, window=0.002,
    cold_pairs=1, more_cold_pairs=2,
)  # fmt: skip
TABLE = MeasureTable(device="cpu", energy_batch=4)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "locks"))


@pytest.fixture(scope="module")
def dense() -> Any:
    return tiny_model()


def workload(table: MeasureTable = TABLE) -> Workload:
    generator = np.random.default_rng(0)
    texts = [generator.integers(4, VOCABULARY, n) for n in (10, 10, 10, 30)]
    return Workload.from_lengths(texts, table, 0, pad=PAD)


Make = Callable[..., Measurer]


@pytest.fixture
def scripted(dense: Any, monkeypatch: pytest.MonkeyPatch) -> Make:
    """A measurer whose engine and counter follow a script."""

    def make(
        counter_of: Any = None,
        clock: ScriptedClock | None = None,
        plan: Protocol | None = None,
        **options: Any,
    ) -> Measurer:
        clock = clock or ScriptedClock()
        table = TABLE.model_copy(update=options)
        engine = ScriptedEngine(clock)
        settings = engines.Settings("cpu", table.threads or 1, table.dtype)
        monkeypatch.setattr(engines, "choose", lambda _: ("scripted", engine, settings))
        monkeypatch.setattr(caches, "emptier", lambda _: lambda: clock.work(0.01))
        if counter_of is not None:
            counter = counter_of(clock)
            chosen = energy.Chosen("scripted", counter, {})
            monkeypatch.setattr(energy, "choose", lambda *_: chosen)
        return Measurer(table, dense, workload(table), clock=clock, plan=plan)

    return make


def expected(cut_units: int) -> float:
    return (1e-3 + 1e-5 * cut_units) / (1e-3 + 1e-5 * DENSE_UNITS)


def test_a_cut_model_costs_its_share(scripted: Make, dense: Any) -> None:
    found = scripted().measure(cut_copy(dense, HALF))
    share = expected(DENSE_UNITS // 2)
    for name in ("latency_ms", "latency_cold_ms", "latency_p95_ms", "energy_j"):
        assert found.ratios[name].value == pytest.approx(share, rel=0.01), name
    assert found.ratios["throughput"].value == pytest.approx(1 / share, rel=0.01)
    assert found.readings["latency_ms"].value == pytest.approx(share * 1e3 * (1e-3 + 2.04e-3))


def test_the_dense_model_costs_one(scripted: Make) -> None:
    measurer = scripted()
    for found in (measurer.reference(), measurer.reference(long=False)):
        assert found.ratios["latency_ms"].value == pytest.approx(1)
        assert found.ratios["energy_j"].value == pytest.approx(1)


def test_the_reference_is_taken_longer(scripted: Make) -> None:
    measurer = scripted()
    long, brief = measurer.reference(), measurer.reference(long=False)
    assert long.seconds > 2 * brief.seconds
    assert long.ratios["latency_ms"].repeats == 4 * brief.ratios["latency_ms"].repeats


def test_a_measurement_takes_at_most_six_seconds(scripted: Make, dense: Any) -> None:
    clock = ScriptedClock(neighbour=lambda _: 1.0)
    assert scripted(clock=clock).measure(dense).seconds <= 6


def test_a_slow_counter_has_thirty(scripted: Make, dense: Any) -> None:
    measurer = scripted(lambda clock: ScriptedCounter(clock, watts=200.0, tick=0.1))
    found = measurer.measure(cut_copy(dense, HALF))
    assert found.seconds <= 30
    reading = found.readings["energy_j"]
    assert (reading.source, reading.scope, reading.grade) == ("nvml", "gpu", "measured")
    assert found.ratios["energy_j"].value == pytest.approx(expected(DENSE_UNITS // 2), rel=0.03)
    assert reading.value is not None
    assert found.readings["energy_net_j"].value == pytest.approx(0, abs=reading.value * 0.1)
    assert found.ratios["energy_net_j"].value is None or found.ratios["energy_net_j"].value > 0


def test_what_was_measured_before_takes_no_time(scripted: Make, dense: Any) -> None:
    measurer, clock = scripted(), ScriptedClock()
    first = measurer.measure(cut_copy(dense, HALF))
    again = scripted(clock=clock)
    before = clock.now()
    second = again.measure(cut_copy(tiny_model(seed=1), HALF))
    assert clock.now() == before
    assert second.seconds == 0
    assert second.ratios == first.ratios
    assert again.measure(dense).seconds > 0


@pytest.mark.parametrize(
    "change", [{"dtype": "int8"}, {"max_length": 8}, {"threads": 2}, {"cache_key": "other"}]
)
def test_the_cache_knows_how_a_model_is_deployed(
    scripted: Make, dense: Any, change: dict[str, Any]
) -> None:
    measurer = scripted()
    measurer.measure(dense)
    assert measurer.measure(dense, **change).seconds > 0
    assert measurer.measure(dense, **change).seconds == 0


def test_confirming_measures_afresh(scripted: Make, dense: Any) -> None:
    measurer = scripted()
    measurer.measure(dense)
    assert measurer.measure(dense, fresh=True).seconds > 0
    assert measurer.measure(dense).seconds == 0


def test_a_damaged_cache_is_measured_again(scripted: Make, dense: Any, tmp_path: Path) -> None:
    measurer = scripted()
    measurer.measure(dense)
    for path in (tmp_path / "cache" / "measurements").iterdir():
        path.write_text("{")
    assert measurer.measure(dense).seconds > 0


def test_a_full_disk_costs_no_measurement(
    scripted: Make, dense: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    real = kept.write

    def full(*arguments: Any) -> None:
        with full_disk(room=16):
            real(*arguments)

    monkeypatch.setattr(kept, "write", full)
    assert scripted().measure(dense).readings["latency_ms"].value is not None
    assert list((tmp_path / "cache" / "measurements").iterdir()) == []


def test_deployment_is_measured_against_the_studys_dense_model(scripted: Make, dense: Any) -> None:
    measurer = scripted()
    assert measurer.measure(dense, dtype="int8").ratios["latency_ms"].value == pytest.approx(0.25)
    assert measurer.measure(dense, threads=2).ratios["latency_ms"].value == pytest.approx(0.5)
    shorter = measurer.measure(dense, max_length=15).ratios
    assert shorter["latency_ms"].value == pytest.approx(1)
    assert shorter["energy_j"].value == pytest.approx(0.5, rel=0.01)


def test_deployment_that_the_engine_lacks_is_refused_before_a_trial(scripted: Make) -> None:
    measurer = scripted()
    measurer.check({"dtype": ("float32", "int8"), "threads": (1, 2)})
    with pytest.raises(UserError, match=r"^search\.deployment\.dtype: scripted has no bfloat16"):
        measurer.check({"dtype": ("bfloat16",)})
    with pytest.raises(UserError, match="has no bfloat16"):
        measurer.measure(tiny_model(), dtype="bfloat16")


def test_a_counter_that_fails_leaves_latency(scripted: Make, dense: Any) -> None:
    def counter_of(clock: ScriptedClock) -> ScriptedCounter:
        return ScriptedCounter(clock, failure="the GPU is lost")

    found = scripted(counter_of).measure(dense)
    assert found.readings["energy_j"].value is None
    assert found.readings["energy_j"].reason == "the GPU is lost"
    assert found.ratios["energy_j"].value is None
    assert found.ratios["latency_ms"].value == pytest.approx(1)


@pytest.mark.parametrize("options", [{"meter": "nvml"}, {"require_measured": True}])
def test_a_counter_that_fails_refuses_the_study_that_asked_for_it(
    scripted: Make, options: dict[str, Any]
) -> None:
    with pytest.raises(UserError, match=r"measure\.meter: scripted cannot be used: .* not move"):
        scripted(lambda clock: ScriptedCounter(clock, watts=0.0), **options)


def test_odd_counters_are_flagged_wherever_they_show(scripted: Make, dense: Any) -> None:
    found = scripted(
        lambda clock: ScriptedCounter(clock, watts=200.0, reported=20.0, flags=("sampled_power",))
    ).measure(dense)
    flags = found.readings["energy_j"].flags
    assert "sampled_power" in flags
    assert "counter_and_power_disagree" in flags
    assert "sampled_power" not in found.readings["latency_ms"].flags


def test_the_profile_is_what_must_be_the_same(scripted: Make) -> None:
    profile = scripted(threads=2).profile()
    assert set(profile) == {
        "device",
        "engine",
        "meter",
        "threads",
        "dtype",
        "protocol",
        "latency_input",
        "energy_input",
    }
    assert profile["meter"] == "cpu_time, process, estimated"
    assert profile["threads"] == "2"
    assert profile["energy_input"] == "4 × 30"
    check_profile(profile, dict(profile))


def test_another_device_is_refused_in_one_line(scripted: Make) -> None:
    mine = scripted().profile()
    theirs = {**mine, "meter": "rapl, package, measured", "threads": "4"}
    with pytest.raises(MismatchError) as error:
        check_profile(theirs, mine)
    text = str(error.value)
    assert "\n" not in text
    assert "meter is 'cpu_time, process, estimated' here, 'rapl, package, measured' there" in text
    assert "threads is '1' here, '4' there" in text
    assert "device is" not in text


def test_details_say_which_meter_and_why_not_another(scripted: Make) -> None:
    details = scripted().details()
    assert details["meter"] == "estimate"
    assert "W/core" in details["watts"]
    assert "why_not_nvml" in details


def test_more_tokens_than_positions_are_refused(dense: Any) -> None:
    table = TABLE.model_copy(update={"tokens": POSITIONS + 1})
    with pytest.raises(UserError, match=r"measure\.tokens: 41 tokens are more"):
        Measurer(table, dense, workload(table))


def test_the_device_is_held_while_measuring(
    scripted: Make, dense: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    measurer, held = scripted(), []
    original = ScriptedEngine.prepare

    def prepare(self: ScriptedEngine, model: Any, settings: Any) -> Any:
        held.append(measurer.quiet._depth)
        return original(self, model, settings)

    monkeypatch.setattr(ScriptedEngine, "prepare", prepare)
    with measurer.training() as next_step:
        next_step()
        measurer.measure(dense)
        next_step()
    measurer.pause()
    assert held == [1]
    assert measurer.quiet._depth == 0


@pytest.mark.parametrize("batch", ["throughput", "latency"])
def test_costs_of_sublayers_are_those_of_their_units(scripted: Make, batch: Any) -> None:
    measurer = scripted()
    costs = measurer.block_costs(range(HEADS + 1), [0, 1, 16, 64], batch)
    tokens = 30 if batch == "throughput" else 10
    unit = 1e-5 * tokens / 10
    assert costs.heads[0] == (0, 0)
    for width, (seconds, _) in costs.heads.items():
        assert seconds == pytest.approx(max(width - 0.5, 0) * unit, rel=0.05, abs=1e-9)
    for width, (seconds, joules) in costs.neurons.items():
        assert seconds == pytest.approx(max(width - 0.5, 0) * unit, rel=0.05, abs=1e-9)
        assert joules is not None
        if width:
            assert joules / seconds == pytest.approx(costs.fixed[1] / costs.fixed[0])  # type: ignore[operator]
    assert costs.fixed[0] == pytest.approx(1e-3 * tokens / 10, rel=0.05)


def test_a_session_that_came_out_slow_is_taken_again(
    scripted: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One width is six times as dear where its weights happen to lie; not so the next time."""
    straight = scripted().block_costs([1, 4], [8, 16, 24, 32, 64])
    seen: list[int] = []
    original = ScriptedEngine.prepare

    def prepare(self: ScriptedEngine, model: Any, settings: Any) -> Any:
        made = original(self, model, settings)
        width = architecture(model).layers[0].neurons
        seen.append(width)
        slow = width == 24 and seen.count(24) == 1
        return replace(made, cost=made.cost * (6 if slow else 1))

    monkeypatch.setattr(ScriptedEngine, "prepare", prepare)
    found = scripted().block_costs([1, 4], [8, 16, 24, 32, 64])
    assert seen.count(24) == 2
    for width, (seconds, _) in straight.neurons.items():
        assert found.neurons[width][0] == pytest.approx(seconds, rel=0.05)


@pytest.mark.parametrize("slow", [0, 1])
def test_tables_that_do_not_add_up_to_the_dense_model_are_taken_again(
    scripted: Make, monkeypatch: pytest.MonkeyPatch, slow: int
) -> None:
    """The first chains are run beside something else, as slow as if the model were twice as big."""
    widths = [8, 16, 32, 64]
    straight = scripted().block_costs(range(HEADS + 1), widths)
    original, prepared, chains = ScriptedEngine.prepare, [0], 4 + HEADS + len(widths)

    def prepare(self: ScriptedEngine, model: Any, settings: Any) -> Any:
        made = original(self, model, settings)
        prepared[0] += 1
        return replace(made, cost=made.cost * (2 if slow and prepared[0] <= chains else 1))

    monkeypatch.setattr(ScriptedEngine, "prepare", prepare)
    found = scripted().block_costs(range(HEADS + 1), widths)
    assert found.off == pytest.approx(straight.off, rel=0.05)
    assert found.neurons[64][0] == pytest.approx(straight.neurons[64][0], rel=0.05)
    assert (prepared[0] > 1.5 * chains) == bool(slow)


def test_costs_under_a_slow_counter_come_from_power(scripted: Make) -> None:
    measurer = scripted(lambda clock: ScriptedCounter(clock, watts=80.0, tick=0.1))
    costs = measurer.block_costs([1, 4], [16, 64])
    seconds, joules = costs.neurons[64]
    assert joules == pytest.approx(80 * seconds, rel=0.05)


@pytest.mark.parametrize("engine", engines.engines.names())
def test_a_real_engine_from_end_to_end(engine: str, dense: Any) -> None:
    table = TABLE.model_copy(update={"engine": engine})
    measurer = Measurer(table, dense, workload(table), plan=BRIEF)
    found = measurer.measure(cut_copy(dense, HALF))
    for name in ("latency_ms", "throughput", "energy_j"):
        assert found.readings[name].value > 0  # type: ignore[operator]
        assert found.ratios[name].value > 0  # type: ignore[operator]
    assert found.readings["energy_j"].grade == "estimated"
    costs = measurer.block_costs([1, 4], [8, 64])
    assert set(costs.heads) == {1, 4}
    dtype = engines.engines.create(engine).dtypes("cpu")[-1]
    logits = measurer.session(dense, dtype=dtype).logits(workload().throughput())
    assert logits.shape == (4, 3)


def test_a_plan_can_be_given(scripted: Make, dense: Any) -> None:
    found = scripted(plan=replace(Protocol(), pairs=20)).measure(dense)
    assert found.ratios["latency_ms"].repeats == 20
