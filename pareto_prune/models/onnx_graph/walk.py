"""From a transformer, dense or cut, to the nodes of a graph, as its family writes it.

What is there is read from the modules, so that uneven layers, missing heads, missing neurons and
missing channels need no case of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pareto_prune.models.families import family_of, head_size
from pareto_prune.models.graph import Dtype, Graph, Ranges
from pareto_prune.models.layout import present
from pareto_prune.models.sentence_vectors import pooling_of, write_vectors
from pareto_prune.models.writer import UnsupportedModelError, Writer

if TYPE_CHECKING:
    import onnx
    from transformers import PreTrainedModel

    from pareto_prune.models.graph import Array


@dataclass(frozen=True)
class Built:
    """A finished graph with its interface.

    Attributes:
        inputs: names of its inputs, int64 of shape (batch, tokens).
        logits: name of what it returns.
        shape: of the logits; a string is a dynamic dimension.
    """

    graph: Graph
    inputs: tuple[str, ...]
    logits: str
    shape: tuple[str | int, ...]

    def proto(self) -> onnx.ModelProto:
        """Return the whole model, weights included."""
        return self.graph.proto(self.inputs, self.logits, self.shape)

    def skeleton(self) -> tuple[onnx.ModelProto, dict[str, Array]]:
        """Return the model without its large weights, and those by name."""
        return self.graph.skeleton(self.inputs, self.logits, self.shape)


def build(
    model: PreTrainedModel,
    dtype: Dtype = "float32",
    weight_bits: int = 8,
    ranges: Ranges | None = None,
) -> Built:
    """Return the graph of a model with a head or sentence vectors, with dynamic batch and length.

    Args:
        model: any supported family, dense or cut; its weights are copied.
        dtype: what the weights are kept in, see :class:`Graph`.
        weight_bits: bits used of an int8.
        ranges: of activations in int8, see :class:`Graph`.

    Raises:
        UnsupportedModelError: a part of it is not known here.
    """
    writer = Writer(Graph(dtype, weight_bits, ranges), head_size(model.config))
    logits, shape = _write_head(model, writer, _write_encoder(model, writer))
    return Built(writer.graph, input_names(model), logits, shape)


def input_names(model: PreTrainedModel) -> tuple[str, ...]:
    """Return the inputs that a model takes: token types where it tells two sentences apart."""
    return family_of(model).input_names(model)


def _write_encoder(model: PreTrainedModel, writer: Writer) -> str:
    """Return the residual stream behind the last layer, (batch × tokens, hidden)."""
    family = family_of(model)
    if unwritten := family.unwritten(model.config):
        raise UnsupportedModelError(unwritten)
    x = family.write_embeddings(model, writer)
    x = family.write_layers(model, writer, x)
    return writer.normed(x, present(model.base_model, family.paths.final_norms))


def _write_head(
    model: PreTrainedModel, writer: Writer, x: str
) -> tuple[str, tuple[str | int, ...]]:
    """Return the logits of a head over the stream, or sentence vectors, and their shape."""
    pooling = pooling_of(model)
    if pooling is not None:
        hidden = int(model.config.hidden_size)
        return write_vectors(writer, x, hidden, pooling), ("batch", hidden)
    family, task = family_of(model), type(model).__name__.partition("For")[2]
    last: Any
    if task == "TokenClassification":
        x, last = family.write_tokens(model, writer, x)
        labels = int(last.weight.shape[0])
        logits = writer.graph.reshape(writer.linear(x, last), [labels], writer.shape)
        return logits, ("batch", "tokens", labels)
    if task != "SequenceClassification":
        raise UnsupportedModelError(f"the head of {type(model).__name__}")
    x, last = family.write_sentence(model, writer, x)
    return writer.linear(x, last), ("batch", int(last.weight.shape[0]))
