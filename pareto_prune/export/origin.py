"""``origin.json`` of an exported folder: where its study, data and dense model lie.

What testing and refreshing need besides the model. It names paths of the machine that exported, so
that it is a file of its own, to be left out where the folder is passed on.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from pareto_prune.core.cache import replacing
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.record import Record

FILE = "origin.json"


class Origin(Record):
    """Where an exported model comes from, on the machine that exported it.

    Attributes:
        study: content of the study file.
        dense: folder of the dense model.
        dense_digest: SHA-256 of its weights.
        untrained: the study's metric on the validation split before the fine-tune.
        validation: and after it.
        data: digest of the study's encoded data set; ``None`` in exports that did not note it.
    """

    study: dict[str, Any]
    dense: str
    dense_digest: str
    untrained: float | None = None
    validation: float | None = None
    data: str | None = None

    @property
    def config(self) -> StudyConfig:
        """The study file."""
        return StudyConfig.from_json(self.study)

    def write(self, folder: Path) -> None:
        """Write ``origin.json`` into ``folder``."""
        with replacing(folder / FILE) as beside:
            beside.write_text(json.dumps(self.to_json(), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Origin:
        """Read ``origin.json`` of ``folder``.

        Raises:
            UserError: there is none, or it is damaged.
        """
        try:
            return cls.from_json(json.loads((folder / FILE).read_text(encoding="utf-8")))
        except FileNotFoundError:
            wrong = "is missing: it names the study's data and dense model"
        except ValueError as error:
            wrong = f"is damaged ({str(error).splitlines()[0]})"
        raise UserError(Problem(str(folder / FILE), wrong, "allowed: export the trial again"))
