"""Exporters: from a cut model to a folder that others can load. One file each."""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Protocol

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.registry import Registry
from pareto_prune.export.card import Card

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

    from pareto_prune.inputs.examples import Split
    from pareto_prune.inputs.tasks import Task
    from pareto_prune.models.onnx_graph import CalibrationTexts
    from pareto_prune.pruning.plan import PruningPlan


@dataclass(frozen=True)
class Examples:
    """Labelled texts that an exported model is compared on.

    Attributes:
        metric: of the task; what is scored where a format rounds.
        calibration: other texts, that int8 is calibrated on.
    """

    task: Task
    split: Split
    metric: str
    calibration: CalibrationTexts | None = None


class Exporter(Protocol):
    """Writes one format. A member is a frozen dataclass; its fields are its options.

    Attributes:
        compares: whether it has a use for examples.
        dtypes: number formats of weights that it writes.
    """

    compares: ClassVar[bool]
    dtypes: ClassVar[tuple[str, ...]]

    def export(
        self,
        model: PreTrainedModel,
        tokenizer: PreTrainedTokenizerBase | None,
        plan: PruningPlan,
        folder: Path,
        card: Card,
        examples: Examples | None = None,
    ) -> Path:
        """Write ``model`` to ``folder`` and return it; the folder appears whole or not at all.

        Args:
            model: cut by ``plan``; it stays as it is.
            tokenizer: saved beside it; ``None`` saves none.
            plan: kept units, as indices into the dense model.
            folder: new or empty.
            card: what the model card says.
            examples: real texts to compare on, if there are any.

        Raises:
            UserError: the folder holds something.
            ValueError: the model was not cut by ``plan``.
        """


exporters: Registry[Exporter] = Registry("exporter", __name__)


def check_folder(folder: Path) -> Path:
    """Return where ``folder`` is to be written: what it links to, if it is a link.

    Raises:
        UserError: it holds something that would be overwritten, or no folder can be made there.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        wrong, allowed = "is there and not empty", "allowed: a new or an empty folder"
        raise UserError(Problem(str(folder), wrong, allowed))
    place = Path(os.path.realpath(folder))
    try:
        with tempfile.TemporaryDirectory(dir=_nearest(place.parent)):
            return place
    except OSError as error:
        wrong, allowed = f"cannot be made: {error.strerror}", "allowed: a place that can be written"
        raise UserError(Problem(str(folder), wrong, allowed)) from None


def _nearest(folder: Path) -> Path:
    """Return the nearest of a folder and those around it that is there."""
    return next(each for each in (folder, *folder.parents) if each.exists())
