import json
from pathlib import Path

import pytest

from pareto_prune.core.errors import UserError
from pareto_prune.measure.energy import CounterError
from pareto_prune.measure.energy.estimate import MEMORY_WATTS, Estimate, table_watts
from pareto_prune.measure.energy.watts import _TABLE
from tests.measure.scripted import ScriptedClock


def cpuinfo(vendor: str, family: int, model: int, stepping: int = 0) -> str:
    return (
        f"processor\t: 0\nvendor_id\t: {vendor}\ncpu family\t: {family}\nmodel\t\t: {model}\n"
        f"model name\t: Some CPU\nstepping\t: {stepping}\n\n"
    )


def arm(implementer: int, part: int) -> str:
    return (
        "processor\t: 0\nBogoMIPS\t: 243.75\nFeatures\t: fp asimd\n"
        f"CPU implementer\t: {implementer:#x}\nCPU architecture: 8\nCPU variant\t: 0x3\n"
        f"CPU part\t: {part:#x}\nCPU revision\t: 1\n\n"
    )


AMD, INTEL = "AuthenticAMD", "GenuineIntel"


@pytest.mark.parametrize(
    ("text", "watts", "source"),
    [
        (cpuinfo(AMD, 23, 0x01), 2.55, "EPYC 1st Gen"),
        (cpuinfo(AMD, 23, 0x31), 1.69, "EPYC 2nd Gen"),
        (cpuinfo(AMD, 25, 0x01), 2.02, "EPYC 3rd Gen"),
        (cpuinfo(AMD, 25, 0x11), 2.28, "EPYC 4th Gen"),
        (cpuinfo(AMD, 25, 0xA0), 2.28, "EPYC 4th Gen"),
        (cpuinfo(AMD, 26, 0x02), 2.15, "EPYC 9755: 500 W over 256 threads × 1.1"),
        (cpuinfo(AMD, 26, 0x11), 1.04, "EPYC 9965"),
        (cpuinfo(AMD, 25, 0x21), 3.61, "5950X"),
        (cpuinfo(AMD, 25, 0x44), 3.09, "6800H"),
        (cpuinfo(AMD, 25, 0x50), 3.09, "5800H"),
        (cpuinfo(AMD, 25, 0x61), 5.84, "7950X"),
        (cpuinfo(AMD, 25, 0x75), 3.09, "8845HS"),
        (cpuinfo(AMD, 26, 0x24), 1.28, "HX 370"),
        (cpuinfo(AMD, 26, 0x44), 5.84, "9950X"),
        (cpuinfo(AMD, 26, 0x60), 1.93, "AI 7 350"),
        (cpuinfo(AMD, 26, 0x70), 1.89, "Max+ 395"),
        (cpuinfo(INTEL, 6, 0x55, 4), 4.26, "Skylake"),
        (cpuinfo(INTEL, 6, 0x55, 7), 3.97, "Cascade Lake"),
        (cpuinfo(INTEL, 6, 0x6A, 6), 3.76, "Ice Lake"),
        (cpuinfo(INTEL, 6, 0x8F, 8), 4.16, "Sapphire Rapids"),
        (cpuinfo(INTEL, 6, 0xCF, 2), 4.48, "Emerald Rapids"),
        (cpuinfo(INTEL, 6, 0xAD, 1), 2.53, "Granite Rapids"),
        (cpuinfo(INTEL, 6, 0xAF, 3), 2.52, "6780E"),
        (arm(0x41, 0xD0C), 1.71, "Neoverse N1"),
        (arm(0x41, 0xD40), 1.69, "Graviton 3"),
        (arm(0x41, 0xD4F), 1.69, "Graviton 4"),
        (arm(0x61, 0x22), 5.9, "Mac mini"),
        ("model name : Apple M3 Pro\n", 5.9, "Mac mini"),
    ],
)
def test_the_table_by_processor(text: str, watts: float, source: str) -> None:
    found = table_watts(text)
    assert found[0] == watts
    assert source in found[1]


@pytest.mark.parametrize(
    ("text", "named"),
    [
        (cpuinfo(AMD, 27, 0x01), "Some CPU (family 27 model 1)"),
        (cpuinfo(INTEL, 6, 0x55, 11), "Some CPU (family 6 model 85)"),
        (arm(0x41, 0xD08), "a CPU (implementer 0x41 part 0xd08)"),
        ("model name : Odd\n", "Odd"),
        ("", "this CPU"),
    ],
)
def test_an_unknown_processor_is_named_with_what_to_do(text: str, named: str) -> None:
    assert table_watts(text) == (
        3.5,
        f"no table entry for {named}, "
        "allowed: measure.watts_per_core, or a calibration_file from a twin with a meter",
    )


def test_no_processor_has_two_rows() -> None:
    seen = [
        (vendor, family, model, stepping)
        for vendor, family, models, steppings, _ in _TABLE
        for model in models
        for stepping in steppings
    ]
    assert len(seen) == len(set(seen))


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
