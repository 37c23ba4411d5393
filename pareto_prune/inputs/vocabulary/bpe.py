"""Byte-pair encoding: characters or bytes, merged in pairs in the order of a list."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pareto_prune.inputs.vocabulary import Content, is_byte, tokenizer_models


@tokenizer_models.register("BPE")
@dataclass(frozen=True)
class Bpe:
    """Tokens that are merged from smaller ones.

    A text was tokenised by some merges. While these stay, in their order, each is still the first
    that can be done at its turn, so that all others can go. What a token was merged from stays
    with it; a merge goes with any of the three.
    """

    def tokens(self, model: Content) -> dict[str, int]:
        """Return the number of every token."""
        return dict(model["vocab"])

    def stays(self, model: Content) -> set[int]:
        """Return the unknown token, every character (of byte-level models every byte), bytes."""
        return {
            number
            for token, number in model["vocab"].items()
            if token == model.get("unk_token") or len(_bare(model, token)) == 1 or is_byte(token)
        }

    def parts(self, model: Content) -> Mapping[int, set[int]]:
        """Return both parts of every merge by what they are merged to."""
        vocabulary = model["vocab"]
        found: dict[int, set[int]] = {}
        for pair in model["merges"]:
            merged = vocabulary[_merged(model, pair)]
            found.setdefault(merged, set()).update(vocabulary[part] for part in pair)
        return found

    def passed(self, model: Content, words: Iterable[str]) -> set[int]:  # noqa: ARG002
        """Return nothing: each character is known or not, whatever stands beside it."""
        return set()

    def cut(self, model: Content, new: Mapping[int, int]) -> dict[str, Any]:
        """Return the content with the tokens in ``new`` alone, and the merges among them."""
        kept = {token: new[number] for token, number in model["vocab"].items() if number in new}
        merges = [
            pair
            for pair in model["merges"]
            if all(token in kept for token in (*pair, _merged(model, pair)))
        ]
        return {**model, "vocab": kept, "merges": merges}


def _merged(model: Content, pair: tuple[str, str]) -> str:
    """Return what a pair is merged to; the second loses the mark of what goes on in a word."""
    first, second = pair
    return first + second.removeprefix(model.get("continuing_subword_prefix") or "")


def _bare(model: Content, token: str) -> str:
    """Return a token without the marks of going on in a word, and of ending it."""
    bare = token.removeprefix(model.get("continuing_subword_prefix") or "")
    return bare.removesuffix(model.get("end_of_word_suffix") or "")
