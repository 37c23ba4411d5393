"""A tiny task that a tiny model learns in a second: one word of the text is the class."""

from __future__ import annotations

import numpy as np

from pareto_prune.inputs.examples import IGNORED, Split, TaskData

CLUES = (10, 11, 12)


def learnable_split(examples: int, seed: int = 0, by_token: bool = False) -> Split:
    """Random tokens with one clue in each; tagged tokens are the clues themselves."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(4, 12, examples)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = generator.integers(20, 90, offsets[-1]).astype(np.int32)
    classes = generator.integers(0, len(CLUES), examples)
    where = offsets[:-1] + generator.integers(1, lengths)
    ids[where] = np.array(CLUES)[classes]
    labels = classes
    names: tuple[str, ...] = ("a", "b", "c")
    if by_token:
        labels = np.zeros(len(ids), dtype=np.int64)
        labels[where] = classes
        labels[offsets[:-1]] = IGNORED
        names = ("O", "B-x", "I-x")
    return Split(ids, offsets, labels, names, pad=1, by_token=by_token)


def learnable(train: int = 256, by_token: bool = False) -> TaskData:
    """The three splits of the tiny task."""
    parts = (learnable_split(count, i, by_token) for i, count in enumerate((train, 96, 64)))
    return TaskData.of("ner" if by_token else "classification", *parts)
