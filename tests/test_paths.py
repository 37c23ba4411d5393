"""What a study file names by a path is found from any working folder."""

from __future__ import annotations

import pytest

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.paths import public_name, with_absolute_paths
from pareto_prune.storage import open_storage


def study(model="model", data="data.csv"):
    return StudyConfig(name="s", model={"path": model}, data={"path": data})


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "data.csv").touch()
    return tmp_path


def test_what_is_there_is_named_from_the_root(here):
    found = with_absolute_paths(study())
    assert (found.model.path, found.data.path) == (f"{here}/model", f"{here}/data.csv")
    assert with_absolute_paths(found) == found


@pytest.mark.parametrize("path", ["bert-base-uncased", "glue/sst2", "demo:minilm-l6", "gone.csv"])
def test_what_is_not_there_stays_as_it_is(here, path):
    assert with_absolute_paths(study(path, path)) == study(path, path)


def test_a_study_of_relative_paths_goes_on_from_its_folder(here, tmp_path, monkeypatch):
    """As an earlier version wrote it; its configuration names the files from the root then."""
    storage = open_storage(f"sqlite:///{here}/s.db")
    storage.create(study())
    stored = storage.create(with_absolute_paths(study()))
    assert stored.config.data.path == f"{here}/data.csv"


def test_others_read_names_only(here):
    assert public_name(f"{here}/data.csv") == public_name("data.csv") == "data.csv"
    assert public_name("~/models/mine") == "mine"
    assert public_name("google-bert/bert-base-uncased") == "google-bert/bert-base-uncased"
    assert public_name("demo:reviews") == "demo:reviews"
