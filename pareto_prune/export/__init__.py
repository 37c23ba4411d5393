"""Exporters: from a cut model to a folder that others can load. One file each."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from pareto_prune.errors import Problem, UserError
from pareto_prune.manifest import Card
from pareto_prune.registry import Registry

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pareto_prune.pruning.plan import PruningPlan


class Exporter(Protocol):
    """Writes one format. A member is a frozen dataclass; its fields are its options."""

    def export(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase | None,
        plan: PruningPlan,
        folder: Path,
        card: Card,
    ) -> Path:
        """Write ``model`` to ``folder`` and return it; the folder appears whole or not at all.

        Args:
            model: cut by ``plan``; it stays as it is.
            tokenizer: saved beside it; ``None`` saves none.
            plan: kept units, as indices into the dense model.
            folder: new or empty.
            card: what the model card says.

        Raises:
            UserError: the folder holds something.
            ValueError: the model was not cut by ``plan``.
        """


exporters: Registry[Exporter] = Registry("exporter", __name__)


def check_folder(folder: Path) -> None:
    """Raise ``UserError`` where ``folder`` holds something that would be overwritten."""
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        wrong, allowed = "is there and not empty", "allowed: a new or an empty folder"
        raise UserError(Problem(str(folder), wrong, allowed))
