from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.inputs.examples import (
    IGNORED,
    Split,
    TaskData,
    batches_by_length,
    epoch_batches,
    joined,
)
from pareto_prune.inputs.sampling import folds, holdout, sample, spread, together
from pareto_prune.inputs.tasks import tasks

lengths_lists = st.lists(st.integers(1, 12), min_size=2, max_size=80)


def split_of(lengths, by_token=False, seed=0):
    generator = np.random.default_rng(seed)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    labels = generator.integers(0, 3, offsets[-1] if by_token else len(lengths))
    if by_token:
        labels[generator.random(len(labels)) < 0.3] = IGNORED
    ids = generator.integers(1, 90, offsets[-1]).astype(np.int32)
    return Split(ids, offsets, labels, ("a", "b", "c"), by_token=by_token)


@given(lengths_lists, st.booleans(), st.integers(0, 99))
def test_a_batch_is_its_examples_padded(lengths, by_token, seed):
    split = split_of(lengths, by_token)
    rows = np.random.default_rng(seed).permutation(len(split))[:5]
    batch = split.batch(rows)
    assert batch["input_ids"].shape == (len(rows), max(lengths[row] for row in rows))
    for line, row in enumerate(rows):
        begin, end = split.offsets[row], split.offsets[row + 1]
        size = end - begin
        assert batch["input_ids"][line, :size].tolist() == split.ids[begin:end].tolist()
        assert batch["attention_mask"][line].sum() == size
        assert (batch["input_ids"][line, size:] == split.pad).all()
        if by_token:
            assert batch["labels"][line, :size].tolist() == split.labels[begin:end].tolist()
            assert (batch["labels"][line, size:] == IGNORED).all()
        else:
            assert batch["labels"][line] == split.labels[row]


@given(lengths_lists, st.booleans())
def test_taking_rows_twice_is_taking_them_at_once(lengths, by_token):
    split = split_of(lengths, by_token)
    order = np.random.default_rng(1).permutation(len(split))
    twice = split.take(order).take(np.array([1, 0]))
    assert twice.digest == split.take(order[[1, 0]]).digest
    assert split.take(np.arange(len(split))).digest == split.digest
    assert twice.lengths.tolist() == [lengths[order[1]], lengths[order[0]]]


def test_a_digest_depends_on_all_of_the_content():
    split = split_of([3, 4])
    changed = [
        split_of([3, 4], seed=1),
        split.take(np.array([1, 0])),
        Split(split.ids, split.offsets, split.labels, ("a", "b", "x")),
        Split(split.ids, split.offsets, split.labels, split.label_names, pad=5),
        Split(split.ids, split.offsets, split.labels, split.label_names, np.ones(7, np.int8)),
    ]
    assert len({other.digest for other in [split, *changed]}) == 6


@given(lengths_lists, st.integers(1, 9), st.integers(0, 3))
def test_an_epoch_has_every_example_once(lengths, size, epoch):
    batches = epoch_batches(split_of(lengths), size, seed=7, epoch=epoch)
    assert sorted(np.concatenate(batches)) == list(range(len(lengths)))
    assert sorted(map(len, batches))[1:] == [size] * (len(batches) - 1)


def test_epochs_differ_and_repeat_with_the_seed():
    split = split_of([3] * 40)
    orders = [
        np.concatenate(epoch_batches(split, 4, *which)).tolist()
        for which in ((0, 0), (0, 1), (1, 0), (0, 0))
    ]
    assert orders[0] == orders[3]
    assert orders[0] != orders[1] != orders[2] != orders[0]


def test_batches_of_like_lengths_need_little_padding():
    split = split_of(np.random.default_rng(0).integers(1, 60, 1000))
    padded = sum(
        len(rows) * split.lengths[rows].max() for rows in epoch_batches(split, 16, seed=0, epoch=0)
    )
    assert padded < 1.1 * split.lengths.sum()


@given(lengths_lists)
def test_batches_by_length_start_with_the_longest(lengths):
    split = split_of(lengths)
    rows = np.concatenate(batches_by_length(split, 4))
    assert split.lengths[rows].tolist() == sorted(lengths, reverse=True)


