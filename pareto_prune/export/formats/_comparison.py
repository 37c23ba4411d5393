"""Comparison of an exported graph with the model in PyTorch, on real texts where there are any."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pareto_prune.export.formats import Examples
from pareto_prune.export.manifest import Check
from pareto_prune.inputs.decision import of_model
from pareto_prune.models import onnx_graph

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from pareto_prune.inputs.examples import Split

COMPARED = 64
SCORED = 1000


def compare(model: PreTrainedModel, file: Path, examples: Examples | None, exact: bool) -> Check:
    """Compare the graph in ``file`` with ``model``.

    Args:
        model: in PyTorch, float32.
        file: the graph, as it was written.
        examples: real texts; without them arbitrary tokens are compared.
        exact: whether logits must be those of PyTorch within 1e-4 (of the largest of them, where
            that is above 1); else both are scored on the labels of the examples.

    Raises:
        InexactGraphError: they are not.
    """
    call = _session(file)
    if examples is None:
        return Check(examples=0, logits=_on_arbitrary_tokens(model, call))
    from pareto_prune.trials.evaluation import logits_by, logits_of

    split = _spaced(examples.split, COMPARED if exact else SCORED)
    expected, found = logits_of(model, split), logits_by(call, split)
    worst = float(np.abs(found - expected).max())
    if exact:
        _check_close(worst, float(np.abs(expected).max()))
        return Check(examples=len(split), logits=worst)
    quality = of_model(examples.task, model.config).quality
    return Check(
        examples=len(split),
        logits=worst,
        metric=examples.metric,
        scored=len(split),
        float32=quality(expected, split).metrics[examples.metric],
        exported=quality(found, split).metrics[examples.metric],
    )


def _check_close(worst: float, largest: float) -> None:
    if not worst <= onnx_graph.TOLERANCE * max(1.0, largest):
        raise onnx_graph.InexactGraphError(f"logits of real texts differ by {worst:.3g}")


def _session(file: Path) -> Callable[[Mapping[str, Any]], NDArray[np.float32]]:
    import onnxruntime
    import torch

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    options.log_severity_level = 3
    running = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    names = [given.name for given in running.get_inputs()]
    return lambda inputs: running.run(None, {name: inputs[name] for name in names})[0]


def _spaced(split: Split, most: int) -> Split:
    """Return at most ``most`` examples, evenly spaced."""
    rows = np.unique(np.linspace(0, len(split) - 1, most).astype(np.int64))
    return split.take(rows)


def _on_arbitrary_tokens(
    model: PreTrainedModel, call: Callable[[Mapping[str, Any]], NDArray[np.float32]]
) -> float:
    worst = 0.0
    for inputs in onnx_graph.probes(model, onnx_graph.input_names(model)):
        off = np.abs(call(inputs) - onnx_graph.torch_logits(model, inputs))
        inside = inputs["attention_mask"] == 1
        worst = max(worst, float((off[inside] if off.ndim == 3 else off).max()))
    return worst
