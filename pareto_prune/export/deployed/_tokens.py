"""From texts to token ids by ``tokenizer.json`` of a folder; neither torch nor transformers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.export.deployed._texts import Text
from pareto_prune.inputs.tokens import Tokens, Word

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "tokenizer.json"
_WORD = re.compile(r"\w+|[^\w\s]")
LONGEST = 128
"""Tokens, where a folder does not say what it was made for."""


class FolderTokenizer:
    """The tokenizer of an exported folder.

    Args:
        folder: that holds it.
        max_length: tokens after which a text is cut.
        by_word: whether texts are tagged word by word.
        pad: token id that fills short texts of a batch.

    Raises:
        UserError: there is none.
    """

    def __init__(self, folder: Path, max_length: int, by_word: bool, pad: int) -> None:
        from tokenizers import Tokenizer

        if not (folder / FILE).is_file():
            raise UserError(Problem(str(folder), f"has no {FILE}", "allowed: export it again"))
        self._tokenizer = Tokenizer.from_file(str(folder / FILE))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(max_length)
        self._longest, self._by_word, self._pad = max_length, by_word, pad

    def __call__(self, texts: Sequence[Text]) -> list[Tokens]:
        """Return the tokens of every text."""
        words = [words_of(text) if self._by_word else [] for text in texts]
        given: Any = [[word.text for word in row] for row in words]
        if not self._by_word:
            given = [text.parts if len(text.parts) == 2 else text.parts[0] for text in texts]
        encodings = self._tokenizer.encode_batch(given, is_pretokenized=self._by_word)
        whole = [self._whole(*each) for each in zip(given, encodings, strict=True)]
        return [
            Tokens(found.ids, found.type_ids, row, found.word_ids, length)
            for found, row, length in zip(encodings, words, whole, strict=True)
        ]

    def batch(self, texts: Sequence[Tokens]) -> dict[str, NDArray[np.int64]]:
        """Return the inputs of a model, (texts, longest), padded at the right."""
        shape = len(texts), max(len(tokens.ids) for tokens in texts)
        inputs = {
            "input_ids": np.full(shape, self._pad, dtype=np.int64),
            "attention_mask": np.zeros(shape, dtype=np.int64),
            "token_type_ids": np.zeros(shape, dtype=np.int64),
        }
        for row, tokens in enumerate(texts):
            length = len(tokens.ids)
            inputs["input_ids"][row, :length] = tokens.ids
            inputs["attention_mask"][row, :length] = 1
            inputs["token_type_ids"][row, :length] = tokens.types
        return inputs

    def _whole(self, given: Any, encoding: Any) -> int:
        """Return how many tokens a text would have, were it not cut."""
        if not encoding.overflowing:
            return len(encoding)
        self._tokenizer.no_truncation()
        whole = self._tokenizer.encode_batch([given], is_pretokenized=self._by_word)[0]
        self._tokenizer.enable_truncation(self._longest)
        return len(whole)


def words_of(text: Text) -> list[Word]:
    """Return the words of a text; those of a list as they are, as if spaces stood between them."""
    (content,) = text.parts
    if isinstance(content, str):
        return [Word(found[0], *found.span()) for found in _WORD.finditer(content)]
    words, at = [], 0
    for word in content:
        words.append(Word(word, at, at + len(word)))
        at += len(word) + 1
    return words
