"""Entity spans as arrays: tags brought to IOB2, and spans counted by the strict rule.

IOB1 begins a span with ``I-`` unless it touches one of the same type before it; IOB2 begins every
span with ``B-`` (Ramshaw and Marcus 1995; Tjong Kim Sang and Veenstra 1999).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pareto_prune.inputs.examples import Indices

_PREFIXES = {"B": "B", "I": "I", "E": "I", "L": "I", "S": "B", "U": "B", "M": "I"}


def split_tag(tag: str) -> tuple[str, str]:
    """Return prefix (``B``, ``I``, ``O``) and type of a tag of IOB1, IOB2, IOBES or BILOU.

    Raises:
        ValueError: it is none.
    """
    if tag == "O":
        return ("O", "")
    prefix, dash, kind = tag.partition("-")
    if not dash or not kind or prefix not in _PREFIXES:
        raise ValueError(f"{tag!r} is not a tag, allowed: O, or B- or I- and a type")
    return (_PREFIXES[prefix], kind)


def to_iob2(tags: Sequence[str]) -> list[str]:
    """Return the tags of one sentence in IOB2: each ``I-`` that continues nothing begins a span."""
    parts = [split_tag(tag) for tag in tags]
    pairs = itertools.pairwise([("O", ""), *parts])
    return [
        "O" if prefix == "O" else f"{_opening(prefix, kind, before)}-{kind}"
        for (_, before), (prefix, kind) in pairs
    ]


def _opening(prefix: str, kind: str, before: str) -> str:
    return "I" if prefix == "I" and before == kind else "B"


class SpanCounter:
    """Counts the spans of tag indices that are in IOB2, as seqeval does in strict mode.

    A span is a ``B-x`` and the ``I-x`` that follow it at once; an ``I-`` that continues nothing
    is no span.

    Args:
        label_names: ``O``, ``B-…`` and ``I-…`` by class index.
    """

    def __init__(self, label_names: Sequence[str]) -> None:
        parts = [split_tag(name) for name in label_names]
        kinds = sorted({kind for _, kind in parts})
        self._kind = np.array([kinds.index(kind) for _, kind in parts])
        self._begins = np.array([prefix == "B" for prefix, _ in parts])
        self._continues = np.array([prefix == "I" for prefix, _ in parts])

    def __call__(self, gold: Indices, predicted: Indices, sentence: Indices) -> NDArray[np.int64]:
        """Return (right, gold, predicted) spans of every sentence.

        Args:
            gold: tag indices of the words of all sentences end to end.
            predicted: the same.
            sentence: index of the sentence of every word, not decreasing.

        Returns:
            Shape (sentences, 3).
        """
        gold_begins, gold_ends = self._spans(gold, sentence)
        begins, ends = self._spans(predicted, sentence)
        right = gold_begins & begins & (gold_ends == ends)
        right &= self._kind[gold] == self._kind[predicted]
        sentences = int(sentence[-1]) + 1 if len(sentence) else 0
        columns = [
            np.bincount(sentence[where], minlength=sentences)
            for where in (right, gold_begins, begins)
        ]
        return np.stack(columns, axis=1)

    def _spans(self, tags: Indices, sentence: Indices) -> tuple[NDArray[np.bool_], Indices]:
        """Return where spans begin, and for each word where a span that has it would end."""
        inside = np.zeros(len(tags), dtype=bool)
        inside[1:] = (
            self._continues[tags[1:]]
            & (self._kind[tags[1:]] == self._kind[tags[:-1]])
            & (sentence[1:] == sentence[:-1])
        )
        breaks = np.append(np.flatnonzero(~inside), len(tags))
        ends = breaks[np.searchsorted(breaks, np.arange(len(tags)), side="right")]
        return self._begins[tags], ends
