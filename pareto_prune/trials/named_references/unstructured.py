"""Single weights set to zero by magnitude."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import pydantic

from pareto_prune.trials.named_references import Alternative, Setting, named_references

if TYPE_CHECKING:
    from transformers import PreTrainedModel


@named_references.register("unstructured")
@dataclass(frozen=True)
class Unstructured:
    """The dense model with its smallest weights set to zero: as big and as slow as before.

    Dense kernels multiply zeros too, so latency and energy are measured and stay what they were
    (Han et al. 2015, section 3, is the method).

    Attributes:
        sparsity: share of the weights of all encoder projections that become zero.
    """

    sparsity: Annotated[float, pydantic.Field(gt=0.0, lt=1.0)] = 0.5

    def alternative(self, setting: Setting) -> Alternative | None:
        """Return it."""
        model = copy.deepcopy(setting.model)
        zero_smallest(model, self.sparsity)
        return Alternative(model, own_cost=["unstructured", self.sparsity])


def zero_smallest(model: PreTrainedModel, sparsity: float) -> None:
    """Set the share ``sparsity`` of all projections' weights in the layers to zero, in place.

    The smallest absolute values of the whole encoder go. Biases, norms, embeddings and the head
    stay.
    """
    import torch

    from pareto_prune.models.families import family_of

    layers = family_of(model).layers(model)
    weights = [p for layer in layers for p in layer.parameters() if p.ndim == 2]
    sizes = torch.cat([weight.detach().abs().flatten() for weight in weights])
    count = round(sparsity * len(sizes))
    if count == 0:
        return
    limit = sizes.kthvalue(count).values
    with torch.no_grad():
        for weight in weights:
            weight.masked_fill_(weight.abs() <= limit, 0.0)
