"""Predict with an exported folder. A folder for ONNX Runtime starts without torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from io import BufferedIOBase
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pareto_prune.export.deployed import _texts
from pareto_prune.export.deployed._folder import call_of, columns_of, opened, tokenizer_of
from pareto_prune.export.deployed._texts import Text
from pareto_prune.export.deployed._tokens import batched
from pareto_prune.inputs.decision import decided
from pareto_prune.inputs.tasks import tasks
from pareto_prune.inputs.tokens import Tokens

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Logits = NDArray[np.float32]

BATCH = 32


class Predictor:
    """The model of an exported folder, ready to predict.

    Args:
        folder: written by ``pareto-prune export``.
        threads: of the engine; 0: as many as it likes.

    Raises:
        UserError: not such a folder, or its weights were changed.
    """

    def __init__(self, folder: str | Path, threads: int = 0) -> None:
        self._folder = Path(folder)
        self._manifest = opened(self._folder)
        task = tasks.create(self._manifest.card.task)
        self._task = decided(task, self._manifest.decision)
        self._tokenizer = tokenizer_of(self._folder, self._manifest)
        self._call = call_of(self._folder, self._manifest, threads)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of texts it was made for: one, or two for pairs."""
        return columns_of(self._manifest)

    @property
    def by_word(self) -> bool:
        """Whether it takes texts word by word."""
        return self._task.splits_words

    def __call__(self, texts: Iterable[str], batch: int = BATCH) -> Iterator[dict[str, Any]]:
        """Yield a prediction for every text, as plain JSON; see :meth:`predictions`."""
        return self.predictions(_texts.from_arguments(list(texts), len(self.columns)), batch)

    def predictions(self, texts: Iterable[Text], batch: int = BATCH) -> Iterator[dict[str, Any]]:
        """Yield a prediction for every text, as plain JSON.

        Keys: ``text``; what the task says of it (:meth:`pareto_prune.inputs.tasks.Task.prediction`:
        ``label``, ``score`` and ``scores`` by class, or ``entities``); and ``truncated`` with the
        number of tokens, how many were read and of which ``part`` (``start``, ``end``), where the
        text was too long.
        """
        waiting = iter(texts)
        while rows := list(itertools.islice(waiting, batch)):
            tokens = self._tokenizer(rows)
            logits = self._call(batched(tokens, self._manifest.pad))
            for text, found, row in zip(rows, tokens, logits, strict=True):
                yield self._prediction(text, found, row)

    def _prediction(self, text: Text, tokens: Tokens, logits: Logits) -> dict[str, Any]:
        said = self._task.prediction(logits, tokens, self._manifest.labels)
        prediction = {"text": text.content, **said}
        if tokens.cut:
            part = "end" if self._manifest.tokenization.truncation_side == "left" else "start"
            read = {"tokens": tokens.whole, "read": len(tokens.ids), "part": part}
            prediction["truncated"] = read
        return prediction

    def stream(self, stream: BufferedIOBase, batch: int = BATCH) -> Iterator[dict[str, Any]]:
        """Yield a prediction for every line of standard input, as lines come.

        A line that does not serve has an answer, too: ``error`` says what is wrong with it.
        """
        for lines in _texts.from_stream(stream, "standard input", len(self.columns)):
            said = self.predictions((each for each in lines if isinstance(each, Text)), batch)
            for each in lines:
                yield next(said) if isinstance(each, Text) else {"error": str(each)}


def predict(
    folder: str | Path,
    texts: Sequence[str] = (),
    *,
    file: str | Path | None = None,
    stream: BufferedIOBase | None = None,
    batch: int = BATCH,
) -> Iterator[dict[str, Any]]:
    """Yield a prediction for every text, as plain JSON.

    Args:
        folder: written by ``pareto-prune export``.
        texts: the texts; a tab parts the two of a pair.
        file: a file of texts, one a line, or a table with the columns of the study.
        stream: lines of texts, answered as they come; one that does not serve by its ``error``.
        batch: texts that are run together.

    Raises:
        UserError: not such a folder, its weights were changed, or a text is empty or not UTF-8.
    """
    model = Predictor(folder)
    if stream is not None:
        return model.stream(stream, batch)
    if file is not None:
        found = _texts.from_file(Path(file), model.columns, model.by_word)
    else:
        found = list(_texts.from_arguments(texts, len(model.columns)))
    return model.predictions(found, batch)
