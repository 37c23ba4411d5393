"""One text as tokens, and the words that they are pieces of: what a prediction is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """One word of a text and where it stands in it, in characters."""

    text: str
    start: int
    end: int


@dataclass(frozen=True)
class Tokens:
    """One text as tokens.

    Attributes:
        ids, types: token ids and token types.
        words: of a text that is tagged word by word; else none.
        word_of: index of each token's word; ``None`` for special tokens.
        whole: tokens that the text has; more than ``ids`` where it was cut.
    """

    ids: Sequence[int]
    types: Sequence[int]
    words: Sequence[Word]
    word_of: Sequence[int | None]
    whole: int

    @property
    def cut(self) -> bool:
        """Whether tokens before the first or behind the last one were left out."""
        return self.whole > len(self.ids)
