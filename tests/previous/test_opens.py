"""What version 0.1.0 wrote opens as it did: a study, its models, exported folders, the cache.

The files beside this one were written by that version: the study of `small.toml` with scripted
costs, six trials, and exports of its trial 2. They are never written anew.
"""

from __future__ import annotations

import itertools
import json
import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import pareto_prune
from pareto_prune import api
from pareto_prune.results import tables
from pareto_prune.trials import bench
from tests.small_study import ScriptedMeasurer

HERE = Path(__file__).parent
EXPECTED = json.loads((HERE / "expected.json").read_text(encoding="utf-8"))
RUNS = pytest.mark.slow
MADE_ANEW = ("calibration", "costs", "encoded")


@pytest.fixture
def old(tmp_path, monkeypatch):
    """A copy of what the version before left, in the working folder; its database's URL."""
    for name in ("cache", "exported", "exported-onnx", "model"):
        shutil.copytree(HERE / name, tmp_path / name)
    shutil.copytree(HERE / "models", tmp_path / "pareto_prune_output" / "small")
    for name in ("data.csv", "small.toml", "studies.sqlite"):
        shutil.copy(HERE / name, tmp_path / name)
    _lives_at(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PARETO_PRUNE_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(bench, "_measurer", lambda _c, dense, *_: ScriptedMeasurer(dense.model))
    return "sqlite:///studies.sqlite"


def _lives_at(folder: Path) -> None:
    """Tell the study that its models are in ``folder``, as if it had run there."""
    with sqlite3.connect(folder / "studies.sqlite") as database:
        where = str(folder / "pareto_prune_output" / "small")
        changed = database.execute("update pareto_studies set artifacts = ?", (where,))
        assert changed.rowcount == 1


def test_a_study_has_the_same_front(old):
    found = json.loads(tables.front_json(api.front("small", old, every=True)))
    then = EXPECTED["front"] | {"recommended": None}
    assert found["doubts"][0].startswith("24 validation examples tell the accuracy to ± ")
    for was in [*then["trials"], *then["references"]]:
        _narrowed(was, next(now for now in _points(found) if _key(now) == _key(was)))
    assert 0 < found["hypervolume"] < found["hypervolume_v1"]
    found["hypervolume"] = found["hypervolume_v1"]
    assert _of_then(found, then) == then


def _points(front: Any) -> Any:
    return [*front["trials"], *front["references"]]


def _key(point: Any) -> Any:
    return point.get("number", point.get("name"))


def _narrowed(was: Any, now: Any) -> None:
    """Put what was the interval of a cost, in one run, in place of what holds for a second run."""
    for name, (low, high) in was["intervals"].items():
        wide = now["intervals"][name]
        assert wide[0] <= low <= high <= wide[1]
        now["intervals"][name] = [low, high]


def _of_then(found: Any, expected: Any) -> Any:
    """Return what is found under the keys that there were then; the front may tell more now."""
    if isinstance(expected, dict):
        return {key: _of_then(found[key], value) for key, value in expected.items()}
    if isinstance(expected, list):
        pairs = itertools.zip_longest(found, expected)
        return [_of_then(one, other) for one, other in pairs]
    return found


def test_an_exported_model_gives_the_same_logits(old):
    ids = torch.tensor([EXPECTED["input_ids"]])
    with torch.no_grad():
        found = pareto_prune.load("exported")(input_ids=ids, attention_mask=torch.ones_like(ids))
    np.testing.assert_allclose(found.logits[0].numpy(), EXPECTED["logits"], atol=1e-5)


@pytest.mark.parametrize("folder", ["exported", "exported-onnx"])
def test_an_exported_folder_predicts(old, folder):
    from pareto_prune.export.deployed.predict import predict

    answers = list(predict(folder, ["the film was good", "the plot was bad"]))
    assert len(answers) == 2


@RUNS
def test_a_study_goes_on_with_the_models_and_the_cache_that_are_there(old, tmp_path):
    before = _entries(tmp_path / "cache")
    config = (tmp_path / "small.toml").read_text(encoding="utf-8")
    (tmp_path / "small.toml").write_text(config.replace("trials = 6", "trials = 7"))
    outcome = api.run("small.toml", old)
    assert outcome.stopped_by is None
    assert len(api.front("small", old, every=True).trials) == 7
    assert _entries(tmp_path / "cache") == before


def _entries(cache: Path) -> set[str]:
    """Return what is cached, less what code that changes it is part of the key of."""
    return {
        str(path.relative_to(cache))
        for path in cache.rglob("*")
        if path.is_file() and path.suffix != ".lock" and path.parent.name not in MADE_ANEW
    }
