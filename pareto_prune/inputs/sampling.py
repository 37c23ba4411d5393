"""Stratified samples of a split: what they are stratified by, its task says."""

from __future__ import annotations

import numpy as np

from pareto_prune.inputs.examples import Indices, Split, TaskData
from pareto_prune.inputs.tasks import Task, tasks


def spread(task: Task, split: Split, seed: int) -> Indices:
    """Return all rows shuffled, then sorted by stratum: every n-th is a stratified sample."""
    order = np.random.default_rng(seed).permutation(len(split))
    return order[np.argsort(task.strata(split)[order], kind="stable")]


def sample(order: Indices, count: int) -> tuple[Indices, Indices]:
    """Return ``count`` evenly spaced entries of ``order``, and the rest; both in its order."""
    count = min(count, len(order))
    picked = np.zeros(len(order), dtype=bool)
    picked[((np.arange(count) + 0.5) * len(order) / max(count, 1)).astype(np.int64)] = True
    return order[picked], order[~picked]


def holdout(task: Task, split: Split, examples: int, seed: int) -> tuple[Indices, Indices]:
    """Return the rows of ``split`` that stay, and ``examples`` that are held out, stratified.

    Meant for the training split: a strategy may look at what is held out of it, never at the
    validation split. Both are sorted.
    """
    held, kept = sample(spread(task, split, seed), examples)
    return np.sort(kept), np.sort(held)


def folds(data: TaskData, count: int, seed: int) -> tuple[TaskData, ...]:
    """Return ``count`` data sets whose validation splits part the training split, stratified.

    The k-th holds out every ``count``-th example of each stratum, from the k-th on; the test split
    is the same in all. With one fold it is ``data`` itself.
    """
    if count == 1:
        return (data,)
    order = spread(tasks.create(data.task), data.train, seed)
    part = np.arange(len(order)) % count
    return tuple(
        TaskData.of(
            data.task,
            data.train.take(np.sort(order[part != fold])),
            data.train.take(np.sort(order[part == fold])),
            data.test,
        )
        for fold in range(count)
    )
