"""The words of a text that is to be tagged word by word, where nobody has parted them."""

from __future__ import annotations

import unicodedata


def word_spans(text: str) -> list[tuple[int, int]]:
    """Return where each word of a text begins and ends, in characters.

    A word is what stands between spaces, so that marks stay with their letters. Punctuation at its
    ends is parted, a word a character, as in CoNLL-2003; a full stop stays with a word that has
    another one (``U.S.``).
    """
    spans, at = [], 0
    for piece in text.split():
        begin = start = text.index(piece, at)
        at = end = begin + len(piece)
        while start < end and unicodedata.category(text[start])[0] == "P":
            start += 1
        while end > start and unicodedata.category(text[end - 1])[0] == "P":
            if text[end - 1] == "." and "." in text[start : end - 1] and text[end - 2] != ".":
                break
            end -= 1
        spans += [(i, i + 1) for i in range(begin, start)]
        spans += [(start, end)] if start < end else []
        spans += [(i, i + 1) for i in range(end, at)]
    return spans
