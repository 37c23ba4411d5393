"""``plan.json`` of an exported folder: what was kept, and the SHA-256 of what stands beside it.

The one owner of that file's name and shape. Reading it needs no torch.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import pydantic

from pareto_prune.core.architecture import Architecture
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.hashing import file_sha256
from pareto_prune.core.record import Record
from pareto_prune.export.card import Card
from pareto_prune.pruning.plan import PruningPlan

FILE = "plan.json"
TOKENIZER = "tokenizer.json"
SCHEMA_VERSION = 1


class Check(Record):
    """How far an exported model is from the same model in float32 PyTorch.

    Attributes:
        examples: real texts that were compared; 0 where none was at hand, and arbitrary tokens
            were compared instead.
        logits: largest difference of a logit.
        metric: what was scored, on labelled texts; ``None`` where nothing was.
        scored: labelled texts that were scored.
        float32, exported: the metric of both models on the same texts.
    """

    examples: int
    logits: float
    metric: str | None = None
    scored: int = 0
    float32: float | None = None
    exported: float | None = None

    @property
    def lost(self) -> float | None:
        """How much of the metric the export cost; ``None`` where it was not scored."""
        if self.float32 is None or self.exported is None:
            return None
        return self.float32 - self.exported

    def sentence(self, dtype: str) -> str:
        """Say what was compared and found."""
        seen = f"{self.examples} texts" if self.examples else "arbitrary tokens"
        said = f"Checked against PyTorch on {seen}: logits differ by at most {self.logits:.2g}"
        if self.metric is None or self.lost is None:
            return f"{said}."
        scores = f"{self.float32:.4f} in float32, {self.exported:.4f} in {dtype}"
        return f"{said}; {self.metric} on {self.scored} validation texts: {scores}."


class Tokenization(Record):
    """Settings of a tokenizer that ``tokenizer.json`` does not hold, as transformers names them.

    Attributes:
        truncation_side: where a text that is too long is cut.
        split_special_tokens: whether special tokens that stand in a text are read as text.
        unk_token: what stands for a word that the tokenizer drops, where words are tagged.
    """

    truncation_side: Literal["left", "right"] = "right"
    split_special_tokens: bool = False
    unk_token: str | None = None


class Manifest(Record):
    """The content of ``plan.json``.

    Attributes:
        plan: kept units, as indices into the dense model.
        architecture, dense: shapes of the exported and of the dense model.
        parameters: of the exported model.
        format: name of the exporter.
        dtype: of the weights.
        weights: SHA-256 of the files of weights and of the tokenizer, by their names in the folder.
        card: where the model comes from.
        labels: name of every class, by class index.
        pad: token id that fills short texts of a batch.
        tokenization: how the tokenizer is used.
        decision: what makes answers of the outputs as it was tuned for this model, such as
            ``thresholds``.
        answers: SHA-256 of what turns texts into answers beside the weights: class names, padding,
            tokenization, settings and decision; ``None`` where it was not noted.
        check: comparison with PyTorch, where the format is another one.
    """

    schema_version: int = SCHEMA_VERSION
    plan: PruningPlan
    architecture: Architecture
    dense: Architecture
    parameters: int
    format: str
    dtype: str
    weights: dict[str, str]
    card: Card
    labels: tuple[str, ...] = ()
    pad: int = 0
    tokenization: Tokenization = Tokenization()
    decision: dict[str, Any] = pydantic.Field(default_factory=dict)
    answers: str | None = None
    check: Check | None = None

    def text(self) -> str:
        """Return the content of ``plan.json``."""
        noted = self.model_copy(update={"answers": self._answers()})
        return json.dumps(noted.to_json(), indent=1) + "\n"

    def write(self, folder: Path) -> None:
        """Write ``plan.json`` into ``folder``."""
        (folder / FILE).write_text(self.text(), encoding="utf-8")

    def _answers(self) -> str:
        said = [self.labels, self.pad, self.tokenization.to_json(), self.card.settings]
        said += [self.decision] if self.decision else []
        return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read ``plan.json`` of ``folder``.

        Raises:
            UserError: no such folder, no ``plan.json`` in it, or one that is damaged.
        """
        if not folder.is_dir():
            raise _refused(folder, "no such folder", "a folder written by pareto-prune export")
        if not (folder / FILE).is_file():
            allowed = "a folder written by pareto-prune export"
            raise _refused(folder, f"has no {FILE}", allowed)
        try:
            return cls.from_json(json.loads((folder / FILE).read_text(encoding="utf-8")))
        except ValueError as error:
            first = str(error).splitlines()[0]
            raise _refused(folder / FILE, f"is damaged ({first})", "export it again") from error

    def verify(self, folder: Path) -> None:
        """Compare the files of weights, and what makes answers of logits, with what was exported.

        Raises:
            UserError: a file is missing or its SHA-256 differs, or class names, padding or
                settings were changed; one problem a file.
        """
        problems = [
            problem
            for name, recorded in self.weights.items()
            if (problem := _compare(folder / name, recorded)) is not None
        ]
        if self.answers not in (None, self._answers()):
            wrong = "says other class names, padding or settings than were exported"
            problems.append(Problem(str(folder / FILE), wrong, "allowed: export it again"))
        if problems:
            raise UserError(*problems)


def hashes(folder: Path, weights: str) -> Mapping[str, str]:
    """Return the SHA-256 of a folder's file of weights, and of its tokenizer's if it has one."""
    names = [name for name in (weights, TOKENIZER) if (folder / name).is_file()]
    return {name: file_sha256(folder / name) for name in names}


def _compare(path: Path, recorded: str) -> Problem | None:
    if not path.is_file():
        return Problem(str(path), "is missing", "allowed: export it again")
    found = file_sha256(path)
    if found == recorded:
        return None
    wrong = f"is not the file that was exported (SHA-256 {found[:12]}…, recorded {recorded[:12]}…)"
    return Problem(str(path), wrong, "allowed: export it again")


def _refused(where: Path, wrong: str, allowed: str) -> UserError:
    return UserError(Problem(str(where), wrong, f"allowed: {allowed}"))
