"""What a run would do, told before it does."""

from __future__ import annotations

import pytest

from pareto_prune.running.dry_run import estimate
from pareto_prune.running.study_file import read_study
from tests.small_study import make_study
from tests.tiny import tiny_model


@pytest.fixture(autouse=True)
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("names", "there"), [(("neg", "pos"), True), (("NEGATIVE", "POSITIVE"), False)]
)
def test_a_head_of_other_classes_is_not_there_already(tmp_path, names, there):
    path = make_study(tmp_path)
    model = tiny_model(labels=2)
    model.config.id2label = dict(enumerate(names))
    model.config.label2id = {name: index for index, name in enumerate(names)}
    model.save_pretrained(tmp_path / "model")
    found = estimate(read_study(path), f"sqlite:///{tmp_path / 's.db'}", tmp_path)
    assert (found.dense_seconds == 0) is there
    assert ("there already" in str(found)) is there


def test_promotions_and_the_test_of_the_rate_are_in_it(tmp_path):
    storage = f"sqlite:///{tmp_path / 's.db'}"

    def found(**tables):
        tables["finetune"] = {"steps": 3, "by_size": False} | tables.get("finetune", {})
        return estimate(read_study(make_study(tmp_path, **tables)), storage, tmp_path)

    both = found(finetune={"find_rate": True})
    assert both.rate_seconds > 0
    assert both.promotion_seconds > 0
    needed = both.left * (both.trial_seconds + both.promotion_seconds)
    assert both.total == pytest.approx(both.dense_seconds + both.rate_seconds + needed)
    assert "rate test" in str(both)
    assert "train further" in str(both)
    neither = found(promotion={"enabled": False})
    assert (neither.rate_seconds, neither.promotion_seconds) == (0, 0)
    assert "rate test" not in str(neither)
    assert "train further" not in str(neither)
