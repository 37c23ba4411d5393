"""A model of MiniLM's size, with random weights, measured against itself.

The ratio must be 1 within its interval, whatever else the machine is doing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.record import Record
from pareto_prune.core.records import Reading
from pareto_prune.measure import Measurer, Workload
from pareto_prune.results.cold import COLD

if TYPE_CHECKING:
    from transformers import PreTrainedModel


_TESTED = ("latency_ms", "energy_j", "throughput")
_SHOWN = (*_TESTED, COLD)
_TOLERANCE = 0.05


class SelfTest(Record):
    """A model against itself.

    Attributes:
        ratios: by name; 1 is right.
        readings: absolute values of this machine.
        seconds: how long one measurement took.
        watts_per_core: by the counter, for a ``calibration_file`` of a twin machine without one.
    """

    ratios: dict[str, Reading]
    readings: dict[str, Reading]
    seconds: float
    watts_per_core: float | None = None

    @property
    def passed(self) -> bool:
        """Whether every known ratio that pairs are added for is within 5 % of 1."""
        tested = [self.ratios[name].value for name in _TESTED if name in self.ratios]
        known = [value for value in tested if value is not None]
        return bool(known) and all(abs(value - 1) <= _TOLERANCE for value in known)


def run_self_test(table: MeasureTable, model: PreTrainedModel | None = None) -> SelfTest:
    """Measure a model against itself, as a trial would.

    Args:
        table: how.
        model: one of MiniLM's size with random weights if not given.

    Raises:
        UserError: something that the table asks for cannot be used.
    """
    tested = model or minilm()
    workload = Workload.from_lengths(sentences(tested.config.vocab_size), table, seed=0)
    measurer = Measurer(table, tested, workload)
    found = measurer.measure(tested, fresh=True)
    return SelfTest(
        ratios={name: found.ratios[name] for name in _SHOWN},
        readings={name: found.readings[name] for name in _SHOWN},
        seconds=found.seconds,
        watts_per_core=measurer.watts_per_core(),
    )


def minilm() -> PreTrainedModel:
    """Return a model of MiniLM's size with random weights."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification

    torch.manual_seed(0)
    config = BertConfig(
        hidden_size=384, num_hidden_layers=6, num_attention_heads=12, intermediate_size=1536
    )
    return BertForSequenceClassification(config).eval()


def sentences(vocabulary: int, count: int = 512) -> list[np.ndarray]:
    """Return random tokens with the lengths of film reviews in one sentence: 27 ± 12."""
    generator = np.random.default_rng(0)
    lengths = np.clip(generator.normal(27, 12, count), 6, 64).astype(int)
    return [generator.integers(5, vocabulary, length) for length in lengths]
