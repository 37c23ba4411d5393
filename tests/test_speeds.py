"""A user's own model on every engine of this machine."""

import json

import pytest

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.errors import UserError
from pareto_prune.inputs.tasks import tasks
from pareto_prune.measure import caches
from pareto_prune.measure.engines import engines
from pareto_prune.measure.quiet import VARIABLE
from pareto_prune.running import speeds
from pareto_prune.running.speeds import EngineSpeed, Speeds, model_speeds, speeds_view
from tests.results.test_tables import drawn
from tests.tiny import POSITIONS, tiny_model

CPU = MeasureTable(device="cpu", threads=1)


@pytest.fixture(autouse=True)
def quick(tmp_path, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(tmp_path / "locks"))
    monkeypatch.setattr(caches, "emptier", lambda _: lambda: None)


@pytest.fixture
def folder(tmp_path):
    tiny_model().save_pretrained(tmp_path / "model")
    return str(tmp_path / "model")


def test_every_engine_that_is_here_has_a_row_for_every_number_format(folder):
    found = model_speeds(folder, max_length=8, table=CPU, seconds=0.5)
    here = [name for name in engines.names() if engines.create(name).why_not() is None]
    expected = [(name, d) for name in here for d in engines.create(name).dtypes("cpu")]
    assert [(row.engine, row.dtype) for row in found.rows] == expected
    assert {*here, *found.not_here} == set(engines.names())
    for row in found.rows:
        assert row.trouble is None
        assert min(row.latency_ms, row.latency_cold_ms, row.texts_per_second) > 0
    assert found.fastest.latency_ms == min(row.latency_ms for row in found.rows)
    assert Speeds.from_json(json.loads(found.model_dump_json())) == found


def test_what_an_engine_cannot_run_is_said_in_its_row(folder, monkeypatch):
    def broken(*_):
        raise RuntimeError("no kernel for this")

    monkeypatch.setattr(type(engines.create("eager")), "prepare", broken)
    found = model_speeds(folder, max_length=8, table=CPU, seconds=0.1)
    eager = [row for row in found.rows if row.engine == "eager"]
    assert {row.trouble for row in eager} == {"no kernel for this"}
    assert found.fastest.engine != "eager"
    lines = drawn(speeds_view(found), width=120)
    assert sum("not run: no kernel for this" in line for line in lines) == len(eager)


def test_more_tokens_than_positions_are_refused(folder):
    with pytest.raises(UserError, match=rf"^--max-length: {POSITIONS + 1} tokens are more than"):
        model_speeds(folder, max_length=POSITIONS + 1, table=CPU)


def test_no_such_folder_is_one_line():
    with pytest.raises(UserError, match=r"no such folder"):
        model_speeds("./absent", table=CPU)


def test_the_head_of_a_checkpoint_is_kept():
    token = speeds._task(["BertForTokenClassification"])
    assert token.model_class == "AutoModelForTokenClassification"
    assert speeds._task(["BertForMaskedLM"]) == tasks.create(tasks.names()[0])
    assert speeds._task(["BertModel"]).model_class == "AutoModel"


def test_a_bare_body_is_run(folder):
    tiny_model().base_model.save_pretrained(folder)
    found = model_speeds(folder, max_length=8, table=CPU, seconds=0.1)
    assert all(row.trouble is None for row in found.rows)


def test_the_table_marks_the_fastest_and_says_what_is_not_here():
    slow = EngineSpeed(
        engine="eager", dtype="float32", latency_ms=8.0, latency_cold_ms=None,
        texts_per_second=400.0, batch=16,
    )  # fmt: skip
    fast = slow.model_copy(update={"engine": "onnxruntime", "latency_ms": 2.0, "batch": 32})
    found = Speeds(
        model="mine", device="a CPU", threads=2, tokens=24, rows=(slow, fast),
        not_here={"openvino": "openvino not installed"},
    )  # fmt: skip
    lines = drawn(speeds_view(found), width=120)
    assert lines[0] == "mine on a CPU, 2 threads, 24 tokens"
    assert lines[2].split("  ")[-1].endswith("batches of 16: 32 took too long")
    assert lines[3].startswith("★ onnxruntime")
    assert "openvino is not here: openvino not installed" in lines
