"""The calibration of a study: made once, kept on disk, shared, made again where damaged."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import StudyFileError, UnknownNameError
from pareto_prune.core.progress import Silent
from pareto_prune.inputs.examples import Split, TaskData
from pareto_prune.models.families import architecture
from pareto_prune.pruning.context import CostTable
from pareto_prune.pruning.cost_tables import MeasuredCost
from pareto_prune.trials import calibration as module
from pareto_prune.trials.calibration import StudyCalibration, load_tensors, save_tensors
from tests.tiny import HEADS, HIDDEN, LAYERS, NEURONS, VOCABULARY, tiny_model


class Notes(Silent):
    """Remembers what it was told."""

    def __init__(self):
        self.stages, self.notes = [], []

    def stage(self, name, total=None):
        self.stages.append(name)

    def note(self, text):
        self.notes.append(text)


@dataclass
class Meter:
    """Tables by formula, counted."""

    key: object = "meter"
    calls: int = 0

    def tables(self, dense):
        self.calls += 1
        full = dense.layers[0]
        table = MeasuredCost({1: 0.5, full.heads: 2.0}, {1: 0.1, full.neurons: 3.0}, 0.7)
        return {"latency_ms": table, "energy_j": table}


def split(examples, seed=0):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(4, 12, examples)
    return Split(
        ids=rng.integers(4, VOCABULARY, lengths.sum()).astype(np.int32),
        offsets=np.concatenate([[0], np.cumsum(lengths)]),
        labels=rng.integers(0, 3, examples),
        label_names=("a", "b", "c"),
        pad=1,
    )


DATA = TaskData.of("classification", split(96), split(8, 1), split(8, 2))


def config(**calibration):
    return StudyConfig.model_validate(
        {
            "name": "tiny",
            "model": {"path": "tiny"},
            "data": {"path": "tiny"},
            "calibration": {"samples": 64, "sensitivity_samples": 32} | calibration,
        }
    )


def calibrated(costs=None, digest="dense", progress=None, **table):
    dense = SimpleNamespace(model=tiny_model(), digest=digest)
    progress = Notes() if progress is None else progress
    return StudyCalibration(config(**table), dense, DATA, progress, costs)


@pytest.fixture(autouse=True)
def cache_root(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_everything_that_strategies_ask_for():
    made = calibrated(Meter())
    assert sum(len(b["input_ids"]) for b in made.batches()) == 64
    for name in ("l1", "fisher", "taylor", "obs", "random"):
        scores = made.importance(name)
        assert [len(s) for s in scores.heads] == [HEADS] * LAYERS
        assert [len(s) for s in scores.neurons] == [NEURONS] * LAYERS
        assert len(made.channels(name)) == HIDDEN
    assert [max(one) for one in made.sensitivities] == [HEADS, NEURONS] * LAYERS
    assert isinstance(made.latency, CostTable)
    assert made.energy.heads(0, HEADS) > 0


def test_nothing_is_made_before_it_is_asked_for(cache_root):
    progress = Notes()
    calibrated(progress=progress)
    assert progress.stages == []
    assert not cache_root.exists()


def test_a_second_worker_finds_all_of_it(monkeypatch):
    meter = Meter()
    first = calibrated(meter)
    wanted = first.sensitivities, first.importance("fisher"), first.channels("taylor")
    first.latency  # noqa: B018

    def refuse(*_, **__):
        raise AssertionError("made twice")

    for name in ("build_database", "sensitivities"):
        monkeypatch.setattr(module, name, refuse)
    second = calibrated(meter)
    again = second.sensitivities, second.importance("fisher"), second.channels("taylor")
    second.energy  # noqa: B018
    assert meter.calls == 1
    assert second.latency == first.latency
    assert wanted[0] == again[0]
    torch.testing.assert_close(wanted[1].neurons, again[1].neurons, atol=0, rtol=0)
    torch.testing.assert_close(wanted[2], again[2], atol=0, rtol=0)


@pytest.mark.parametrize("change", [{"digest": "other"}, {"samples": 48}])
def test_another_model_or_data_is_made_anew(change, cache_root):
    for one in (calibrated(), calibrated(**change)):
        one.database  # noqa: B018
    assert len(list(cache_root.rglob("*.database.safetensors"))) == 2


def test_the_pass_of_the_database_gives_the_fisher_scores_along():
    alone, beside = calibrated(), Notes()
    wanted = alone.importance("fisher")
    made = calibrated(digest="same weights", progress=beside)
    made.database  # noqa: B018
    found = made.importance("fisher")
    assert not any("fisher" in stage for stage in beside.stages)
    torch.testing.assert_close(found.heads, wanted.heads, atol=0, rtol=0)
    torch.testing.assert_close(found.neurons, wanted.neurons, atol=0, rtol=0)


@pytest.mark.parametrize("damage", ["cut", "flip", "empty"])
def test_a_damaged_file_is_made_again(damage, cache_root):
    wanted = calibrated().database.tensors()
    (file,) = cache_root.rglob("*.database.safetensors")
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes({"cut": content[:-100], "flip": content, "empty": b""}[damage])
    progress = Notes()
    torch.testing.assert_close(calibrated(progress=progress).database.tensors(), wanted)
    assert len(progress.notes) == 1
    assert "damaged" in progress.notes[0]
    assert load_tensors(file) is not None


def test_damaged_cost_tables_are_measured_again(cache_root):
    meter = Meter()
    calibrated(meter).latency  # noqa: B018
    (file,) = cache_root.rglob("costs/*.json")
    file.write_text('{"latency_ms": 3}')
    calibrated(meter).latency  # noqa: B018
    assert meter.calls == 2
    calibrated(Meter(key="another device")).latency  # noqa: B018
    assert len(list(cache_root.rglob("costs/*.json"))) == 2


def test_without_a_cost_source_it_counts_and_says_so():
    progress = Notes()
    made = calibrated(progress=progress)
    dense = architecture(tiny_model())
    ratio = made.latency.heads(0, 2) / made.latency.heads(0, 1)
    assert ratio == pytest.approx(2)
    assert made.latency.fixed == 0
    assert made.energy.neurons(0, dense.layers[0].neurons) > 0
    assert len(progress.notes) == 1
    assert "multiply-accumulates" in progress.notes[0]


def test_more_examples_than_there_are():
    with pytest.raises(StudyFileError, match=r"calibration\.samples: 97 .* allowed: 8 to 96"):
        calibrated(samples=97)
    with pytest.raises(StudyFileError, match=r"calibration\.sensitivity_samples: 100"):
        calibrated(sensitivity_samples=100)
    default = StudyConfig.model_fields["calibration"].default.samples
    assert len(calibrated(samples=default)._split) == len(DATA.train)


def test_an_unknown_importance():
    with pytest.raises(UnknownNameError, match="fisher"):
        calibrated().importance("fischer")


def test_tensors_and_back(tmp_path):
    tensors = {"a": torch.arange(6).view(2, 3), "b": torch.rand(3, dtype=torch.float64)}
    path = tmp_path / "x" / "t.safetensors"
    assert load_tensors(path) is None
    save_tensors(path, tensors)
    torch.testing.assert_close(load_tensors(path), tensors, atol=0, rtol=0)
