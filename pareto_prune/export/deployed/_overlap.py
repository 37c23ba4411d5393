"""Texts that stand in two splits: what was learned by heart is no sign of having learned."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pareto_prune.inputs.examples import Split


def known(split: Split, other: Split) -> int:
    """Return how many texts of a split stand in another one, by the digests of their tokens."""
    there = set(_digests(other))
    return sum(digest in there for digest in _digests(split))


def _digests(split: Split) -> Iterator[bytes]:
    arrays: list[NDArray[Any]] = [split.ids] if split.types is None else [split.ids, split.types]
    for begin, end in zip(split.offsets[:-1], split.offsets[1:], strict=True):
        parts = b"|".join(array[begin:end].tobytes() for array in arrays)
        yield blake2b(parts, digest_size=16).digest()
