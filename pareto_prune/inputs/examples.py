"""Labelled examples: raw (:class:`Rows`), tokenised (:class:`Split`), and in batches.

A split is flat arrays, so that a batch is two look-ups and no loop over examples::

    ids      [ 101 7592 102 | 101 2023 3185 102 | … ]     tokens of all examples
    offsets  [ 0             3                   7  … ]     where each example begins
    labels   one an example, or one a token (IGNORED where nothing is to be learned)
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import torch
    from torch import Tensor

IGNORED = -100

Indices = NDArray[np.int64]

_POOL = 64


@dataclass(frozen=True)
class Rows:
    """Raw examples, as columns of equal length.

    Attributes:
        source: what messages call them (a file, or a hub id and its split).
        texts: one column, or two for sentence pairs; for token tasks one column of word lists.
        labels: one an example (a list of tags for token tasks, a tuple with a cell of each column
            where several hold the labels); ``None`` where unlabelled.
        names: class names, where the labels are indices into them.
        columns: names of the columns of texts, where messages tell them apart by these.
        label_columns: names of the columns of labels.
        taken: which rows of the table these are, from 0; ``None`` for all.
    """

    source: str
    texts: tuple[Sequence[Any], ...]
    labels: Sequence[Any] | None = None
    names: tuple[str, ...] | None = None
    columns: tuple[str, ...] = ()
    label_columns: tuple[str, ...] = ("label",)
    taken: Sequence[int] | None = None

    def __len__(self) -> int:
        return len(self.texts[0])

    def number(self, row: int) -> int:
        """Return which row of the table a row is, counted from 1."""
        return 1 + (row if self.taken is None else self.taken[row])

    def groups(self) -> Indices:
        """Return which examples have the same first text, as a number for each."""
        known: dict[Any, int] = {}
        return np.array([known.setdefault(text, len(known)) for text in self.texts[0]], np.int64)

    def take(self, rows: Indices) -> Rows:
        """Return the rows with these indices, in this order."""
        return replace(
            self,
            texts=tuple([column[i] for i in rows] for column in self.texts),
            labels=None if self.labels is None else [self.labels[i] for i in rows],
            taken=[self.number(i) - 1 for i in rows.tolist()],
        )


@dataclass(frozen=True, eq=False)
class Split:
    """Tokenised examples with their labels.

    Attributes:
        ids: token ids of all examples end to end, int32, shape (tokens,).
        offsets: where each example begins in ``ids``, and the end; int64, shape (examples + 1,).
        labels: class indices, int64, shape (examples,), or (tokens,) if ``by_token``; or numbers,
            float64, with a last dimension of one an output. Each row is a *target*.
        label_names: name of every output of a target: of every class.
        types: token type ids, int8, shape (tokens,); ``None`` if all are 0.
        pad: token id that fills short rows of a batch.
        by_token: whether every token has a label.
        groups: which group each example belongs to, such as the passages of a query, int64, shape
            (examples,); ``None`` where each is one of its own. Samples have whole groups.
        teacher: what the dense model says of every target, shape (targets, outputs), where a task
            is scored by that. Beside the digest: it follows from texts and model.
    """

    ids: NDArray[np.int32]
    offsets: Indices
    labels: NDArray[Any]
    label_names: tuple[str, ...]
    types: NDArray[np.int8] | None = None
    pad: int = 0
    by_token: bool = False
    groups: Indices | None = None
    teacher: NDArray[np.float32] | None = None

    def __len__(self) -> int:
        return len(self.offsets) - 1

    @property
    def lengths(self) -> Indices:
        """Tokens of every example, shape (examples,)."""
        return np.diff(self.offsets)

    @property
    def digest(self) -> str:
        """SHA-256 of the content: equal examples in equal order, equal digests."""
        content = hashlib.sha256(repr((self.label_names, self.pad, self.by_token)).encode())
        for array in (self.ids, self.offsets, self.labels, self.types):
            content.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        if self.groups is not None:
            content.update(self.groups.tobytes())
        return content.hexdigest()

    def positions(self, rows: Indices) -> Indices:
        """Return where the tokens of ``rows`` stand in the flat arrays, end to end."""
        lengths = self.lengths[rows]
        begins = np.cumsum(lengths) - lengths
        return np.repeat(self.offsets[rows] - begins, lengths) + np.arange(lengths.sum())

    def targets(self, rows: Indices) -> Indices:
        """Return where the labels of ``rows`` stand: examples, or tokens if ``by_token``."""
        return self.positions(rows) if self.by_token else rows

    def take(self, rows: Indices) -> Split:
        """Return the examples with these indices, in this order."""
        tokens = self.positions(rows)
        return replace(
            self,
            ids=self.ids[tokens],
            offsets=np.concatenate([[0], np.cumsum(self.lengths[rows])]),
            labels=self.labels[self.targets(rows)],
            types=None if self.types is None else self.types[tokens],
            groups=None if self.groups is None else self.groups[rows],
            teacher=None if self.teacher is None else self.teacher[self.targets(rows)],
        )

    def batch(self, rows: Indices, device: str | torch.device = "cpu") -> dict[str, Tensor]:
        """Return the model inputs of ``rows``, padded to the longest of them.

        Keys: ``input_ids``, ``attention_mask``, ``labels`` and, if any is not 0,
        ``token_type_ids``; int64, shape (rows, longest), labels of whole examples (rows,) where
        they are class indices, (rows, outputs) where they are numbers.
        """
        import torch

        inside = self.inside(rows)
        tokens = self.positions(rows)
        columns: dict[str, NDArray[Any]] = {
            "input_ids": _padded(self.ids[tokens], inside, self.pad),
            "attention_mask": inside.astype(np.int64),
            "labels": self.labels[rows] if not self.by_token else self._labels(tokens, inside),
        }
        if self.types is not None:
            columns["token_type_ids"] = _padded(self.types[tokens], inside, 0)
        return {name: torch.from_numpy(column).to(device) for name, column in columns.items()}

    def inside(self, rows: Indices) -> NDArray[np.bool_]:
        """Return where a batch of ``rows`` holds tokens, not padding; shape (rows, longest)."""
        lengths = self.lengths[rows]
        return np.arange(lengths.max(initial=0)) < lengths[:, None]

    def outputs(self, logits: NDArray[np.float32], rows: Indices) -> NDArray[np.float32]:
        """Return what a batch of ``rows`` gave, target by target.

        Args:
            logits: shape (rows, outputs), or (rows, longest, outputs) if ``by_token``.
            rows: of the batch.

        Returns:
            Shape (targets, outputs), in the order of :meth:`targets`.
        """
        return logits[self.inside(rows)] if self.by_token else logits

    def _labels(self, tokens: Indices, inside: NDArray[np.bool_]) -> NDArray[Any]:
        shape = (*inside.shape, *self.labels.shape[1:])
        labels = np.full(shape, unlabelled(self.labels.dtype), self.labels.dtype)
        labels[inside] = self.labels[tokens]
        return labels


def unlabelled(dtype: np.dtype[Any]) -> float:
    """Return the label of what has none: IGNORED among class indices, NaN among numbers."""
    return IGNORED if np.issubdtype(dtype, np.integer) else np.nan


def labelled(labels: Any) -> Any:
    """Return which targets have something to be learned, for an array or a tensor of labels."""
    numbers = "float" in str(labels.dtype)
    return (labels == labels).all(-1) if numbers else labels != IGNORED


def joined(first: Split, second: Split) -> Split:
    """Return the examples of both, the first split's first; the classes are the first's.

    What the dense model says of them is left out.
    """
    types = None
    if first.types is not None or second.types is not None:
        given = ((split.types, np.zeros(len(split.ids), np.int8)) for split in (first, second))
        types = np.concatenate([zeros if found is None else found for found, zeros in given])
    return replace(
        first,
        ids=np.concatenate([first.ids, second.ids]),
        offsets=np.concatenate([first.offsets, second.offsets[1:] + first.offsets[-1]]),
        labels=np.concatenate([first.labels, second.labels]),
        types=types,
        groups=_joined_groups(first.groups, second.groups),
        teacher=None,
    )


def _joined_groups(first: Indices | None, second: Indices | None) -> Indices | None:
    if first is None or second is None:
        return None
    return np.concatenate([first, second + first.max(initial=-1) + 1])


def _padded(flat: NDArray[Any], inside: NDArray[np.bool_], fill: int) -> Indices:
    padded = np.full(inside.shape, fill, dtype=np.int64)
    padded[inside] = flat
    return padded


@dataclass(frozen=True, eq=False)
class TaskData:
    """The three splits of a study's data set, tokenised.

    Attributes:
        task: name of the task.
        digest: SHA-256 of all three splits.
    """

    task: str
    train: Split
    validation: Split
    test: Split
    digest: str

    @classmethod
    def of(cls, task: str, train: Split, validation: Split, test: Split) -> TaskData:
        """Return the data set of these splits, with its digest."""
        parts = "".join(split.digest for split in (train, validation, test))
        return cls(task, train, validation, test, hashlib.sha256(parts.encode()).hexdigest())

    @property
    def label_names(self) -> tuple[str, ...]:
        """Name of every class."""
        return self.train.label_names


def epoch_batches(split: Split, size: int, seed: int, epoch: int) -> list[Indices]:
    """Return one epoch of batches of similar lengths, in an order that the seed determines.

    The shuffled examples are sorted by length within pools of 64 batches; then the batches are
    shuffled. Every example comes once; only one batch may be smaller than ``size``.
    """
    generator = np.random.default_rng([seed, epoch])
    order = generator.permutation(len(split))
    pool = np.arange(len(order)) // (size * _POOL)
    order = order[np.lexsort((split.lengths[order], pool))]
    batches = _cut(order, size)
    return [batches[i] for i in generator.permutation(len(batches))]


def batches_by_length(split: Split, size: int, tokens: int | None = None) -> list[Indices]:
    """Return all examples in batches of similar lengths, longest first.

    Args:
        split: what to take apart.
        size: examples of a batch, at most.
        tokens: of a batch, padding included, at most, but for an example that is longer alone.
    """
    order = np.argsort(-split.lengths, kind="stable")
    if tokens is None:
        return _cut(order, size)
    batches = []
    while len(order):
        fit = max(1, min(size, tokens // int(split.lengths[order[0]])))
        batches.append(order[:fit])
        order = order[fit:]
    return batches


def _cut(order: Indices, size: int) -> list[Indices]:
    return [order[begin : begin + size] for begin in range(0, len(order), size)]
