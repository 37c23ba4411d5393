import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.measure.energy import CounterError, meters
from pareto_prune.measure.energy.rapl import (
    ROOT_VARIABLE,
    UNIT_UJ,
    Rapl,
    RaplCounter,
    Zone,
    difference,
    zones,
)
from tests.measure.scripted import ScriptedClock

RANGE = 262_143_328_850


def zone(folder: Path, name: str, joules: float = 1.0, span: int | None = RANGE) -> Path:
    folder.mkdir(parents=True)
    (folder / "name").write_text(name + "\n")
    (folder / "energy_uj").write_text(f"{round(joules * 1e6)}\n")
    if span is not None:
        (folder / "max_energy_range_uj").write_text(f"{span}\n")
    return folder


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(ROOT_VARIABLE, str(tmp_path / "powercap"))
    return tmp_path / "powercap"


def opened() -> RaplCounter:
    return Rapl().open("cpu", ScriptedClock())


def used(counter: RaplCounter, tree: Path, *moves: tuple[str, float]) -> float:
    start = counter.read()
    for path, joules in moves:
        (tree / path / "energy_uj").write_text(f"{round(joules * 1e6)}\n")
    return counter.joules(start, counter.read())


def test_packages_and_the_memory_nested_in_them_are_summed(tree: Path) -> None:
    zone(tree / "intel-rapl:0", "package-0", 10)
    zone(tree / "intel-rapl:1", "package-1", 20)
    zone(tree / "intel-rapl:0" / "intel-rapl:0:0", "core", 5)
    zone(tree / "intel-rapl:0" / "intel-rapl:0:1", "dram", 3)
    counter = opened()
    assert counter.scope == "package+dram"
    moves = [
        ("intel-rapl:0", 11.0),
        ("intel-rapl:1", 22.0),
        ("intel-rapl:0/intel-rapl:0:0", 9.0),
        ("intel-rapl:0/intel-rapl:0:1", 3.5),
    ]
    assert used(counter, tree, *moves) == pytest.approx(1 + 2 + 0.5)


def test_nested_zones_shown_at_the_top_as_well_count_once(tree: Path) -> None:
    zone(tree / "intel-rapl:0", "package-0")
    inner = zone(tree / "intel-rapl:0" / "intel-rapl:0:0", "dram")
    (tree / "intel-rapl:0:0").symlink_to(inner)
    assert len(opened().zones) == 2


def test_zones_below_the_control_type_are_found(tree: Path) -> None:
    zone(tree / "intel-rapl" / "intel-rapl:0", "package-0")
    assert [z.name for z in opened().zones] == ["package-0"]


def test_the_whole_platform_and_the_mmio_twin_are_left_out(tree: Path) -> None:
    zone(tree / "intel-rapl:0", "package-0", 10)
    zone(tree / "intel-rapl:1", "psys", 40)
    zone(tree / "intel-rapl:1" / "intel-rapl:1:0", "dram", 7)
    zone(tree / "intel-rapl-mmio:0", "package-0", 10)
    counter = opened()
    assert [z.path.name for z in counter.zones] == ["intel-rapl:0"]
    assert counter.scope == "package"
    assert used(counter, tree, ("intel-rapl:0", 12.0), ("intel-rapl:1", 50.0)) == pytest.approx(2)


def test_dies_that_show_the_same_counter_are_one(tree: Path) -> None:
    zone(tree / "intel-rapl:0", "package-0-die-0", 100.0)
    zone(tree / "intel-rapl:1", "package-0-die-1", 100.0001)
    assert [z.name for z in opened().zones] == ["package-0-die-0"]


def test_dies_with_counters_of_their_own_are_all_summed(tree: Path) -> None:
    zone(tree / "intel-rapl:0", "package-0-die-0", 100.0)
    zone(tree / "intel-rapl:1", "package-0-die-1", 170.0)
    zone(tree / "intel-rapl:2", "package-1-die-0", 100.0)
    assert len(opened().zones) == 3


@given(st.integers(1, 2**40), st.data())
def test_any_distance_below_a_wrap_is_decoded(span: int, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, span - 1))
    moved = data.draw(st.integers(0, span - 1))
    assert difference(start, (start + moved) % span, span) == moved


def test_a_wrap_costs_one_unit_at_most(tree: Path) -> None:
    zone(tree / "intel-rapl:0", "package-0", (RANGE - 1_000_000) / 1e6)
    assert used(opened(), tree, ("intel-rapl:0", 2.0)) == pytest.approx(3 + UNIT_UJ / 1e6)


def test_a_fall_without_a_known_range_is_an_error(tree: Path) -> None:
    zone(tree / "intel-rapl:0", "package-0", 50.0, span=None)
    counter = opened()
    assert used(counter, tree, ("intel-rapl:0", 51.0)) == pytest.approx(1)
    with pytest.raises(CounterError, match="fell"):
        used(counter, tree, ("intel-rapl:0", 1.0))


def test_a_counter_that_only_root_reads_names_the_remedy(
    tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Mode 0400 and another owner; where tests run as root the kernel's refusal is scripted."""
    folder = zone(tree / "intel-rapl:0", "package-0")
    (folder / "energy_uj").chmod(0o400)
    if os.geteuid() == 0:
        original = Path.read_text

        def refused(self: Path, *args: object, **kwargs: object) -> str:
            if self.name == "energy_uj" and self.stat().st_mode & 0o077 == 0:
                raise PermissionError(13, "Permission denied", str(self))
            return original(self, *args, **kwargs)  # type: ignore[arg-type]

        monkeypatch.setattr(Path, "read_text", refused)
    else:
        (folder / "energy_uj").chmod(0o000)
    reason = Rapl.why_not()
    assert reason is not None
    assert "not readable" in reason
    assert "udev rule" in reason
    assert "bind-mount" in reason
    with pytest.raises(CounterError, match="not readable"):
        opened()


def test_without_any_zone_it_says_what_would_change_that(tree: Path) -> None:
    reason = Rapl.why_not()
    assert reason is not None
    assert str(tree) in reason
    assert ROOT_VARIABLE in reason


def test_a_zone_that_vanishes_is_an_error(tree: Path) -> None:
    folder = zone(tree / "intel-rapl:0", "package-0")
    counter = opened()
    (folder / "energy_uj").unlink()
    with pytest.raises(CounterError, match="cannot be read"):
        counter.read()


def test_it_counts_no_gpu(tree: Path) -> None:
    zone(tree / "intel-rapl:0", "package-0")
    with pytest.raises(CounterError, match="runs on cuda:0"):
        Rapl().open("cuda:0", ScriptedClock())


def test_it_is_measured_and_says_which_zones(tree: Path) -> None:
    zone(tree / "intel-rapl:0", "package-0")
    counter = opened()
    assert counter.grade == "measured"
    assert counter.details() == {"zones": "package-0 (intel-rapl:0)"}
    assert zones(tree)[0] == Zone("package-0", tree / "intel-rapl:0", RANGE + UNIT_UJ)
    assert meters.create("rapl") == Rapl()
