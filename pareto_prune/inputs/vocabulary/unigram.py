"""Unigram: of all ways to part a text into pieces the one with the highest sum of scores."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from pareto_prune.inputs.vocabulary import Content, is_byte, tokenizer_models


@tokenizer_models.register("Unigram")
@dataclass(frozen=True)
class Unigram:
    """Pieces with scores, as of SentencePiece.

    A piece that no text took can go: the ways that are left are fewer, and the best is among them
    with the score that it had. An unknown character scores below the lowest score of all pieces,
    so that the piece which has that one stays, too.
    """

    def tokens(self, model: Content) -> dict[str, int]:
        """Return the number of every piece."""
        return {piece: number for number, (piece, _) in enumerate(model["vocab"])}

    def stays(self, model: Content) -> set[int]:
        """Return the unknown token, every character, bytes, and the piece of the lowest score."""
        pieces = enumerate(model["vocab"])
        kept = {number for number, (piece, _) in pieces if len(piece) == 1 or is_byte(piece)}
        lowest = min(range(len(model["vocab"])), key=lambda number: model["vocab"][number][1])
        unknown = set() if model["unk_id"] is None else {model["unk_id"]}
        return kept | {lowest} | unknown

    def parts(self, model: Content) -> Mapping[int, set[int]]:  # noqa: ARG002
        """Return nothing: a piece is found as a whole."""
        return {}

    def passed(self, model: Content, words: Iterable[str]) -> set[int]:  # noqa: ARG002
        """Return nothing: what is unknown is a character, whatever stands beside it."""
        return set()

    def cut(self, model: Content, new: Mapping[int, int]) -> dict[str, Any]:
        """Return the content with the pieces in ``new`` alone, which are numbered in order."""
        kept = [scored for number, scored in enumerate(model["vocab"]) if number in new]
        unknown = model["unk_id"]
        return {**model, "vocab": kept, "unk_id": None if unknown is None else new[unknown]}
