import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.core.config import MeasureTable
from pareto_prune.inputs.examples import Split
from pareto_prune.measure import Workload

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=80)


def examples(lengths: list[int]) -> list[np.ndarray]:
    return [np.full(length, i + 2) for i, length in enumerate(lengths)]


@given(LENGTHS)
def test_the_batch_has_the_lengths_of_the_task(lengths: list[int]) -> None:
    inputs = Workload.from_lengths(examples(lengths), MeasureTable(), 0).throughput()
    found = np.sort(inputs["attention_mask"].sum(1))
    expected = np.sort(lengths)[((np.arange(32) + 0.5) * len(lengths) / 32).astype(int)]
    assert (found == expected).all()
    assert inputs["input_ids"].shape == (32, found.max())


@given(LENGTHS)
def test_the_latency_input_has_the_median_length(lengths: list[int]) -> None:
    inputs = Workload.from_lengths(examples(lengths), MeasureTable(), 0).latency()
    assert inputs["input_ids"].shape == (1, int(np.median(lengths)))
    assert (inputs["attention_mask"] == 1).all()
    assert (inputs["input_ids"] >= 2).all()


def test_length_and_batches_are_settings() -> None:
    table = MeasureTable(tokens=24, latency_batch=2, energy_batch=8)
    workload = Workload.from_lengths(examples([3, 50, 9]), table, 0)
    assert workload.latency()["input_ids"].shape == (2, 24)
    assert workload.throughput()["input_ids"].shape[0] == 8
    assert workload.samples == 8
    assert workload.shape() == {"latency_input": "2 × 24", "energy_input": "8 × 50"}


def test_a_maximum_length_cuts_both_inputs() -> None:
    workload = Workload.from_lengths(examples([30, 40, 50]), MeasureTable(), 0)
    cut = workload.cut(16)
    assert cut.latency()["input_ids"].shape == (1, 16)
    assert cut.throughput()["input_ids"].shape == (32, 16)
    assert workload.throughput()["input_ids"].shape == (32, 50)
    assert workload.cut(None) is workload


def test_padding_is_the_tokenizers_and_is_masked() -> None:
    workload = Workload.from_lengths([[5, 6], [7, 8, 9]], MeasureTable(energy_batch=2), 0, pad=1)
    inputs = workload.throughput()
    assert inputs["input_ids"].tolist() == [[5, 6, 1], [7, 8, 9]]
    assert inputs["attention_mask"].tolist() == [[1, 1, 0], [1, 1, 1]]
    assert all(array.dtype == np.int64 for array in inputs.values())


def test_equal_seeds_give_equal_inputs() -> None:
    several = examples([5] * 50)
    one, same = (Workload.from_lengths(several, MeasureTable(), 3).latency() for _ in range(2))
    assert (one["input_ids"] == same["input_ids"]).all()


def test_a_split_is_read_without_a_loop_over_tokens() -> None:
    split = Split(
        ids=np.array([4, 5, 6, 7, 8, 9], np.int32),
        offsets=np.array([0, 2, 6]),
        labels=np.array([0, 1]),
        label_names=("a", "b"),
        pad=3,
    )
    inputs = Workload.of(split, MeasureTable(energy_batch=2), 0).throughput()
    assert inputs["input_ids"].tolist() == [[4, 5, 3, 3], [6, 7, 8, 9]]


def test_nothing_to_run_is_refused() -> None:
    with pytest.raises(ValueError, match="needs examples"):
        Workload.from_lengths([], MeasureTable(), 0)
