from __future__ import annotations

import numpy as np
import pytest

from pareto_prune.core import cache
from pareto_prune.core.progress import Silent
from pareto_prune.inputs.examples import Split
from pareto_prune.trials import teacher
from pareto_prune.trials.evaluation import logits_of
from pareto_prune.trials.teacher import Teacher
from tests.full_disk import full_disk
from tests.learnable import learnable
from tests.tiny import tiny_model

TRAIN = learnable().train
WORDS = learnable(by_token=True).train
SOME = np.array([3, 40, 7, 40, 100])


class Counting(Silent):
    def __init__(self) -> None:
        self.stages: list[tuple[str, int | None]] = []

    def stage(self, name: str, steps: int | None = None) -> None:
        self.stages.append((name, steps))


class Noting(Silent):
    def __init__(self) -> None:
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)


def made(train: Split = TRAIN, seed: int = 0, progress: Silent | None = None) -> Teacher:
    model = tiny_model(task="ner" if train.by_token else "classification", seed=seed)
    return Teacher(model, f"digest {seed}", train, progress)


@pytest.mark.parametrize("train", [TRAIN, WORDS], ids=["texts", "words"])
def test_what_is_wanted_is_known_and_nothing_else(train: Split) -> None:
    logits = made(train).logits(SOME)
    model = tiny_model(task="ner" if train.by_token else "classification", seed=0)
    wanted = train.targets(SOME)
    assert logits[wanted] == pytest.approx(logits_of(model, train)[wanted], abs=0.1)
    others = np.setdiff1d(np.arange(len(logits)), wanted)
    assert np.isnan(logits[others]).all()


def test_each_example_is_computed_once() -> None:
    progress = Counting()
    one = made(progress=progress)
    first = one.logits(SOME)[SOME].copy()
    one.logits(SOME[::-1])
    more = one.logits(np.arange(50))
    assert progress.stages == [
        ("dense model on the training data", 1),
        ("dense model on the training data", 2),
    ]
    assert (more[SOME] == first).all()
    assert not np.isnan(more[:50]).any()


def test_workers_of_a_host_share_them(monkeypatch: pytest.MonkeyPatch) -> None:
    early, late = made(), made()
    early.logits(SOME)
    late.logits(np.array([1, 2]))
    monkeypatch.setattr(teacher, "logits_of", None)  # would raise if it were called
    assert not np.isnan(early.logits(np.array([2]))[[1, 2, *SOME]]).any()
    assert not np.isnan(made().logits(SOME)[SOME]).any()


def test_another_dense_model_has_others() -> None:
    assert (made(seed=0).logits(SOME)[SOME] != made(seed=1).logits(SOME)[SOME]).any()


def test_a_full_disk_costs_no_logits(monkeypatch: pytest.MonkeyPatch) -> None:
    real, said = cache.save_arrays, Noting()

    def full(*arguments) -> None:
        with full_disk(room=16):
            real(*arguments)

    monkeypatch.setattr(cache, "save_arrays", full)
    given = made(progress=said)
    assert not np.isnan(given.logits(SOME)[SOME]).any()
    assert "cannot be written: File too large" in said.notes[0]


def test_damage_is_noticed() -> None:
    first = made().logits(SOME)[SOME]
    (file,) = (cache.root() / "teacher").glob("*.npz")
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 0x40
    file.write_bytes(content)
    assert (made().logits(SOME)[SOME] == first).all()


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
