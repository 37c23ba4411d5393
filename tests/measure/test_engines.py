"""What every engine promises."""

import os
from typing import Any

import numpy as np
import pytest
import torch

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.errors import UnknownNameError, UserError
from pareto_prune.measure import Workload
from pareto_prune.measure.engines import DTYPES, Settings, choose, engines
from pareto_prune.models.onnx_graph import CalibrationTexts, input_names
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.surgery import cut_copy
from tests.tiny import MODEL_TYPES, NEURONS, PAD, VOCABULARY, tiny_model

NAMES = engines.names()
UNEVEN = PruningPlan.of([([0, 2], range(0, NEURONS, 3)), ([], [1, 2]), ([], [])])


def inputs() -> dict[str, Any]:
    generator = np.random.default_rng(0)
    texts = [generator.integers(4, VOCABULARY, n) for n in (3, 9, 12, 5)]
    table = MeasureTable(energy_batch=4)
    return Workload.from_lengths(texts, table, 0, pad=PAD).throughput()


def expected(model: Any, given: dict[str, Any]) -> Any:
    with torch.inference_mode():
        tensors = {name: torch.from_numpy(given[name]) for name in input_names(model)}
        return model(**tensors).logits.numpy()


def off(found: Any, right: Any, mask: Any) -> float:
    distance = np.abs(found - right)
    return float((distance[mask == 1] if distance.ndim == 3 else distance).max())


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("task", ["classification", "ner"])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_its_logits_are_the_models(name: str, model_type: str, task: str) -> None:
    model = cut_copy(tiny_model(model_type, task), UNEVEN)
    session, given = engines.create(name).prepare(model, Settings()), inputs()
    found = session.logits(given)
    assert found.dtype == np.float32
    assert off(found, expected(model, given), given["attention_mask"]) < 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_every_dtype_that_it_has_runs(name: str) -> None:
    engine, model, given = engines.create(name), tiny_model(), inputs()
    right = expected(model, given)
    for dtype in engine.dtypes("cpu"):
        assert dtype in DTYPES
        found = engine.prepare(model, Settings(dtype=dtype)).logits(given)
        assert off(found, right, given["attention_mask"]) < 0.1 * max(1, np.abs(right).max())


@pytest.mark.parametrize("name", NAMES)
def test_int8_is_calibrated_where_the_engine_does_that(name: str) -> None:
    engine, model, given = engines.create(name), tiny_model(), inputs()
    if "int8" not in engine.dtypes("cpu"):
        return
    one = {**given, "input_ids": np.full_like(given["input_ids"], PAD)}
    found = [
        engine.prepare(model, Settings(dtype="int8", texts=texts)).logits(given)
        for texts in (None, CalibrationTexts((given,)), CalibrationTexts((one,)))
    ]
    assert engine.calibrates == (not (found[1] == found[0]).all())
    assert engine.calibrates == (not (found[1] == found[2]).all())
    right = expected(model, given)
    assert off(found[1], right, given["attention_mask"]) < 0.1 * max(1, np.abs(right).max())


@pytest.mark.parametrize("name", NAMES)
def test_a_twin_gives_the_same(name: str) -> None:
    model, given = tiny_model(), inputs()
    session = engines.create(name).prepare(model, Settings())
    twin = session.twin()
    assert twin is not session
    assert (twin.logits(given) == session.logits(given)).all()


@pytest.mark.parametrize("name", NAMES)
def test_training_later_changes_no_session(name: str) -> None:
    model, given = tiny_model(), inputs()
    session = engines.create(name).prepare(model, Settings())
    before = session.logits(given)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    model.train()
    assert (session.logits(given) == before).all()


@pytest.mark.parametrize("name", NAMES)
def test_preparing_leaves_the_model_as_it_was(name: str) -> None:
    model = tiny_model().train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    engine = engines.create(name)
    for dtype in engine.dtypes("cpu"):
        engine.prepare(model, Settings(dtype=dtype))
    assert model.training
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert all((model.state_dict()[key] == value).all() for key, value in before.items())


@pytest.mark.parametrize("name", NAMES)
def test_torchs_threads_are_given_back(name: str) -> None:
    engine, before = engines.create(name), torch.get_num_threads()
    call = engine.prepare(tiny_model(), Settings(threads=before + 1)).bind(inputs())
    with engine.exclusive():
        call()
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("name", NAMES)
def test_it_says_its_version_and_whether_it_can_be_used(name: str) -> None:
    engine = engines.create(name)
    assert engine.why_not() is None
    assert engine.version().split()[0] in ("torch", "onnxruntime", "openvino")
    assert engine.why_not_on("cpu") is None
    assert "allowed: cpu" in str(engine.why_not_on("tpu"))
    if not torch.cuda.is_available():
        assert "would change that" in str(engine.why_not_on("cuda:0"))


def test_on_a_cpu_the_default_is_onnx_runtime_where_it_is_installed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    table = MeasureTable(device="cpu")
    name, _, settings = choose(table)
    assert name == "onnxruntime"
    assert settings == Settings("cpu", 1, "float32")
    monkeypatch.setattr(engines.member("onnxruntime"), "why_not", staticmethod(lambda: "absent"))
    assert choose(table)[0] == "eager"
    with pytest.raises(UserError, match="onnxruntime cannot be used: absent"):
        choose(MeasureTable(engine="onnxruntime", device="cpu"))


@pytest.mark.parametrize(
    ("name", "packages", "extra"),
    [
        ("onnxruntime", "onnx and onnxruntime", "onnx"),
        ("openvino", "openvino and onnx and onnxruntime", "openvino"),
    ],
)
def test_a_missing_package_is_named(
    name: str, packages: str, extra: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pareto_prune.measure.engines.find_spec", lambda name: None)
    assert engines.create(name).why_not() == (
        f"{packages} not installed; pip install 'pareto-prune[{extra}]' would change that"
    )


def test_threads_and_dtype_are_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 8)
    table = MeasureTable(device="cpu", engine="eager", threads=3, dtype="bfloat16")
    assert choose(table)[2] == Settings("cpu", 3, "bfloat16")


@pytest.mark.parametrize(
    ("table", "complaint"),
    [
        (
            {"engine": "onnxruntime", "dtype": "bfloat16"},
            r"^measure\.dtype: onnxruntime has no bfloat16 on cpu, allowed: float32, float16",
        ),
        ({"device": "cuda:7"}, r"^measure\.engine: eager cannot be used: PyTorch sees"),
        ({"device": "tpu"}, r"^measure\.engine: .*'tpu' is not known"),
    ],
)
def test_what_is_not_there_is_refused_in_one_line(table: dict[str, str], complaint: str) -> None:
    with pytest.raises(UserError, match=complaint) as error:
        choose(MeasureTable(device="cpu").model_copy(update=table))
    assert len(error.value.problems) == 1


def test_an_unknown_engine_names_the_nearest() -> None:
    with pytest.raises(UnknownNameError, match="did you mean 'onnxruntime'"):
        choose(MeasureTable(engine="onnxruntim"))
