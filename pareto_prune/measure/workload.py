"""The inputs that models are measured on: fixed, with the lengths of the task's own texts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from pareto_prune.core.config import MeasureTable

if TYPE_CHECKING:
    from pareto_prune.inputs.examples import Split

Inputs = dict[str, NDArray[np.int64]]


@dataclass(frozen=True, eq=False)
class Workload:
    """What is run.

    Attributes:
        rows: token ids of the examples of the throughput batch, shortest first.
        single: token ids of the examples of the latency batch, all of one length.
        pad: token id that fills short rows.
        max_length: tokens behind which examples are cut off.
    """

    rows: tuple[NDArray[np.int64], ...]
    single: tuple[NDArray[np.int64], ...]
    pad: int
    max_length: int = field(default=2**31)

    @classmethod
    def of(cls, split: Split, settings: MeasureTable, seed: int) -> Workload:
        """Return the workload of a split of tokenised examples."""
        pieces = np.split(split.ids.astype(np.int64), split.offsets[1:-1])
        return cls.from_lengths(pieces, settings, seed, pad=split.pad)

    @classmethod
    def from_lengths(
        cls,
        token_ids: Sequence[Sequence[int] | NDArray[np.integer[Any]]],
        settings: MeasureTable,
        seed: int,
        pad: int = 0,
    ) -> Workload:
        """Return a workload from the token ids of a task's examples.

        The throughput batch holds evenly spaced quantiles of their lengths. The latency batch
        holds examples as long as ``settings.tokens``, or the median length; longer ones are cut,
        shorter ones go on with other tokens of the task.

        Raises:
            ValueError: there is no example.
        """
        examples = [np.asarray(ids, np.int64) for ids in token_ids]
        if not examples:
            raise ValueError("a workload needs examples")
        generator = np.random.default_rng(seed)
        shuffled = [examples[i] for i in generator.permutation(len(examples))]
        by_length = sorted(shuffled, key=len)
        tokens = settings.tokens or int(np.median([len(ids) for ids in examples]))
        chosen = generator.integers(len(examples), size=settings.latency_batch)
        return cls(
            rows=tuple(by_length[i] for i in _spaced(len(by_length), settings.energy_batch)),
            single=tuple(_stretched(shuffled, int(i), max(tokens, 1)) for i in chosen),
            pad=pad,
        )

    def cut(self, max_length: int | None) -> Workload:
        """Return the workload with examples cut off behind ``max_length`` tokens."""
        return self if max_length is None else replace(self, max_length=max_length)

    @property
    def samples(self) -> int:
        """Examples in the throughput batch."""
        return len(self.rows)

    def latency(self) -> Inputs:
        """Return the latency inputs: int64, (latency batch, tokens), without padding."""
        return self._padded(self.single)

    def throughput(self) -> Inputs:
        """Return the throughput inputs: int64, (energy batch, longest), padded at the right."""
        return self._padded(self.rows)

    def shape(self) -> dict[str, str]:
        """Return what inputs these are, for comparing workers: ``batch × tokens``."""
        return {
            "latency_input": "{} × {}".format(*self.latency()["input_ids"].shape),
            "energy_input": "{} × {}".format(*self.throughput()["input_ids"].shape),
        }

    def _padded(self, rows: Sequence[NDArray[np.int64]]) -> Inputs:
        rows = [row[: self.max_length] for row in rows]
        lengths = np.array([len(row) for row in rows])
        inside = np.arange(lengths.max()) < lengths[:, None]
        ids = np.full(inside.shape, self.pad, np.int64)
        ids[inside] = np.concatenate(rows)
        return {
            "input_ids": ids,
            "attention_mask": inside.astype(np.int64),
            "token_type_ids": np.zeros_like(ids),
        }


def _spaced(available: int, wanted: int) -> NDArray[np.int64]:
    """Return evenly spaced ranks: the i-th of n stands for the quantile (i + ½) / n."""
    return ((np.arange(wanted) + 0.5) * available / wanted).astype(np.int64)


def _stretched(examples: Sequence[NDArray[np.int64]], first: int, tokens: int) -> NDArray[np.int64]:
    """Return exactly ``tokens`` tokens: an example, and the next ones while it is too short."""
    parts: list[NDArray[np.int64]] = []
    total = 0
    while total < tokens:
        part = examples[(first + len(parts)) % len(examples)]
        parts.append(part)
        total += max(len(part), 1)
    joined = np.concatenate(parts)[:tokens]
    return np.resize(joined, tokens) if len(joined) else np.zeros(tokens, np.int64)
