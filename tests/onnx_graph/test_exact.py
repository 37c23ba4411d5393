"""Graphs give the model's logits: every family, task and kind of cut; what cannot is traced."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from pareto_prune.models import onnx_graph
from pareto_prune.models.families import family_of
from pareto_prune.models.graph import Graph
from pareto_prune.models.onnx_graph import (
    CalibrationTexts,
    InexactGraphError,
    UnsupportedModelError,
    build,
    check,
    exact,
    export,
    input_names,
    session,
)
from pareto_prune.models.onnx_graph.traced import trace
from pareto_prune.models.opset import OPSET
from pareto_prune.pruning.plan import PruningPlan
from pareto_prune.pruning.surgery import cut_copy
from tests.pruning.plans import plans
from tests.tiny import HEADS, HIDDEN, LAYERS, MODEL_TYPES, NEURONS, tiny_model

DENSE = PruningPlan.of([(range(HEADS), range(NEURONS))] * LAYERS)
UNEVEN = PruningPlan.of([([0, 2], range(0, NEURONS, 3)), ([], [1, 2]), ([3], [])])
SKIPPING = PruningPlan.of([([1], [7]), ([], []), (range(HEADS), range(NEURONS))])
NARROW = PruningPlan.of([([0], range(9)), ([], []), ([], [1, 2])], range(1, HIDDEN, 2))
NOTHING = PruningPlan.of([([], [])] * LAYERS)
PLANS = {"dense": DENSE, "uneven": UNEVEN, "skipping": SKIPPING, "narrow": NARROW, "bare": NOTHING}


@pytest.mark.parametrize("plan", PLANS)
@pytest.mark.parametrize("task", ["classification", "ner"])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_the_graph_gives_the_models_logits(model_type: str, task: str, plan: str) -> None:
    model = cut_copy(tiny_model(model_type, task), PLANS[plan])
    check(model, build(model))


@settings(max_examples=15, deadline=None)
@given(plans())
def test_any_plan(plan: PruningPlan) -> None:
    model = cut_copy(tiny_model(), plan)
    check(model, build(model))


def outputs(model: Any, graph: Any) -> tuple[Any, Any]:
    inputs = next(iter(onnx_graph.probes(model, graph.inputs)))
    return session(graph).run(None, dict(inputs))[0], onnx_graph.torch_logits(model, inputs)


@pytest.mark.parametrize("model_type", MODEL_TYPES)
@pytest.mark.parametrize(("dtype", "share"), [("float16", 0.01), ("int8", 0.1)])
def test_smaller_dtypes_round(model_type: str, dtype: Any, share: float) -> None:
    model = cut_copy(tiny_model(model_type), UNEVEN)
    found, expected = outputs(model, exact(model, dtype))
    assert np.abs(found - expected).max() <= share * max(1.0, np.abs(expected).max())
    assert np.abs(found - expected).max() > 0


def test_int8_is_a_quarter_and_float16_half() -> None:
    model = tiny_model(hidden_size=128, intermediate_size=256)
    sizes = {dtype: export(model, dtype).ByteSize() for dtype in ("float32", "float16", "int8")}
    assert sizes["float16"] < 0.6 * sizes["float32"]
    assert sizes["int8"] < 0.45 * sizes["float32"]


def texts(model: Any, divergence: Any = None) -> CalibrationTexts:
    return CalibrationTexts(tuple(onnx_graph.probes(model, input_names(model))), divergence)


def kinds(graph: Any) -> list[str]:
    return [node.op_type for node in graph.proto().graph.node]


def apart(logits: Any, others: Any) -> float:
    return float(np.abs(logits - others).max())


@pytest.mark.parametrize("task", ["classification", "ner"])
@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_calibrated_int8_rounds_every_projection(model_type: str, task: str) -> None:
    model = cut_copy(tiny_model(model_type, task), UNEVEN)
    graph = exact(model, "int8", texts=texts(model))
    found, expected = outputs(model, graph)
    if task == "ner":  # what stands for padding is nobody's
        real = next(iter(onnx_graph.probes(model, graph.inputs)))["attention_mask"] == 1
        found, expected = found[real], expected[real]
    assert 0 < apart(found, expected) <= 0.1 * max(1.0, np.abs(expected).max())
    assert kinds(graph).count("QuantizeLinear") == len(build(model).graph.projected)
    assert "DynamicQuantizeLinear" not in kinds(graph)


def test_onnx_runtime_multiplies_integers(tmp_path: Path) -> None:
    import onnx
    import onnxruntime

    model = cut_copy(tiny_model(), UNEVEN)
    graph = exact(model, "int8", texts=texts(model))
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    cpu = ["CPUExecutionProvider"]
    onnxruntime.InferenceSession(graph.proto().SerializeToString(), options, providers=cpu)
    found = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert found.count("QGemm") == len(graph.graph.projected)
    assert "DequantizeLinear" not in found


def test_a_calibrated_projection_is_off_by_its_steps() -> None:
    generator = np.random.default_rng(0)
    weight, bias = torch.randn(5, 8), torch.tensor([1e3, 0.0, -1.0, 2.0, 3.0])
    weight[0] = 0.0  # its scale must be no smaller than the bias allows
    graph = Graph("int8", 7, [(0.5, 4.0)])  # eight saturate on x86 without VNNI
    name = graph.linear("x", weight, bias)
    x = generator.uniform(0.0, 4.0, (6, 8)).astype(np.float32)
    step, scale = 4.0 / 255, weight.abs().amax(1).numpy() / 63
    found = _run(graph, name, x)
    most = step / 2 * weight.abs().sum(1).numpy() + scale / 2 * (x + step).sum(1, keepdims=True)
    assert (np.abs(found - (x @ weight.numpy().T + bias.numpy())) <= most + 1e-3).all()
    outside = _run(graph, name, x + 100)
    assert np.allclose(outside, _run(graph, name, np.full_like(x, 4.0)))


def _run(graph: Graph, name: str, x: Any) -> Any:
    import onnxruntime
    from onnx import TensorProto, helper

    whole = graph.proto([], name, ["rows", 5])
    whole.graph.input.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, ["rows", 8]))
    running = onnxruntime.InferenceSession(
        whole.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    return running.run(None, {"x": x})[0]


def test_what_int8_hurts_stays_in_float32() -> None:
    model = tiny_model()
    layer = model.base_model.encoder.layer[1]
    with torch.no_grad():  # one neuron so far out that all others round to nothing
        layer.intermediate.dense.bias[0] = 1e4
        layer.output.dense.weight[:, 0] = 0.0
    whole = exact(model, "int8", 8, texts(model))
    lost = apart(*outputs(model, whole))
    found = exact(model, "int8", 8, texts(model, lambda *logits: 0.02 * apart(*logits) / lost))
    assert kinds(found).count("Gemm") == kinds(whole).count("Gemm")
    assert kinds(found).count("QuantizeLinear") == kinds(whole).count("QuantizeLinear") - 1
    assert apart(*outputs(model, found)) < 0.3 * lost
    mild = exact(model, "int8", 8, texts(model, lambda *_: 0.0))
    assert kinds(mild) == kinds(whole)


def test_seven_bits_stay_within_64() -> None:
    graph = Graph("int8", weight_bits=7)
    graph.linear("x", torch.randn(4, 8), None)
    integers = [array for array in graph.weights.values() if array.dtype == np.int8]
    assert [int(np.abs(array.astype(int)).max()) for array in integers] == [63]


def test_an_exported_model_is_complete_and_standard() -> None:
    import onnx

    proto = export(cut_copy(tiny_model(), UNEVEN))
    onnx.checker.check_model(proto, full_check=True)
    assert {opset.domain for opset in proto.opset_import} == {""}
    assert [value.name for value in proto.graph.output] == ["logits"]


@pytest.mark.parametrize(
    ("model_type", "more"),
    [
        ("bert", ("token_type_ids",)),
        ("roberta", ()),
        ("distilbert", ()),
        ("gpt2", ()),
        ("modernbert", ()),
    ],
)
def test_token_types_are_an_input_where_there_are_two(model_type: str, more: Any) -> None:
    sizes = {"type_vocab_size": 1} if model_type == "roberta" else {}
    names = input_names(tiny_model(model_type, **sizes))
    assert names == ("input_ids", "attention_mask", *more)


def test_training_later_changes_no_graph() -> None:
    model = tiny_model()
    graph = build(model)
    running = session(graph)
    inputs = dict(next(iter(onnx_graph.probes(model, graph.inputs))))
    before = running.run(None, inputs)[0]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert (running.run(None, inputs)[0] == before).all()


@pytest.mark.parametrize("training", [False, True])
def test_an_unknown_activation_is_traced(training: bool) -> None:
    model = cut_copy(tiny_model(hidden_act="silu"), UNEVEN).train(training)
    with pytest.raises(UnsupportedModelError, match="activation SiLU"):
        build(model)
    attention = model.config._attn_implementation
    graph = exact(model)
    check(model, graph)
    assert model.training is training
    assert model.config._attn_implementation == attention


@pytest.mark.parametrize("failure", [IndexError("list index"), AttributeError("no such part")])
def test_any_failure_is_traced_and_told_once(
    failure: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: Any) -> Any:
        raise failure

    monkeypatch.setattr(onnx_graph, "_told", set())
    monkeypatch.setattr(onnx_graph, "build", fail)
    model = tiny_model()
    for _ in range(2):
        assert type(exact(model)).__name__ == "Traced"
    (line,) = [record.getMessage() for record in caplog.records]
    assert line == f"a bert is traced to ONNX, not written: {type(failure).__name__}: {failure}"


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_written_and_traced_graphs_are_of_one_opset(model_type: str) -> None:
    model = cut_copy(tiny_model(model_type), NARROW)
    traced = trace(model, input_names(model))
    check(model, traced)
    versions = [graph.proto().opset_import[0].version for graph in (traced, build(model))]
    assert versions == [OPSET, OPSET]


@pytest.mark.parametrize("model_type", MODEL_TYPES)
def test_stock_sizes(model_type: str, **more: Any) -> None:
    """The vocabulary, padding token and positions that a family's checkpoints have."""
    made = tiny_model(model_type)
    sizes = {"num_hidden_layers": 1, "hidden_size": HIDDEN, "num_attention_heads": HEADS}
    config: Any = type(made.config)(**sizes, **more)
    if config.pad_token_id is None:
        config.pad_token_id = config.eos_token_id
    model = type(made)(config).eval()
    check(model, build(model))
    longest = family_of(model).most_tokens(config)
    ids = np.full((1, longest), (config.pad_token_id + 1) % config.vocab_size)
    assert np.isfinite(
        onnx_graph.torch_logits(model, {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    ).all()


@pytest.mark.parametrize("dtype", ["float16", "int8"])
def test_a_traced_graph_comes_in_every_dtype(dtype: Any) -> None:
    model = tiny_model(hidden_act="silu")
    found, expected = outputs(model, exact(model, dtype))
    assert np.abs(found - expected).max() <= 0.1 * max(1.0, np.abs(expected).max())


def test_a_graph_that_is_wrong_is_found_and_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    model = tiny_model()
    original = Graph.norm

    def wrong(self: Graph, x: str, module: Any) -> str:
        return self.op("Mul", original(self, x, module), self.scalar(1.01))

    monkeypatch.setattr(Graph, "norm", wrong)
    with pytest.raises(InexactGraphError, match="logits differ by"):
        check(model, build(model))
    assert type(exact(model)).__name__ == "Traced"


def test_a_model_that_cannot_be_traced_either_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model, other = tiny_model(), tiny_model(seed=1)
    monkeypatch.setattr(onnx_graph, "build", lambda *_: build(other))
    monkeypatch.setattr(onnx_graph, "trace", lambda *_: trace(other, input_names(other)))
    with pytest.raises(InexactGraphError):
        exact(model)


def test_other_logits_shapes_are_found() -> None:
    with pytest.raises(InexactGraphError, match="shape"):
        check(tiny_model(labels=3), build(tiny_model(labels=2)))


def test_importing_it_loads_neither_torch_nor_onnx() -> None:
    code = (
        "import sys, pareto_prune.models.onnx_graph; "
        "sys.exit(bool({'torch', 'onnx', 'onnxruntime'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
