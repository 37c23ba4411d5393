"""Predict with an exported folder. A folder for ONNX Runtime starts without torch."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from pareto_prune.export.deployed import _texts
from pareto_prune.export.deployed._folder import call_of, columns_of, opened, tokenizer_of
from pareto_prune.export.deployed._texts import Text
from pareto_prune.export.deployed._tokens import Tokens

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

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
        self._tokenizer = tokenizer_of(self._folder, self._manifest)
        self._call = call_of(self._folder, self._manifest, threads)

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns of texts it was made for: one, or two for pairs."""
        return columns_of(self._manifest)

    @property
    def by_word(self) -> bool:
        """Whether it tags words."""
        return self._manifest.card.task == "ner"

    def __call__(self, texts: Iterable[str], batch: int = BATCH) -> Iterator[dict[str, Any]]:
        """Yield a prediction for every text, as plain JSON; see :meth:`predictions`."""
        return self.predictions(_texts.from_arguments(list(texts), len(self.columns)), batch)

    def predictions(self, texts: Iterable[Text], batch: int = BATCH) -> Iterator[dict[str, Any]]:
        """Yield a prediction for every text, as plain JSON.

        Keys: ``text``; ``label``, ``score`` and ``scores`` by class, or ``entities`` with ``type``,
        ``text``, ``start``, ``end`` (characters) and ``score``; and ``truncated`` with the number
        of tokens and how many were read, where the text was too long.
        """
        waiting = iter(texts)
        while rows := list(itertools.islice(waiting, batch)):
            tokens = self._tokenizer(rows)
            logits = self._call(self._tokenizer.batch(tokens))
            for text, found, row in zip(rows, tokens, logits, strict=True):
                yield self._prediction(text, found, _softmax(row))

    def _prediction(self, text: Text, tokens: Tokens, shares: Floats) -> dict[str, Any]:
        labels = self._manifest.labels
        if self.by_word:
            said: dict[str, Any] = {"entities": list(_entities(tokens, shares, labels))}
        else:
            scores = {name: float(share) for name, share in zip(labels, shares, strict=True)}
            best = labels[int(shares.argmax())]
            said = {"label": best, "score": scores[best], "scores": scores}
        prediction = {"text": text.content, **said}
        if tokens.cut:
            prediction["truncated"] = {"tokens": tokens.whole, "read": len(tokens.ids)}
        return prediction


def predict(
    folder: str | Path,
    texts: Sequence[str] = (),
    *,
    file: str | Path | None = None,
    stream: BinaryIO | None = None,
    batch: int = BATCH,
) -> Iterator[dict[str, Any]]:
    """Yield a prediction for every text, as plain JSON.

    Args:
        folder: written by ``pareto-prune export``.
        texts: the texts; a tab parts the two of a pair.
        file: a file of texts, one a line, or a table with the columns of the study.
        stream: lines of texts, read as they come.
        batch: texts that are run together.

    Raises:
        UserError: not such a folder, its weights were changed, or a text is empty or not UTF-8.
    """
    model = Predictor(folder)
    if file is not None:
        found = _texts.from_file(Path(file), model.columns, model.by_word)
    elif stream is not None:
        found = _texts.from_stream(stream, "standard input", len(model.columns))
    else:
        found = list(_texts.from_arguments(texts, len(model.columns)))
    return model.predictions(found, batch)


def _softmax(logits: NDArray[np.float32]) -> Floats:
    """Return probabilities over the last dimension."""
    shifted = np.exp(logits.astype(np.float64) - logits.max(-1, keepdims=True))
    shares: Floats = shifted / shifted.sum(-1, keepdims=True)
    return shares


def _entities(tokens: Tokens, shares: Floats, labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    """Yield the entities of a text: runs of words of one type, begun anew by ``B-``.

    A word has the tag of its first piece. ``score`` is the least probability of a tag.
    """
    tagged = list(_tagged(tokens, shares, labels))
    begins = [
        index
        for index, (_, prefix, kind, _) in enumerate(tagged)
        if kind and (prefix == "B" or index == 0 or tagged[index - 1][2] != kind)
    ]
    for begin in begins:
        end = begin + 1
        while end < len(tagged) and end not in begins and tagged[end][2] == tagged[begin][2]:
            end += 1
        run = tagged[begin:end]
        words = [tokens.words[word] for word, *_ in run]
        yield {
            "type": run[0][2],
            "text": " ".join(word.text for word in words),
            "start": words[0].start,
            "end": words[-1].end,
            "score": min(share for *_, share in run),
        }


def _tagged(
    tokens: Tokens, shares: Floats, labels: Sequence[str]
) -> Iterator[tuple[int, str, str, float]]:
    """Yield (word, prefix, entity type, probability) of every word that was read."""
    seen: set[int] = set()
    for at, word in enumerate(tokens.word_of):
        if word is not None and word not in seen:
            seen.add(word)
            best = int(shares[at].argmax())
            prefix, _, kind = labels[best].partition("-")
            yield word, prefix, kind, float(shares[at, best])
