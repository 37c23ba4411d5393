"""The content of ``tokenizer.json`` beside its model: added tokens, what is put around texts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

Document = Mapping[str, Any]
_PAIRS = ("cls", "sep")


def numbers_in(document: Document) -> set[int]:
    """Return every token that is named by its number outside of the model."""
    found: set[int] = set()

    def note(number: int) -> int:
        found.add(number)
        return number

    _mapped(document, note)
    return found


def renumbered(document: Document, new: Mapping[int, int]) -> dict[str, Any]:
    """Return the content with new numbers for the tokens that are named outside of the model."""
    return _mapped(document, new.__getitem__)


def _mapped(document: Document, change: Callable[[int], int]) -> dict[str, Any]:
    padding = document.get("padding")
    return {
        **document,
        "added_tokens": [{**each, "id": change(each["id"])} for each in document["added_tokens"]],
        "padding": padding and {**padding, "pad_id": change(padding["pad_id"])},
        "post_processor": _processor(document["post_processor"], change),
    }


def _processor(content: Any, change: Callable[[int], int]) -> Any:
    """Return a post-processor with its tokens changed: ``ids`` of templates, ``cls``, ``sep``."""
    if isinstance(content, list):
        return [_processor(each, change) for each in content]
    if not isinstance(content, dict):
        return content
    return {key: _entry(key, value, change) for key, value in content.items()}


def _entry(key: str, value: Any, change: Callable[[int], int]) -> Any:
    if key in _PAIRS and isinstance(value, list):
        token, number = value
        return [token, change(number)]
    if key == "ids" and isinstance(value, list):
        return [change(number) for number in value]
    return _processor(value, change)
