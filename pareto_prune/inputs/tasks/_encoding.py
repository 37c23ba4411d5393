"""From what a tokenizer returns to flat arrays."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core.errors import Problem, StudyFileError
from pareto_prune.inputs.examples import Indices, Rows, Split
from pareto_prune.inputs.tasks._labels import problem_of, refused

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def whole_texts(
    rows: Rows,
    tokenizer: PreTrainedTokenizerBase,
    label_names: Sequence[str],
    max_length: int,
    labels: NDArray[Any],
) -> Split:
    """Return the texts tokenised, pairs with token types, with a label an example.

    Raises:
        StudyFileError: as :func:`texts_of`.
    """
    encoded = tokenizer(
        *texts_of(rows), truncation=True, max_length=max_length, return_attention_mask=False
    )
    return Split(
        ids=flat(encoded["input_ids"], np.int32),
        offsets=offsets(encoded["input_ids"]),
        labels=labels,
        label_names=tuple(label_names),
        types=token_types(encoded),
        pad=int(tokenizer.pad_token_id or 0),
    )


def texts_of(rows: Rows, kind: type = str) -> list[list[Any]]:
    """Return the columns of texts, every one of them a ``kind`` with something in it.

    Raises:
        StudyFileError: there are no rows; a text, or a word of one, is missing or something else;
            those of all columns at once.
    """
    if not len(rows):
        raise refused(rows, "no rows", "a header and rows", "data.path")
    problems = [problem for at in range(len(rows.texts)) for problem in _missing(rows, at, kind)]
    if problems:
        raise StudyFileError(*problems)
    return [list(column) for column in rows.texts]


def _missing(rows: Rows, at: int, kind: type) -> Iterator[Problem]:
    """Yield what is wrong with a column of texts; of several columns it is said which."""
    wrong = [row for row, text in enumerate(rows.texts[at]) if not _is_text(text, kind)]
    if wrong:
        column = f" of column {rows.columns[at]!r}" if len(rows.columns) > 1 else ""
        said = f"texts{column} missing or of another type, row {rows.number(wrong[0])} first,"
        allowed = "a text in every row" if kind is str else "a list of words in every row"
        yield problem_of(rows, f"{len(wrong)} of {len(rows)} {said}", allowed, "data.text")


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
