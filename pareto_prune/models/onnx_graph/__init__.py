"""From a model, dense or cut, to an ONNX graph that gives the same logits.

The graph is written node by node from the model's modules in a fraction of a second
(:mod:`.walk`), and compared with the model in float32 before it is trusted. Where writing fails,
for whatever reason, or the logits differ, the model is traced instead (:mod:`.traced`), which
takes seconds; the log says why. Batch and length are dynamic; the inputs are int64, the output is
``logits``, float32.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import numpy as np

from pareto_prune.core.errors import ParetoPruneError
from pareto_prune.models.families import family_of
from pareto_prune.models.graph import Dtype
from pareto_prune.models.onnx_graph.runtime import require_packages, session, weight_bits
from pareto_prune.models.onnx_graph.static import CalibrationTexts, static
from pareto_prune.models.onnx_graph.traced import trace
from pareto_prune.models.onnx_graph.walk import Built, build, input_names
from pareto_prune.models.writer import UnsupportedModelError

if TYPE_CHECKING:
    import onnx
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from pareto_prune.models.onnx_graph.traced import Traced

__all__ = [
    "Built",
    "CalibrationTexts",
    "Dtype",
    "InexactGraphError",
    "UnsupportedModelError",
    "build",
    "check",
    "exact",
    "export",
    "input_names",
    "probes",
    "require_packages",
    "session",
    "torch_logits",
    "weight_bits",
]

TOLERANCE = 1e-4
_SHAPES = ((3, 11), (1, 5))
_LOG = logging.getLogger(__name__)
_told: set[str] = set()
"""Types of models whose written graph failed in this process."""


class InexactGraphError(ParetoPruneError):
    """A graph does not give the model's logits."""


def export(
    model: PreTrainedModel,
    dtype: Dtype = "float32",
    bits: int | None = None,
    texts: CalibrationTexts | None = None,
) -> onnx.ModelProto:
    """Return a model as ONNX, checked against its logits; arguments as in :func:`exact`.

    Raises:
        MissingExtraError: onnx or onnxruntime is not installed.
        InexactGraphError: neither the written nor the traced graph gives the model's logits.
    """
    return exact(model, dtype, bits, texts).proto()


def exact(
    model: PreTrainedModel,
    dtype: Dtype = "float32",
    bits: int | None = None,
    texts: CalibrationTexts | None = None,
) -> Built | Traced:
    """Return the graph of a model whose float32 form gives the model's logits within 1e-4.

    Args:
        model: with a classification head; its weights are copied.
        dtype: what the weights are kept in. ``float16`` and ``int8`` change the logits by what
            they round; their graph is that of the checked float32 form.
        bits: of an int8 weight that are used; what is best on this processor by default.
        texts: that int8 is calibrated on (:mod:`.static`). Without them, and where the model has to
            be traced, activations are quantised as they come.

    Raises:
        MissingExtraError: onnx or onnxruntime is not installed.
        InexactGraphError: neither the written nor the traced graph gives the model's logits.
    """
    require_packages()
    graph = _checked(model)
    if dtype == "float32":
        return graph
    if not isinstance(graph, Built):
        return graph.in_dtype(dtype)
    bits = bits or weight_bits()
    if dtype == "int8" and texts is not None:
        return static(model, graph, bits, texts)
    return build(model, dtype, bits)


def _checked(model: PreTrainedModel) -> Built | Traced:
    """Return the float32 graph that gives the model's logits: written, or else traced."""
    try:
        written = build(model)
        check(model, written)
        return written
    except Exception as reason:
        # a layout that nobody foresaw fails anywhere, and tracing needs to know none
        _tell(str(model.config.model_type), reason)
        traced = trace(model, input_names(model))
        check(model, traced)
        return traced


def _tell(model_type: str, reason: Exception) -> None:
    if model_type not in _told:
        _told.add(model_type)
        kind = type(reason).__name__
        _LOG.warning("a %s is traced to ONNX, not written: %s: %s", model_type, kind, reason)


def check(model: PreTrainedModel, graph: Built | Traced) -> None:
    """Compare a float32 graph with its model on padded batches of two shapes.

    Logits of padding are not compared.

    Raises:
        InexactGraphError: they differ by more than 1e-4 of the largest logit, or of 1.
    """
    running = session(graph)
    for inputs in probes(model, graph.inputs):
        expected = torch_logits(model, inputs)
        found = running.run(None, dict(inputs))[0]
        if found.shape != expected.shape:
            raise InexactGraphError(f"logits of shape {found.shape}, not {expected.shape}")
        off = np.abs(found - expected)
        worst = float((off[inputs["attention_mask"] == 1] if off.ndim == 3 else off).max())
        if not worst <= TOLERANCE * max(1.0, float(np.abs(expected).max())):
            raise InexactGraphError(f"logits differ by {worst:.3g}")


def probes(
    model: PreTrainedModel, names: tuple[str, ...]
) -> Iterator[Mapping[str, NDArray[np.int64]]]:
    """Yield two batches of arbitrary tokens, the first with padding."""
    generator = np.random.default_rng(0)
    pad = model.config.pad_token_id or 0
    longest = family_of(model).most_tokens(model.config)
    for rows, tokens in _SHAPES:
        shape = (rows, tokens if longest is None else min(tokens, longest))
        ids = generator.integers(0, model.config.vocab_size, shape)
        ids[ids == pad] = (pad + 1) % model.config.vocab_size
        mask = np.ones_like(ids)
        for row in range(1, rows):
            mask[row, shape[1] - 2 * row :] = 0
        types = np.zeros_like(ids)
        types[:, shape[1] // 2 :] = 1
        every = {
            "input_ids": np.where(mask == 1, ids, pad),
            "attention_mask": mask,
            "token_type_ids": types,
        }
        yield {name: every[name] for name in names}


def torch_logits(
    model: PreTrainedModel, inputs: Mapping[str, NDArray[np.int64]]
) -> NDArray[np.float32]:
    """Return a model's logits of these inputs, in eval mode."""
    import torch

    training = model.training
    model.eval()
    with torch.inference_mode():
        tensors = {name: torch.from_numpy(a).to(model.device) for name, a in inputs.items()}
        logits: NDArray[np.float32] = model(**tensors).logits.float().cpu().numpy()
    model.train(training)
    return logits
