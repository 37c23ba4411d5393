"""From what a tokenizer returns to flat arrays."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pareto_prune.inputs.examples import Indices, Rows
from pareto_prune.inputs.tasks._labels import refused


def texts_of(rows: Rows, kind: type = str) -> list[list[Any]]:
    """Return the columns of texts, every one of them a ``kind`` with something in it.

    Raises:
        StudyFileError: there are no rows; a text, or a word of one, is missing or something else.
    """
    if not len(rows):
        raise refused(rows, "no rows", "a header and rows", "data.path")
    for column in rows.texts:
        wrong = [row for row, text in enumerate(column) if not _is_text(text, kind)]
        if wrong:
            raise refused(
                rows,
                f"{len(wrong)} of {len(rows)} texts missing or of another type, "
                f"row {wrong[0] + 1} first,",
                "a text in every row" if kind is str else "a list of words in every row",
                "data.text",
            )
    return [list(column) for column in rows.texts]


def _is_text(text: Any, kind: type) -> bool:
    if isinstance(text, list) and kind is list:
        return bool(text) and all(isinstance(word, str) for word in text)
    return isinstance(text, kind) and isinstance(text, str) and text.strip() != ""


def flat(ragged: Sequence[Sequence[int]], dtype: type[Any]) -> NDArray[Any]:
    """Return lists of numbers end to end."""
    total = sum(map(len, ragged))
    return np.fromiter(itertools.chain.from_iterable(ragged), dtype=dtype, count=total)


def offsets(ragged: Sequence[Sequence[Any]]) -> Indices:
    """Return where each list begins when they stand end to end, and the end."""
    return np.concatenate([[0], np.cumsum([len(row) for row in ragged], dtype=np.int64)])


def token_types(encoded: Mapping[str, Any]) -> NDArray[np.int8] | None:
    """Return the token type ids end to end, or ``None`` if they say nothing."""
    given = encoded.get("token_type_ids")
    types = None if given is None else flat(given, np.int8)
    return types if types is not None and types.any() else None
