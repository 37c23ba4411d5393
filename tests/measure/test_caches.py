"""How large a cache is taken to be, and what fills it."""

from pathlib import Path

import pytest

from pareto_prune.measure import caches


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(caches, "_CACHES", tmp_path)
    return tmp_path


def cache(folder: Path, index: int, level: str, size: str) -> None:
    (folder / f"index{index}").mkdir()
    (folder / f"index{index}" / "level").write_text(f"{level}\n")
    (folder / f"index{index}" / "size").write_text(f"{size}\n")


def test_the_last_level_is_that_of_the_machine(machine: Path) -> None:
    cache(machine, 0, "1", "32K")
    cache(machine, 1, "3", "1M")
    cache(machine, 2, "2", "2048K")
    (machine / "index4").mkdir()
    assert caches.last_level() == 2**20


def test_a_machine_that_does_not_tell_has_a_usual_one(machine: Path) -> None:
    cache(machine, 0, "3", "large")
    cache(machine, 1, "?", "32K")
    assert caches.last_level() is None
    assert caches.buffered("cpu") == 32 * 2**20


def test_twice_its_size_is_written_every_time(machine: Path) -> None:
    cache(machine, 0, "3", "64K")
    empty = caches.emptier("cpu")
    assert empty is not None
    first = empty().copy()
    assert first.nbytes == 2 * 64 * 2**10
    assert (empty() != first).all()


def test_on_a_gpu_nothing_is_emptied() -> None:
    assert caches.emptier("cuda:0") is None
    assert caches.buffered("cuda:0") == 0
