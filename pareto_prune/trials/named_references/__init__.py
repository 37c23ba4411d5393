"""Named references: well-known alternatives to pruning, on the plot beside the front.

Each is the dense model with one change that takes nobody a day: another number format, shorter
texts, single weights set to zero. One file each; a reference that a study cannot have (its engine
lacks the format, its texts are too short) is left out. They are taken once a study.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from pareto_prune.core.registry import Registry

if TYPE_CHECKING:
    from transformers import PreTrainedModel

    from pareto_prune.inputs.examples import Split
    from pareto_prune.inputs.tasks import Task


@dataclass(frozen=True)
class Setting:
    """What a study has.

    Attributes:
        task: of the study.
        model: the dense model.
        validation: the validation split.
        device: that models run on: ``cpu`` or ``cuda:N``.
        dtypes: that the engine has there.
        dtype: that the study is deployed in.
    """

    task: Task
    model: PreTrainedModel
    validation: Split
    device: str
    dtypes: tuple[str, ...]
    dtype: str


@dataclass(frozen=True)
class Alternative:
    """The dense model with a change.

    Attributes:
        model: what runs.
        deployment: how it is deployed, where that differs from the study.
        own_cost: what tells its cost from that of a dense model of the same shape.
    """

    model: PreTrainedModel
    deployment: dict[str, str | int] = field(default_factory=dict)
    own_cost: Any = None


class NamedReference(Protocol):
    """One alternative. A member is a frozen dataclass; its fields are its options."""

    def alternative(self, setting: Setting) -> Alternative | None:
        """Return it, or ``None`` where the study cannot have it."""


named_references: Registry[NamedReference] = Registry("named reference", __name__)
