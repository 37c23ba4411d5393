import json
from pathlib import Path

import pytest

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.records import Reading
from pareto_prune.measure.quiet import VARIABLE
from pareto_prune.running.doctor import Diagnosis, diagnose
from pareto_prune.running.self_test import SelfTest, run_self_test
from tests.tiny import tiny_model


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(VARIABLE, str(tmp_path / "locks"))


def ratio(value: float | None) -> Reading:
    interval = None if value is None else (value - 0.01, value + 0.01)
    return Reading(
        value=value,
        unit="ratio",
        grade="measured",
        source="clock",
        interval=interval,
        reason="no meter" if value is None else None,
    )


def test_it_shows_devices_engines_meters_and_storage(tmp_path: Path) -> None:
    found = diagnose(f"sqlite:///{tmp_path / 'studies.db'}", table=MeasureTable(device="cpu"))
    assert {part.name for part in found.engines} >= {"eager", "onnxruntime"}
    assert {part.name for part in found.meters} >= {"nvml", "rapl", "estimate"}
    assert found.choice is not None
    assert found.choice.engine == "onnxruntime"
    assert "float32" in next(p.dtypes for p in found.engines if p.name == "eager")
    text = found.text()
    for word in ("device", "versions", "torch", "onnxruntime", "nvml", "not here:", "studies.db"):
        assert word in text
    if found.choice.grade == "estimated":
        assert "≈ estimated" in text
    assert Diagnosis.from_json(json.loads(found.model_dump_json())) == found


def test_what_cannot_be_used_is_said_not_raised(tmp_path: Path) -> None:
    table = MeasureTable(device="cuda:9", engine="eager", require_measured=True)
    found = diagnose(f"sqlite:///{tmp_path / 'absent' / 'x.db'}", table=table, self_test=True)
    assert found.choice is None
    assert found.self_test is None
    assert "nothing can be measured: measure.engine: eager cannot be used" in found.text()


def test_no_storage_is_looked_at_unless_asked() -> None:
    found = diagnose(table=MeasureTable(device="cpu"))
    assert found.storage is None
    assert "storage " not in found.text()


@pytest.mark.slow
def test_the_self_test_measures_a_model_against_itself() -> None:
    table = MeasureTable(device="cpu", tokens=16, energy_batch=4)
    found = run_self_test(table, tiny_model(max_position_embeddings=64))
    assert found.seconds > 1
    for name in ("latency_ms", "latency_cold_ms", "energy_j", "throughput"):
        assert found.ratios[name].interval is not None
        assert found.readings[name].value is not None
    assert found.watts_per_core is None


@pytest.mark.parametrize(
    ("values", "passed"),
    [((1.0, 0.98), True), ((1.0, None), True), ((1.1, 1.0), False), ((None, None), False)],
)
def test_it_passes_where_every_known_ratio_is_one(
    values: tuple[float | None, float | None], passed: bool
) -> None:
    ratios = dict(zip(("latency_ms", "energy_j"), map(ratio, values), strict=True))
    assert SelfTest(ratios=ratios, readings=ratios, seconds=5.0).passed is passed


def test_its_verdict_is_readable() -> None:
    found = diagnose(table=MeasureTable(device="cpu"))
    ratios = {"latency_ms": ratio(1.2), "energy_j": ratio(None)}
    test = SelfTest(ratios=ratios, readings=ratios, seconds=5.4, watts_per_core=3.2)
    text = found.model_copy(update={"self_test": test}).text()
    assert "self-test    FAILED" in text
    assert "one measurement took 5.4 s" in text
    assert "ratio 1.200 [1.190, 1.210]" in text
    assert "not known: no meter" in text
    assert "3.20 W per busy core" in text
