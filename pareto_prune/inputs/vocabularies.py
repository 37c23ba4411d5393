"""Smaller vocabularies of a tokenizer: what stays is what a corpus uses, most often used first.

::

    corpus ─► tokens of every text ─► counts ─► kept: fixed ones, and by count as many as there is
                                                room for, each with what it is built from
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from pareto_prune.core.records import SEEN
from pareto_prune.core.study_table import MOST
from pareto_prune.inputs.cut_tokenizer import (
    cut_tokenizer,
    document_of,
    model_of,
    tokens_that_stay,
    unlike,
)
from pareto_prune.inputs.examples import Indices, Rows, Split
from pareto_prune.inputs.tasks import Task
from pareto_prune.models.word_rows import rows_of, rows_that_stay

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerBase


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """Rows of the word table that stay, and the tokenizer whose tokens they are, in order."""

    rows: tuple[int, ...]
    tokenizer: PreTrainedTokenizerBase


class Vocabularies:
    """What stays of a vocabulary.

    Args:
        tokenizer: of the dense model.
        config: of the dense model, with as many rows as its word table has.
        task: that encodes texts.
        corpus: texts that say which tokens are used; their labels are not looked at.

    Raises:
        StudyFileError: the tokenizer cannot be cut.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerBase,
        config: PreTrainedConfig,
        task: Task,
        corpus: Sequence[Rows],
    ) -> None:
        self._tokenizer, self._task, self._corpus = tokenizer, task, corpus
        self._document = document_of(tokenizer)
        self._rows = rows_of(config)
        self._fixed = tokens_that_stay(self._document) | rows_that_stay(config)

    def of(self, kept: float | str) -> Vocabulary:
        """Return the vocabulary that keeps a share of the rows, or those of the corpus.

        Raises:
            StudyFileError: texts of the corpus would have other tokens although theirs stay.
        """
        if kept == SEEN:
            return self._seen()
        tokens = np.array(sorted(self._tokenizer.get_vocab().values()))
        by_count = tokens[np.argsort(-self._counts[tokens], kind="stable")]
        return self._vocabulary(by_count.tolist(), round(float(kept) * self._rows))

    def _seen(self) -> Vocabulary:
        used = {*np.flatnonzero(self._counts).tolist(), *self._passed()}
        found = self._vocabulary(used, self._rows)
        rows = np.array(found.rows)
        for texts, before in zip(self._corpus, self._encoded, strict=True):
            after = self._encode(texts, found.tokenizer)
            if not np.array_equal(rows[after.ids], before.ids):
                raise unlike(f"texts of {texts.source} would have other tokens")
        return found

    def _vocabulary(self, order: Iterable[int], room: int) -> Vocabulary:
        rows = sorted(chosen(order, self._fixed, self._parts, room))
        return Vocabulary(tuple(rows), cut_tokenizer(self._tokenizer, rows))

    @cached_property
    def _parts(self) -> Mapping[int, set[int]]:
        member, content = model_of(self._document)
        return member.parts(content)

    @cached_property
    def _encoded(self) -> list[Split]:
        return [self._encode(rows, self._tokenizer) for rows in self._corpus]

    def _encode(self, rows: Rows, tokenizer: PreTrainedTokenizerBase) -> Split:
        """Return texts tokenised as a whole: a cut-off word would be other pieces alone."""
        bare = Rows(rows.source, rows.texts)
        return self._task.encode(bare, tokenizer, (), MOST)

    @cached_property
    def _counts(self) -> Indices:
        """How often the corpus has each token, shape (rows,)."""
        ids = np.concatenate([split.ids for split in self._encoded])
        return np.bincount(ids, minlength=self._rows)

    def _passed(self) -> set[int]:
        """Return the tokens by which words of the corpus were found to be unknown."""
        member, content = model_of(self._document)
        return member.passed(content, self._words_with_unknown())

    def _words_with_unknown(self) -> Iterator[str]:
        unknown = self._tokenizer.unk_token_id
        for texts, split in zip(self._corpus, self._encoded, strict=True):
            places = np.flatnonzero(split.ids == unknown)
            rows = np.unique(np.searchsorted(split.offsets, places, side="right") - 1)
            for row in rows.tolist():
                for column in texts.texts:
                    yield from self._words(column[row])

    def _words(self, text: str | Sequence[str]) -> Iterator[str]:
        """Yield what the tokenizer makes of a text before it looks for tokens."""
        backend: Any = self._tokenizer
        backend = backend.backend_tokenizer
        for part in (text,) if isinstance(text, str) else text:
            plain = backend.normalizer.normalize_str(part) if backend.normalizer else part
            if backend.pre_tokenizer:
                yield from (word for word, _ in backend.pre_tokenizer.pre_tokenize_str(plain))
            else:
                yield plain


def chosen(
    order: Iterable[int], fixed: Iterable[int], parts: Mapping[int, set[int]], room: int
) -> set[int]:
    """Return the tokens that stay: fixed ones, then others while there is room.

    Args:
        order: tokens, those to keep first coming first.
        fixed: tokens that stay whatever the room.
        parts: what each token is built from, which stays with it.
        room: how many may stay.
    """
    kept: set[int] = set()
    for token in fixed:
        kept |= _built(token, parts, kept)
    for token in order:
        more = _built(token, parts, kept)
        if len(kept) + len(more) > room:
            break
        kept |= more
    return kept


def _built(token: int, parts: Mapping[int, set[int]], kept: set[int]) -> set[int]:
    """Return a token with all that it is built from, less what is kept already."""
    found, waiting = set(), [token]
    while waiting:
        one = waiting.pop()
        if one not in kept and one not in found:
            found.add(one)
            waiting += parts.get(one, ())
    return found