@given(st.integers(1, 50), st.integers(0, 60))
def test_a_sample_and_the_rest_are_all(total, count):
    order = np.random.default_rng(0).permutation(total)
    picked, rest = sample(order, count)
    assert len(picked) == min(total, count)
    assert sorted([*picked, *rest]) == list(range(total))


@given(st.lists(st.integers(20, 60), min_size=2, max_size=3), st.integers(0, 5))
def test_what_is_held_out_has_the_classes_in_proportion(counts, seed):
    labels = np.repeat(np.arange(len(counts)), counts)
    split = Split(
        np.ones(len(labels), np.int32), np.arange(len(labels) + 1), labels, ("a", "b", "c")
    )
    kept, held = holdout(tasks.create("classification"), split, 20, seed)
    assert sorted([*kept, *held]) == list(range(len(labels)))
    for label, count in enumerate(counts):
        share = 20 * count / len(labels)
        assert abs((labels[held] == label).sum() - share) <= 1


@given(st.lists(st.integers(1, 9), min_size=4, max_size=12), st.integers(1, 40))
def test_samples_have_whole_groups(sizes, count):
    mixed = np.random.default_rng(0).permutation(np.repeat(np.arange(len(sizes)), sizes))
    order = together(mixed, np.arange(len(mixed)))
    picked, rest = sample(order, count, mixed)
    assert sorted([*picked, *rest]) == list(range(len(mixed)))
    assert not set(mixed[picked]) & set(mixed[rest])
    groups = len(set(mixed[picked]))
    assert groups == min(len(sizes), max(1, round(count * len(sizes) / len(mixed))))


def test_folds_have_whole_groups():
    train = replace(split_of([2] * 30), groups=np.arange(30) % 7)
    data = TaskData.of("reranking", train, train, train)
    parts = folds(data, 3, seed=0)
    held = [set(part.validation.groups) for part in parts]
    assert sorted(itertools.chain.from_iterable(held)) == list(range(7))
    for part, groups in zip(parts, held, strict=True):
        assert not set(part.train.groups) & groups
        assert len(part.train) + len(part.validation) == 30


def test_groups_of_joined_splits_stay_apart():
    one, other = (replace(split_of([2] * 4), groups=np.array([0, 1, 1, 0])) for _ in range(2))
    assert joined(one, other).groups.tolist() == [0, 1, 1, 0, 2, 3, 3, 2]
    assert one.digest != split_of([2] * 4).digest


def test_rows_with_tagged_tokens_are_spread_without_classes():
    split = split_of([2, 3, 4], by_token=True)
    assert sorted(spread(tasks.create("ner"), split, 0)) == [0, 1, 2]


@pytest.mark.parametrize("count", [2, 3, 5])
def test_folds_part_the_training_split(count):
    train, validation, test = (split_of([2] * size, seed=size) for size in (31, 6, 7))
    data = TaskData.of("classification", train, validation, test)
    parts = folds(data, count, seed=0)
    held = np.concatenate([part.validation.ids for part in parts])
    assert sorted(held) == sorted(train.ids)
    assert len({part.digest for part in parts} | {data.digest}) == count + 1
    for part in parts:
        assert len(part.train) + len(part.validation) == 31
        assert part.test.digest == test.digest
        shares = [np.bincount(s.labels, minlength=3) / len(s) for s in (part.validation, train)]
        assert np.abs(shares[0] - shares[1]).max() < 0.2


def test_one_fold_is_the_data_itself():
    split = split_of([2] * 9)
    data = TaskData.of("classification", split, split, split)
    assert folds(data, 1, seed=0) == (data,)


def test_batches_by_length_hold_no_more_tokens_than_asked_for():
    split = split_of(np.random.default_rng(0).integers(1, 60, 300))
    batches = batches_by_length(split, 16, tokens=128)
    assert sorted(np.concatenate(batches)) == list(range(300))
    sizes = [len(rows) * int(split.lengths[rows].max()) for rows in batches]
    assert max(sizes) <= 128
    assert max(map(len, batches)) <= 16
    assert [len(rows) for rows in batches_by_length(split, 16, tokens=1)] == [1] * 300
