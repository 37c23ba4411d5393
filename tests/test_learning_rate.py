"""The learning rate that a study's models bear: how it is chosen, and that it is used."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.core import cache_entries
from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import TrialError
from pareto_prune.core.progress import Silent
from pareto_prune.running.study_file import read_study
from pareto_prune.trials import bench, rate
from pareto_prune.trials.bench import Bench, prepare
from pareto_prune.trials.context import context_of
from pareto_prune.trials.rate import SHARES, best, with_rate
from pareto_prune.trials.reference import measured_reference
from pareto_prune.trials.timings import Timings
from tests.small_study import ScriptedMeasurer, make_study


def chosen(before: float, *losses: float) -> tuple[float, int]:
    """Return the share chosen, and how many were tried, where losses fall to these."""
    seen: list[float] = []

    def loss_at(share: float) -> float:
        seen.append(share)
        return losses[len(seen) - 1]

    return best(before, loss_at), len(seen)


def test_the_highest_rate_stays_where_less_is_no_better() -> None:
    assert chosen(0.5, 0.40, 0.42) == (1.0, 2)
    assert chosen(0.5, 0.40, 0.39) == (1.0, 2)


def test_it_is_halved_while_that_is_clearly_better() -> None:
    assert chosen(0.5, 0.40, 0.35, 0.34) == (0.5, 3)
    assert chosen(0.5, 0.48, 0.40, 0.30, 0.29) == (0.25, 4)


def test_what_ruins_the_model_is_passed_by() -> None:
    """At both of the highest rates the loss is that of chance: alike, and no reason to stay."""
    assert chosen(0.4, 0.69, 0.69, 0.35, 0.36) == (0.25, 4)
    assert chosen(0.4, math.inf, math.nan, 0.39, 0.38) == (0.25, 4)
    assert chosen(0.4, 0.69, 0.68, 0.67, 0.66, 0.65) == (SHARES[-1], 5)
    assert chosen(0.4, *[math.inf] * 5) == (SHARES[-1], 5)


@given(st.floats(0.1, 2.0), st.lists(st.floats(0.0, 3.0), min_size=5, max_size=5))
def test_never_worse_than_the_full_rate(before: float, losses: list[float]) -> None:
    found, _ = chosen(before, *losses)
    assert losses[SHARES.index(found)] <= losses[0]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Bench:
    """A bench of a study whose rate ruins models."""
    folder = tmp_path_factory.mktemp("rate")
    finetune = {"steps": 20, "by_size": True, "find_rate": True}
    file = make_study(folder, search={"learning_rate": [3.0, 3.0]}, finetune=finetune)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PARETO_PRUNE_CACHE", str(folder / "cache"))
        patch.setattr(bench, "_measurer", lambda _c, dense, *_: ScriptedMeasurer(dense.model))
        return prepare(read_study(file), folder / "out", Silent())


def changed(made: Bench, **tables: dict[str, Any]) -> Bench:
    """Return the bench of a study with other settings."""
    content = made.config.to_json()
    content |= {name: content[name] | table for name, table in tables.items()}
    return replace(made, config=StudyConfig.from_json(content))


class Told(Silent):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.stages: list[str] = []
        self.notes: list[str] = []

    def stage(self, name: str, total: int | None = None) -> None:
        self.stages.append(f"{name} {total}")

    def note(self, text: str) -> None:
        self.notes.append(text)


@pytest.mark.slow
class TestInAStudy:
    @pytest.fixture(autouse=True)
    def own_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))

    def test_a_rate_that_ruins_is_lowered_and_used(self, made: Bench) -> None:
        """The dense model stays as it is; what is shown are the rates, not the stages of trials."""
        told = Told()
        before = [parameter.clone() for parameter in made.whole.dense.model.parameters()]
        found = with_rate(replace(made, progress=told))
        assert found.rate < 1.0
        trial = context_of(found, found.whole, rate._candidate(found), 1, lambda: None, Timings())
        assert trial._settings().learning_rate == pytest.approx(3.0 * found.rate)
        after = made.whole.dense.model.parameters()
        assert all((a == b).all() for a, b in zip(before, after, strict=True))
        assert told.stages[:3] == [
            "learning rate None",
            "learning rate × 1 20",
            "learning rate × 0.5 20",
        ]
        assert all(stage.startswith("learning rate") for stage in told.stages)
        assert len(told.notes) == 1
        assert measured_reference(found).rate == found.rate

    @pytest.mark.parametrize("steps", [1, 20])
    def test_it_is_tested_once_a_host(
        self, made: Bench, steps: int, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """What is damaged is made again."""
        bench = changed(made, finetune={"steps": steps}, search={"learning_rate": [1e-3, 1e-3]})
        first, tested = with_rate(bench).rate, rate._tested
        monkeypatch.setattr(rate, "_tested", lambda *_: pytest.fail("tested again"))
        assert with_rate(bench).rate == first
        entry = cache_entries.calibration("rate", rate._key(bench, steps))
        entry.write_bytes(entry.read_bytes()[:-3])
        monkeypatch.setattr(rate, "_tested", tested)
        assert with_rate(bench).rate == first

    def test_a_model_that_cannot_be_made_leaves_the_rate(
        self, made: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: Any) -> Any:
            raise TrialError("odd", "because")

        monkeypatch.setattr(rate, "prune_candidate", refused)
        assert with_rate(made).rate == 1.0

    @pytest.mark.parametrize("finetune", [{"find_rate": False}, {"steps": 0}])
    def test_studies_without(self, made: Bench, finetune: dict[str, Any]) -> None:
        bench = changed(made, finetune=finetune)
        assert with_rate(bench) is bench
