"""The learning rate that a study's models bear: how it is chosen, and that it is used."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pareto_prune.core.errors import TrialError
from pareto_prune.core.progress import Silent
from pareto_prune.running.study_file import read_study
from pareto_prune.trials import rate
from pareto_prune.trials.bench import Bench, prepare
from pareto_prune.trials.context import context_of
from pareto_prune.trials.rate import SHARES, best, with_rate
from pareto_prune.trials.timings import Timings
from tests.small_study import make_study


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


@pytest.mark.slow
class TestInAStudy:
    @pytest.fixture(autouse=True)
    def own_cache(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))

    def bench(self, folder: Path, rates: list[float], **finetune: Any) -> Bench:
        study = make_study(
            folder,
            measure={"engine": "eager"},
            search={"learning_rate": rates},
            finetune={"steps": 20, "by_size": True, "find_rate": True, **finetune},
        )
        return prepare(read_study(study), folder / "out", Silent())

    def test_a_rate_that_ruins_is_lowered_and_used(self, tmp_path: Path) -> None:
        bench = with_rate(self.bench(tmp_path, [3.0, 3.0]))
        assert bench.rate < 1.0
        trial = context_of(bench, bench.whole, rate._candidate(bench), 1, lambda: None, Timings())
        assert trial._settings().learning_rate == pytest.approx(3.0 * bench.rate)

    def test_it_is_tested_once_a_host(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        bench = self.bench(tmp_path, [1e-3, 1e-3])
        first = with_rate(bench).rate
        monkeypatch.setattr(rate, "_tested", lambda *_: pytest.fail("tested again"))
        assert with_rate(bench).rate == first

    def test_the_dense_model_stays_as_it_is(self, tmp_path: Path) -> None:
        bench = self.bench(tmp_path, [1e-3, 1e-3])
        before = [parameter.clone() for parameter in bench.whole.dense.model.parameters()]
        with_rate(bench)
        after = bench.whole.dense.model.parameters()
        assert all((a == b).all() for a, b in zip(before, after, strict=True))

    def test_a_model_that_cannot_be_made_leaves_the_rate(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refused(*_: Any) -> Any:
            raise TrialError("odd", "because")

        monkeypatch.setattr(rate, "prune_candidate", refused)
        assert with_rate(self.bench(tmp_path, [1e-3, 1e-3])).rate == 1.0

    @pytest.mark.parametrize("finetune", [{"find_rate": False}, {"steps": 0}])
    def test_studies_without(self, tmp_path: Path, finetune: dict[str, Any]) -> None:
        bench = self.bench(tmp_path, [3.0, 3.0], **finetune)
        assert with_rate(bench) is bench
