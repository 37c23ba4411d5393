"""Stratified samples of a split: what they are stratified by, its task says."""

from __future__ import annotations

import numpy as np

from pareto_prune.inputs.examples import Indices, Split, TaskData
from pareto_prune.inputs.tasks import Task, tasks


def spread(task: Task, split: Split, seed: int) -> Indices:
    """Return all rows shuffled, then sorted by stratum: every n-th is a stratified sample.

    Rows of a group stand together, groups in random order.
    """
    order = np.random.default_rng(seed).permutation(len(split))
    order = order[np.argsort(task.strata(split)[order], kind="stable")]
    return order if split.groups is None else together(split.groups, order)


def together(groups: Indices, order: Indices) -> Indices:
    """Return ``order`` with each group's rows where its first one stands."""
    _, first, group = np.unique(groups[order], return_index=True, return_inverse=True)
    return order[np.argsort(first[group], kind="stable")]


def sample(order: Indices, count: int, groups: Indices | None = None) -> tuple[Indices, Indices]:
    """Return ``count`` evenly spaced entries of ``order``, and the rest; both in its order.

    Of rows in groups, which stand together in ``order``, evenly spaced groups that have about as
    many rows; at least one.
    """
    unit = _units(order, groups)
    units = int(unit.max(initial=-1)) + 1
    wanted = min(count, units) if groups is None else _share(count, len(order), units)
    picked = np.zeros(units, dtype=bool)
    picked[((np.arange(wanted) + 0.5) * units / max(wanted, 1)).astype(np.int64)] = True
    return order[picked[unit]], order[~picked[unit]]


def _units(order: Indices, groups: Indices | None) -> Indices:
    """Return which group of those in ``order`` each entry belongs to; each its own without any."""
    if groups is None:
        return np.arange(len(order))
    return np.cumsum(np.diff(groups[order], prepend=-1) != 0) - 1


def _share(count: int, rows: int, units: int) -> int:
    """Return how many groups have about ``count`` of all rows; at least one, if any is wanted."""
    return min(units, max(min(count, 1), round(count * units / max(rows, 1))))


def holdout(task: Task, split: Split, examples: int, seed: int) -> tuple[Indices, Indices]:
    """Return the rows of ``split`` that stay, and ``examples`` that are held out, stratified.

    Meant for the training split: a strategy may look at what is held out of it, never at the
    validation split. Both are sorted.
    """
    held, kept = sample(spread(task, split, seed), examples, split.groups)
    return np.sort(kept), np.sort(held)


def folds(data: TaskData, count: int, seed: int) -> tuple[TaskData, ...]:
    """Return ``count`` data sets whose validation splits part the training split, stratified.

    The k-th holds out every ``count``-th example (or group) of each stratum, from the k-th on; the
    test split is the same in all. With one fold it is ``data`` itself.
    """
    if count == 1:
        return (data,)
    order = spread(tasks.create(data.task), data.train, seed)
    part = _units(order, data.train.groups) % count
    return tuple(
        TaskData.of(
            data.task,
            data.train.take(np.sort(order[part != fold])),
            data.train.take(np.sort(order[part == fold])),
            data.test,
        )
        for fold in range(count)
    )
