"""The dense model's logits on the training data: what a fine-tune is distilled from.

Each is computed when a fine-tune first wants it, and kept for all workers of a host: brief
fine-tunes see a small part of a large training split, and all trials of a study the same one.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core import cache, cache_entries
from pareto_prune.core.progress import Progress, Silent
from pareto_prune.inputs.examples import Indices, Split
from pareto_prune.trials.evaluation import BATCH, logits_of

if TYPE_CHECKING:
    from transformers import PreTrainedModel

Logits = NDArray[np.float32]


class Teacher:
    """The logits of one dense model on one training split.

    In bfloat16 where that is faster: they are a soft target, not a yardstick.

    Args:
        model: the dense model.
        digest: of its weights.
        train: the training split.
        progress: told when the model runs.
    """

    def __init__(
        self, model: PreTrainedModel, digest: str, train: Split, progress: Progress | None = None
    ) -> None:
        self._model, self._train = model, train
        self._path = cache_entries.teacher(digest, train.digest)
        self._progress = progress or Silent()
        shape = len(train.labels), len(train.label_names)
        self._logits: Logits = np.full(shape, np.nan, np.float32)
        self._known = np.zeros(len(train), dtype=np.bool_)

    def logits(self, rows: Indices) -> Logits:
        """Return the logits of all training data, NaN where they are neither wanted nor known.

        Args:
            rows: examples whose logits are wanted.

        Returns:
            Shape (targets, outputs): a row an example, or a row a token for tasks on words.
        """
        if not self._known[rows].all():
            with cache.made_once(self._path):
                self._take(cache.load_arrays(self._path) or {})
                if not self._known[rows].all():
                    self._compute(np.unique(rows[~self._known[rows]]))
                    self._save(self._path)
        return self._logits

    def _take(self, stored: Mapping[str, NDArray[np.float32]]) -> None:
        """Take over what another worker, or an earlier run, computed."""
        logits, known = stored.get("logits"), stored.get("known")
        if logits is None or known is None:
            return
        if logits.shape == self._logits.shape and known.shape == self._known.shape:
            self._logits, self._known = logits, known.astype(np.bool_)

    def _compute(self, rows: Indices) -> None:
        self._progress.stage("dense model on the training data", -(-len(rows) // BATCH))
        part = self._train.take(rows)
        found = logits_of(self._model, part, BATCH, self._progress, "auto")
        self._logits[self._train.targets(rows)] = found
        self._known[rows] = True

    def _save(self, path: Path) -> None:
        """Write what is known for others; a full disk costs them the time, and no trial."""
        try:
            cache.save_arrays(path, {"logits": self._logits, "known": self._known})
        except OSError as error:
            self._progress.note(f"{path} cannot be written: {error.strerror}")
