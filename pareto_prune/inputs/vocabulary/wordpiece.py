"""WordPiece: the longest piece that a word begins with, then the longest that goes on."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pareto_prune.inputs.vocabulary import Content, tokenizer_models


@tokenizer_models.register("WordPiece")
@dataclass(frozen=True)
class WordPiece:
    """Pieces of words, those that go on with a prefix (``##``).

    Of all pieces that fit the longest is taken, so that a piece which no text took can go: what was
    taken is the longest still. A word is unknown where nothing fits; without the pieces before that
    place others might lead past it, so those of unknown words stay, too.
    """

    def tokens(self, model: Content) -> dict[str, int]:
        """Return the number of every piece."""
        return dict(model["vocab"])

    def stays(self, model: Content) -> set[int]:
        """Return the unknown token and every character, at the beginning of a word and within."""
        prefix, unknown = model["continuing_subword_prefix"], model["unk_token"]
        return {
            number
            for token, number in model["vocab"].items()
            if token == unknown or len(token) == 1 or len(token.removeprefix(prefix)) == 1
        }

    def parts(self, model: Content) -> Mapping[int, set[int]]:  # noqa: ARG002
        """Return nothing: a piece is found as a whole."""
        return {}

    def passed(self, model: Content, words: Iterable[str]) -> set[int]:
        """Return the pieces that fit before nothing did, in words that are unknown."""
        return {piece for word in set(words) for piece in _passed(model, word)}

    def cut(self, model: Content, new: Mapping[int, int]) -> dict[str, Any]:
        """Return the content with the tokens in ``new`` alone."""
        kept = {token: new[number] for token, number in model["vocab"].items() if number in new}
        return {**model, "vocab": kept}


def _passed(model: Content, word: str) -> list[int]:
    if len(word) > model["max_input_chars_per_word"]:
        return []
    pieces = list(_pieces(model, word))
    return [piece for piece in pieces if piece is not None] if None in pieces else []


def _pieces(model: Content, word: str) -> Iterator[int | None]:
    """Yield the pieces of a word; ``None`` where nothing fits, and nothing then."""
    begin, vocabulary = 0, model["vocab"]
    while begin < len(word):
        prefix = model["continuing_subword_prefix"] if begin else ""
        ends = range(len(word), begin, -1)
        end = next((end for end in ends if prefix + word[begin:end] in vocabulary), None)
        if end is None:
            yield None
            return
        yield vocabulary[prefix + word[begin:end]]
        begin = end
