"""How an exported model behaves by batch, threads and length."""

import json

import numpy as np
import pytest

from pareto_prune.core.errors import UserError
from pareto_prune.export.deployed import curve as module
from pareto_prune.export.deployed._footprint import Footprint, footprint
from pareto_prune.export.deployed._running import inputs_of, runner_of
from pareto_prune.export.deployed.curve import BATCHES, Curve, CurvePoint, Deployed, curve, knee_of
from pareto_prune.export.deployed.curve_view import curve_view
from pareto_prune.export.manifest import Manifest
from pareto_prune.measure.environment import usable_cores
from pareto_prune.measure.quiet import VARIABLE
from tests.deployed.folders import make_folder
from tests.results.test_tables import drawn


@pytest.fixture(autouse=True)
def locks(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "locks"))


def point(batch: int, rate: float, **more) -> CurvePoint:
    p50 = 1e3 * batch / rate
    return CurvePoint(
        batch=batch, threads=1, tokens=8, calls=50, p50_ms=p50, texts_per_second=rate, **more
    )


def test_a_folder_is_timed_in_every_setting_beside_another(tmp_path):
    make_folder(tmp_path / "own")
    make_folder(tmp_path / "other")
    found = curve(tmp_path / "own", tmp_path / "other", seconds=0.2)
    assert [one.batch for one in found.batches] == list(BATCHES)
    assert [one.threads for one in found.threads][-1] == usable_cores()
    assert [one.tokens for one in found.lengths] == [1, 2, 4, 8]
    assert found.batches[0] == found.threads[0] == found.lengths[1]
    for one in (*found.batches, *found.threads, *found.lengths):
        assert one.texts_per_second == pytest.approx(1e3 * one.batch / one.p50_ms)
        assert one.interval[0] <= one.faster <= one.interval[1]
        assert (one.p95_ms is None) == (one.calls < 200)
    assert found.knee == knee_of(found.batches)
    weights = tmp_path / "own" / "model.onnx", tmp_path / "own" / "tokenizer.json"
    took = found.model.footprint
    assert took.disk_bytes == sum(file.stat().st_size for file in weights)
    assert took.load_seconds > 0
    assert (took.resident_bytes or 1e9) > took.disk_bytes
    assert Curve.from_json(json.loads(found.model_dump_json())) == found
    assert found.against.folder == "other"


def test_a_folder_of_transformers_runs_too(tmp_path):
    make_folder(tmp_path / "own", "huggingface")
    manifest = Manifest.read(tmp_path / "own")
    inputs = inputs_of(tmp_path / "own", manifest, batch=3, tokens=5)
    assert inputs["input_ids"].shape == (3, 5)
    assert np.ptp(inputs["input_ids"]) > 0
    assert runner_of(tmp_path / "own", manifest)(1).logits(inputs).shape == (3, 2)


def test_the_knee_is_the_smallest_batch_with_nearly_the_most_texts_a_second():
    assert knee_of([point(1, 100.0), point(2, 180.0), point(4, 200.0), point(8, 199.0)]) == 2
    assert knee_of([point(1, 100.0), point(2, 90.0)]) == 1


def test_a_folder_that_was_changed_is_refused(tmp_path):
    make_folder(tmp_path / "own")
    with (tmp_path / "own" / "model.onnx").open("ab") as file:
        file.write(b"x")
    with pytest.raises(UserError, match="is not the file that was exported"):
        curve(tmp_path / "own")


def test_what_cannot_be_loaded_alone_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"cannot be loaded alone: .*no such folder"):
        footprint(tmp_path / "absent", 4)


def test_the_tables_say_what_is_known():
    took = Footprint(disk_bytes=5_000_000, load_seconds=0.5, resident_bytes=None)
    own = Deployed(
        folder="small", format="onnx", dtype="int8", engine="onnxruntime", footprint=took
    )
    batches = (
        point(1, 100.0, p95_ms=12.0, faster=4.0, interval=(3.9, 4.1)),
        point(2, 150.0, faster=3.0, interval=(2.0, 4.0)),
    )
    found = Curve(
        model=own, against=own.model_copy(update={"folder": "dense"}), device="a CPU",
        batches=batches, threads=batches[:1], lengths=batches[:1], knee=2,
    )  # fmt: skip
    lines = drawn(curve_view(found), width=110)
    assert lines[1].split() == [
        "small",
        "onnx",
        "int8",
        "onnxruntime",
        "5.00",
        "MB",
        "–",
        "0.50",
        "s",
    ]
    assert lines[2].startswith("dense")
    assert lines[6].split() == [
        "1",
        "10.0",
        "ms",
        "12.0",
        "ms",
        "–",
        "100",
        "/s",
        "4.0×",
        "3.90",
        "…",
        "4.10",
    ]
    assert lines[7].split() == [
        "2",
        "13.3",
        "ms",
        "–",
        "–",
        "150",
        "/s",
        "3.0×",
        "2.00",
        "…",
        "4.00",
    ]
    said = "Knee: batch 2, the smallest with 90 % of the most texts a second (150 /s at 13.3 ms)."
    assert said in lines
    alone = found.model_copy(update={"against": None, "batches": (point(1, 100.0),), "knee": 1})
    assert not any("aster" in line for line in drawn(curve_view(alone), width=110)[:8])


def test_settings_are_those_of_the_folder_that_takes_less(tmp_path):
    make_folder(tmp_path / "own", max_length=32)
    made = module._Opened(tmp_path / "own", Manifest.read(tmp_path / "own"))
    assert made.longest == 32
    assert [one.tokens for one in module._lengths(32)] == [4, 8, 16, 32]
