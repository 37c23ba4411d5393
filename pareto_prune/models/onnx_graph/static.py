"""Static int8: the ranges of activations are taken from texts, once, before a model is deployed.

::

    float32 graph ─► lowest and highest of what     ─► int8 graph ─► near enough? ─► done
        │            every projection reads                              │ no
        └─► logits ──────────────────────────────────────────────────────┴─► what hurts most
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
FLOAT32 = 4
"""At most one projection in so many stays in float32: more would leave little of the gain."""


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
    ranges, logits = _observed(plain, texts.batches)
    if texts.divergence is None:
        return build(model, "int8", bits, ranges)
    return _Search(model, bits, texts, logits).bearable(ranges)


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

    def bearable(self, ranges: Ranges) -> Built:
        """Return the graph in which as few projections as need be stay in float32.

        They are tried one by one only where all of them together are too far off, and then go in
        the order of how much each loses alone.
        """
        graph, apart = self._tried(ranges)
        if apart <= ENOUGH:
            return graph
        alone = [self._tried(_only(ranges, place))[1] for place in range(len(ranges))]
        for place in np.argsort(alone)[::-1][: len(ranges) // FLOAT32]:
            ranges = [None if i == place else span for i, span in enumerate(ranges)]
            graph, apart = self._tried(ranges)
            if apart <= ENOUGH:
                break
        return graph

    def _tried(self, ranges: Ranges) -> tuple[Built, float]:
        assert self.texts.divergence is not None
        graph = build(self.model, "int8", self.bits, ranges)
        running, batches = session(graph), self.texts.batches
        found = [_real(running.run(None, _fed(graph, one))[0], one) for one in batches]
        return graph, self.texts.divergence(np.concatenate(found), self.exact)


def _only(ranges: Ranges, place: int) -> Ranges:
    return [span if i == place else None for i, span in enumerate(ranges)]


def _observed(plain: Built, batches: Sequence[Inputs]) -> tuple[list[Range], Array]:
    """Return the ranges of what the projections of a float32 graph read, and its logits."""
    running, count = _observing(plain), len(plain.graph.projected)
    given = [running.run(None, _fed(plain, one)) for one in batches]
    lowest = np.min([one[1 : 1 + count] for one in given], axis=0)
    highest = np.max([one[1 + count :] for one in given], axis=0)
    logits = [_real(one[0], inputs) for one, inputs in zip(given, batches, strict=True)]
    return list(zip(lowest.tolist(), highest.tolist(), strict=True)), np.concatenate(logits)


def _observing(plain: Built) -> Any:
    """Start a float32 graph that also gives all minima, then all maxima, of what is projected."""
    from onnx import TensorProto, helper

    model, large = plain.skeleton()
    for kind in ("ReduceMin", "ReduceMax"):
        for place, name in enumerate(plain.graph.projected):
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
