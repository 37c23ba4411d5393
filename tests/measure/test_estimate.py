import json
from pathlib import Path

import pytest

from pareto_prune.core.errors import UserError
from pareto_prune.measure.energy import CounterError
from pareto_prune.measure.energy.estimate import MEMORY_WATTS, Estimate, table_watts
from tests.measure.scripted import ScriptedClock


def cpuinfo(vendor: str, family: int, model: int, stepping: int = 0) -> str:
    return (
        f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\n"
        f"model name\t: Some CPU\nstepping\t: {stepping}\n\n"
    )


@pytest.mark.parametrize(
    ("text", "watts"),
    [
        (cpuinfo("AuthenticAMD", 23, 0x01), 2.55),
        (cpuinfo("AuthenticAMD", 23, 0x31), 1.69),
        (cpuinfo("AuthenticAMD", 25, 0x01), 2.02),
        (cpuinfo("AuthenticAMD", 25, 0x11), 3.5),
        (cpuinfo("GenuineIntel", 6, 0x55, 4), 4.26),
        (cpuinfo("GenuineIntel", 6, 0x55, 7), 3.97),
        (cpuinfo("GenuineIntel", 6, 0x8F), 3.5),
        ("", 3.5),
    ],
)
def test_the_table_by_cpu_family(text: str, watts: float) -> None:
    assert table_watts(text)[0] == watts


def test_joules_are_cpu_seconds_times_watts_and_the_memory_held() -> None:
    clock = ScriptedClock()
    counter = Estimate().open("cpu", clock)
    start = counter.read()
    clock.work(2.0)
    clock.wait(5.0)
    expected = 2 * (counter.watts + MEMORY_WATTS * counter.memory)
    assert counter.joules(start, counter.read()) == pytest.approx(expected)
    assert counter.memory > 0
    assert (counter.grade, counter.source, counter.scope) == ("estimated", "cpu_time", "process")


def test_your_own_watts_are_all_there_is() -> None:
    clock = ScriptedClock()
    counter = Estimate(watts_per_core=7.0).open("cpu", clock)
    start = counter.read()
    clock.work(3.0)
    assert counter.joules(start, counter.read()) == pytest.approx(21)
    assert counter.details()["watts_from"] == "yours"


def test_a_calibration_file_of_a_twin_machine(tmp_path: Path) -> None:
    path = tmp_path / "twin.json"
    path.write_text(json.dumps({"watts_per_core": 5.5, "device": "a twin", "measured": "rapl"}))
    counter = Estimate(calibration_file=str(path)).open("cpu", ScriptedClock())
    assert counter.watts == 5.5
    assert counter.memory_watts == 0
    assert counter.grade == "estimated"


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (None, "cannot read"),
        ("{", "is not JSON"),
        ("{}", "no usable watts_per_core"),
        ('{"watts_per_core": 0}', "no usable watts_per_core"),
        ("[]", "no usable watts_per_core"),
    ],
)
def test_a_bad_calibration_file_is_named(
    tmp_path: Path, content: str | None, complaint: str
) -> None:
    path = tmp_path / "twin.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UserError, match=complaint) as error:
        Estimate(calibration_file=str(path)).open("cpu", ScriptedClock())
    assert str(path) in str(error.value)
    assert len(error.value.problems) == 1


def test_cpu_time_that_goes_backwards_is_an_error() -> None:
    counter = Estimate().open("cpu", ScriptedClock())
    with pytest.raises(CounterError, match="backwards"):
        counter.joules(2.0, 1.0)


def test_it_knows_nothing_of_a_gpu() -> None:
    with pytest.raises(CounterError, match="CPU time only"):
        Estimate().open("cuda:0", ScriptedClock())
