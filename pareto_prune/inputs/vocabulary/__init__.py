"""A smaller vocabulary: which tokens stay, and the tokenizer that has only these.

::

    texts ─► how often each token occurs ─► tokens that stay, with the smaller ones ─► tokenizer
    share of rows, or "seen" ────┘          that they are built from                   and rows

A member of the family here is one model of ``tokenizer.json``, one file each. It works on the
content of that file alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

from pareto_prune.core.registry import Registry

Content = Mapping[str, Any]
"""What stands in ``tokenizer.json`` under ``model``."""

_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")


class TokenizerModel(Protocol):
    """What cutting one model of ``tokenizer.json`` takes. A member is a frozen dataclass."""

    def tokens(self, model: Content) -> dict[str, int]:
        """Return the number of every token."""

    def stays(self, model: Content) -> set[int]:
        """Return the tokens without which some text has none: characters, bytes, the unknown."""

    def parts(self, model: Content) -> Mapping[int, set[int]]:
        """Return the tokens that others are built from, where they are built."""

    def passed(self, model: Content, words: Iterable[str]) -> set[int]:
        """Return the tokens by which words that have none were found to be unknown."""

    def cut(self, model: Content, new: Mapping[int, int]) -> dict[str, Any]:
        """Return the content with the tokens in ``new`` alone, by their new numbers."""


tokenizer_models: Registry[TokenizerModel] = Registry("tokenizer model", __name__)


def is_byte(token: str) -> bool:
    """Return whether a token stands for one byte of a character that has no token."""
    return _BYTE.fullmatch(token) is not None
