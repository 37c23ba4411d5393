"""What every meter promises, and how one is chosen."""

import sys

import pytest

from pareto_prune.core.config import MeasureTable
from pareto_prune.core.errors import UnknownNameError, UserError
from pareto_prune.measure.energy import Counter, choose, meters
from pareto_prune.measure.energy.rapl import ROOT_VARIABLE
from tests.measure.scripted import ScriptedClock
from tests.measure.test_rapl import tree as tree
from tests.measure.test_rapl import zone


@pytest.fixture(autouse=True)
def no_nvidia_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    import pynvml

    monkeypatch.setattr(pynvml, "nvmlLib", None)
    monkeypatch.setattr(pynvml, "CDLL", _absent)


def _absent(name: str) -> None:
    raise OSError(f"{name}: cannot open shared object file")


@pytest.mark.parametrize("name", meters.names())
def test_each_says_in_one_line_why_it_cannot_be_used(name: str, tree: object) -> None:
    reason = meters.member(name).why_not()  # type: ignore[attr-defined]
    assert reason is None or (reason and "\n" not in reason)
    if name != "estimate":
        assert "would change that" in str(reason)


@pytest.mark.parametrize("name", meters.names())
def test_each_has_a_summary_and_a_rank(name: str) -> None:
    member = meters.member(name)
    assert member.__doc__
    assert member.rank  # type: ignore[attr-defined]


def test_auto_takes_the_best_that_works(tree: object, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = choose(MeasureTable(), "cpu", ScriptedClock())
    assert chosen.name == "estimate"
    assert set(chosen.reasons) == {"nvml", "rapl"}
    zone(tree / "intel-rapl:0", "package-0")  # type: ignore[operator]
    assert choose(MeasureTable(), "cpu", ScriptedClock()).name == "rapl"


def test_nothing_works_on_a_gpu_without_a_driver() -> None:
    chosen = choose(MeasureTable(), "cuda:0", ScriptedClock())
    assert chosen.counter is None
    assert "libnvidia-ml.so.1" in chosen.reason
    assert "CPU time only" in chosen.reason


def test_an_estimate_is_refused_where_measured_is_required(tree: object) -> None:
    with pytest.raises(UserError) as error:
        choose(MeasureTable(require_measured=True), "cpu", ScriptedClock())
    text = str(error.value)
    assert text.startswith("measure.require_measured: estimate gives estimated joules")
    assert "no RAPL zone" in text
    assert "\n" not in text


def test_the_one_asked_for_or_none() -> None:
    with pytest.raises(UserError, match=r"^measure\.meter: nvml cannot be used: it counts NVIDIA"):
        choose(MeasureTable(meter="nvml"), "cpu", ScriptedClock())
    with pytest.raises(UnknownNameError, match="did you mean 'rapl'"):
        choose(MeasureTable(meter="rap1"), "cpu", ScriptedClock())


def test_your_watts_reach_the_estimate(tree: object) -> None:
    chosen = choose(MeasureTable(watts_per_core=9.0), "cpu", ScriptedClock())
    counter: Counter | None = chosen.counter
    assert counter is not None
    assert counter.details()["watts"] == "9 W/core"


def test_listing_meters_loads_no_gpu_library(monkeypatch: pytest.MonkeyPatch) -> None:
    import subprocess

    code = (
        "import sys; from pareto_prune.measure.energy import meters; meters.names(); "
        "sys.exit('pynvml' in sys.modules or 'torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert ROOT_VARIABLE.startswith("PARETO_PRUNE_")
