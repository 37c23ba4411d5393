"""From texts to token ids by ``tokenizer.json`` of a folder; neither torch nor transformers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.export.deployed._texts import Text
from pareto_prune.export.manifest import Tokenization
from pareto_prune.inputs.tokens import Tokens, Word
from pareto_prune.inputs.words import word_spans

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILE = "tokenizer.json"
LONGEST = 128
"""Tokens, where a folder does not say what it was made for."""


class Tokenizer(Protocol):
    """From texts to their tokens."""

    def __call__(self, texts: Sequence[Text]) -> list[Tokens]:
        """Return the tokens of every text."""


class FolderTokenizer:
    """The tokenizer of an exported folder.

    Args:
        folder: that holds it.
        max_length: tokens after which a text is cut.
        by_word: whether texts are tagged word by word.
        tokenization: what ``tokenizer.json`` does not say.

    Raises:
        UserError: there is none.
    """

    def __init__(
        self,
        folder: Path,
        max_length: int,
        by_word: bool,
        tokenization: Tokenization | None = None,
    ) -> None:
        from tokenizers import Tokenizer

        if not (folder / FILE).is_file():
            raise UserError(Problem(str(folder), f"has no {FILE}", "allowed: export it again"))
        self._tokenizer = Tokenizer.from_file(str(folder / FILE))
        self._tokenizer.no_padding()
        self._longest, self._by_word = max_length, by_word
        self._settings = tokenization or Tokenization()
        self._tokenizer.encode_special_tokens = self._settings.split_special_tokens
        self._cutting()

    def __call__(self, texts: Sequence[Text]) -> list[Tokens]:
        """Return the tokens of every text."""
        words = [words_of(text) if self._by_word else [] for text in texts]
        given: list[Any] = [[word.text for word in row] for row in words]
        if not self._by_word:
            given = [text.parts if len(text.parts) == 2 else text.parts[0] for text in texts]
        encodings = self._encoded(given)
        whole = [self._whole(*each) for each in zip(given, encodings, strict=True)]
        return [
            Tokens(found.ids, found.type_ids, row, found.word_ids, length)
            for found, row, length in zip(encodings, words, whole, strict=True)
        ]

    def _encoded(self, given: list[Any]) -> list[Any]:
        """Return the tokens of texts; a word that has none becomes the unknown token."""
        encodings: list[Any] = self._tokenizer.encode_batch(given, is_pretokenized=self._by_word)
        unknown = self._settings.unk_token
        for row, words in enumerate(given if self._by_word and unknown is not None else ()):
            there = set(encodings[row].word_ids)
            if not set(range(len(words))) <= there:
                filled = [word if at in there else unknown for at, word in enumerate(words)]
                encodings[row] = self._tokenizer.encode(filled, is_pretokenized=True)
        return encodings

    def _cutting(self) -> None:
        self._tokenizer.enable_truncation(self._longest, direction=self._settings.truncation_side)

    def _whole(self, given: Any, encoding: Any) -> int:
        """Return how many tokens a text would have, were it not cut."""
        if not encoding.overflowing:
            return len(encoding)
        self._tokenizer.no_truncation()
        whole = self._encoded([given])[0]
        self._cutting()
        return len(whole)


class SlowTokenizer:
    """A tokenizer that runs in Python only, by transformers.

    Args:
        tokenizer: of a ``huggingface`` folder.
        max_length: tokens after which a text is cut.
    """

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        self._tokenizer, self._longest = tokenizer, max_length

    def __call__(self, texts: Sequence[Text]) -> list[Tokens]:
        """Return the tokens of every text."""
        return [self._tokens(text) for text in texts]

    def _tokens(self, text: Text) -> Tokens:
        found = self._tokenizer(*text.parts, truncation=True, max_length=self._longest)
        ids = found["input_ids"]
        types = found.get("token_type_ids", [0] * len(ids))
        whole = len(self._tokenizer(*text.parts, verbose=False)["input_ids"])
        return Tokens(ids, types, (), (None,) * len(ids), whole)


def batched(texts: Sequence[Tokens], pad: int) -> dict[str, NDArray[np.int64]]:
    """Return the inputs of a model, (texts, longest), padded at the right."""
    shape = len(texts), max(len(tokens.ids) for tokens in texts)
    inputs = {
        "input_ids": np.full(shape, pad, dtype=np.int64),
        "attention_mask": np.zeros(shape, dtype=np.int64),
        "token_type_ids": np.zeros(shape, dtype=np.int64),
    }
    for row, tokens in enumerate(texts):
        length = len(tokens.ids)
        inputs["input_ids"][row, :length] = tokens.ids
        inputs["attention_mask"][row, :length] = 1
        inputs["token_type_ids"][row, :length] = tokens.types
    return inputs


def words_of(text: Text) -> list[Word]:
    """Return the words of a text; those of a list as they are, as if spaces stood between them."""
    (content,) = text.parts
    if isinstance(content, str):
        return [Word(content[begin:end], begin, end) for begin, end in word_spans(content)]
    words, at = [], 0
    for word in content:
        words.append(Word(word, at, at + len(word)))
        at += len(word) + 1
    return words
