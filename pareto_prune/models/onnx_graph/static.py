"""Static int8: the ranges of activations are taken from texts, once, before a model is deployed.

::

    float32 graph ─► lowest and highest of what     ─► int8 graph ─► near enough? ─► done
        │            every projection reads                              │ no
        └─► logits ──────────────────────────────────────────────────────┴─► what is seen to hurt
                                                                             stays in float32

A weight has one scale a row, symmetric; what a projection reads has one scale, asymmetric (Jacob et
al. 2018, sections 2.1 and 3). The range is that from the minimum to the maximum: what LayerNorm and
GELU give has few outliers, far away, that the predictions hang on (Bondarenko et al. 2021, section
3), and a percentile that cuts them off loses several times as much.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from pareto_prune.models.onnx_graph.runtime import session, started
from pareto_prune.models.onnx_graph.walk import Built, build

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from transformers import PreTrainedModel

    from pareto_prune.models.graph import Array, Range, Ranges

    Inputs = Mapping[str, NDArray[np.int64]]

ENOUGH = 0.005
"""Divergence from the float32 predictions, in nats, that is left as it is."""
FLOAT32, TRIED = 4, 2
"""At most one projection in so many stays in float32, since more would leave little of the gain,
and one in so many is tried, since each takes a session."""
HELPS = 0.95
"""Share of the divergence that is left where a projection is seen to hurt."""


@dataclass(frozen=True, eq=False)
class CalibrationTexts:
    """Texts that int8 is calibrated on.

    Attributes:
        batches: int64 of shape (batch, tokens), token types included.
        divergence: how far logits are from others, both (targets, outputs), in nats; ``None``:
            nobody asks, and no projection stays in float32.
    """

    batches: tuple[Inputs, ...]
    divergence: Callable[[Array, Array], float] | None = None


def static(model: PreTrainedModel, plain: Built, bits: int, texts: CalibrationTexts) -> Built:
    """Return the int8 graph of a model, calibrated.

    Args:
        model: what ``plain`` was built from.
        plain: its float32 graph.
        bits: of an int8 weight that are used.
        texts: what it is calibrated on.
    """
    ranges, coarse, logits = _observed(plain, texts.batches)
    if texts.divergence is None:
        return build(model, "int8", bits, ranges)
    return _Search(model, bits, texts, logits).bearable(ranges, np.argsort(coarse)[::-1].tolist())


@dataclass(frozen=True)
class _Search:
    """Looks for the projections that int8 hurts.

    Attributes:
        exact: logits of the texts in float32, (targets, outputs).
    """

    model: PreTrainedModel
    bits: int
    texts: CalibrationTexts
    exact: Array

    def bearable(self, ranges: Ranges, order: Sequence[int]) -> Built:
        """Return the graph in which as few projections as need be stay in float32.

        Args:
            ranges: of all projections.
            order: places of the projections, those that are likely to lose most first.
        """
        graph, apart = self._tried(ranges)
        for place in order[: len(ranges) // TRIED]:
            if apart <= ENOUGH or sum(one is None for one in ranges) >= len(ranges) // FLOAT32:
                break
            without = [None if i == place else span for i, span in enumerate(ranges)]
            found, left = self._tried(without)
            if left <= HELPS * apart:
                ranges, graph, apart = without, found, left
        return graph

    def _tried(self, ranges: Ranges) -> tuple[Built, float]:
        assert self.texts.divergence is not None
        graph = build(self.model, "int8", self.bits, ranges)
        running, batches = session(graph), self.texts.batches
        found = [_real(running.run(None, _fed(graph, one))[0], one) for one in batches]
        return graph, self.texts.divergence(np.concatenate(found), self.exact)


def _observed(
    plain: Built, batches: Sequence[Inputs]
) -> tuple[list[Range], NDArray[np.float64], Array]:
    """Return what a float32 graph does to texts.

    Returns:
        The range of what every projection reads, how coarse a step of it is against the mean
        magnitude, and the logits.
    """
    running, kinds = _observing(plain), (3, len(plain.graph.projected))
    given = [running.run(None, _fed(plain, one)) for one in batches]
    lowest, highest, means = np.stack([np.reshape(one[1:], kinds) for one in given], axis=1)
    low, high = lowest.min(0), highest.max(0)
    coarse = (high - low) / np.maximum(means.mean(0), 1e-12)
    logits = [_real(one[0], inputs) for one, inputs in zip(given, batches, strict=True)]
    return list(zip(low.tolist(), high.tolist(), strict=True)), coarse, np.concatenate(logits)


def _observing(plain: Built) -> Any:
    """Start a float32 graph that also gives minima, maxima and mean magnitudes of what is read."""
    from onnx import TensorProto, helper

    model, large = plain.skeleton()
    names = plain.graph.projected
    sizes = [f"Abs_of_{place}" for place in range(len(names))]
    model.graph.node.extend(
        helper.make_node("Abs", [name], [size]) for name, size in zip(names, sizes, strict=True)
    )
    for kind, read in (("ReduceMin", names), ("ReduceMax", names), ("ReduceMean", sizes)):
        for place, name in enumerate(read):
            given = f"{kind}_of_{place}"
            model.graph.node.append(helper.make_node(kind, [name], [given], keepdims=0))
            told = helper.make_tensor_value_info(given, TensorProto.FLOAT, [])
            model.graph.output.append(told)
    return started(model, large)


def _fed(graph: Built, inputs: Inputs) -> dict[str, NDArray[np.int64]]:
    return {name: inputs[name] for name in graph.inputs}


def _real(logits: Array, inputs: Inputs) -> Array:
    """Return logits without those of padding, (targets, outputs)."""
    return logits[inputs["attention_mask"] == 1] if logits.ndim == 3 else logits
