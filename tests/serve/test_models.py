"""Models that are kept elsewhere: copied once for all who download them, a few at a time."""

from __future__ import annotations

import gc
import io
import tempfile
import threading
import zipfile
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from pareto_prune.core.errors import UserError
from pareto_prune.export.kept_models import store
from pareto_prune.serve import _models
from pareto_prune.serve._app import make_app
from pareto_prune.serve._models import MOST_COPIES, BusyError, Models
from pareto_prune.storage import open_storage
from tests.serve import served


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    """A study whose models are in a file system that is no folder of this host."""
    folder = tmp_path_factory.mktemp("away")
    return served.make(folder, "memory://kept")[0]


@pytest.fixture
def study(url):
    return open_storage(url).open_study("scripted").read()


@pytest.fixture
def copied(monkeypatch, tmp_path) -> list[str]:
    """The places that are copied from; copies lie in the test's own folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    places: list[str] = []
    get = store.get_folder

    def counting(place: str, folder: Path) -> None:
        places.append(place)
        get(place, folder)

    monkeypatch.setattr(store, "get_folder", counting)
    return places


def lying(folder: Path) -> int:
    gc.collect()
    return len(list(folder.glob("*/model")))


def test_a_model_is_copied_once_and_what_it_takes_is_bounded(url, copied, tmp_path):
    with TestClient(make_app(open_storage(url), None), base_url="http://127.0.0.1") as client:
        for number in (0, 0, 1, 0, 2, 3):
            path = f"/studies/scripted/trials/{number}/model.zip"
            assert client.head(path).status_code == 200
            answer = client.get(path)
            with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
                assert packed.testzip() is None
            assert lying(tmp_path) <= MOST_COPIES
        names = [place.rpartition("/")[2].partition("-")[0] for place in copied]
        assert names == ["0", "1", "2", "3"]
    assert lying(tmp_path) == 0


def test_what_is_looked_at_only_is_not_copied(url, copied):
    with TestClient(make_app(open_storage(url), None), base_url="http://127.0.0.1") as client:
        answer = client.head("/studies/scripted/trials/0/model.zip")
        assert answer.headers["content-disposition"] == 'attachment; filename="scripted-0.zip"'
        assert client.head("/studies/scripted/trials/99/model.zip").status_code == 404
    assert copied == []


def test_several_at_once_share_a_copy(study, copied):
    models, folders = Models(), set()
    together = threading.Barrier(4)

    def download() -> None:
        with models.held(study, 0) as (folder, _):
            folders.add(folder)
            together.wait(30)

    threads = [threading.Thread(target=download) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert (len(copied), len(folders)) == (1, 1)
    models.close()
    assert not folders.pop().exists()


def test_another_one_waits_for_its_turn(url, study, copied, monkeypatch):
    models = Models()
    held = [models.held(study, number) for number in (0, 1, 0)]
    with held[0], held[1], held[2], pytest.raises(BusyError, match="2 other models"):
        models.held(study, 2).__enter__()
    with models.held(study, 2):
        pass
    models.close()
    monkeypatch.setattr(_models, "MOST_COPIES", 0)
    with TestClient(make_app(open_storage(url), None), base_url="http://127.0.0.1") as client:
        assert client.get("/studies/scripted/trials/0/model.zip").status_code == 503


def test_a_copy_that_failed_takes_no_place(study, copied, monkeypatch):
    models = Models()
    monkeypatch.setattr(store, "folder_digest", lambda _: "another")
    for number in range(MOST_COPIES + 1):
        with pytest.raises(UserError, match="is damaged"), models.held(study, number):
            pass
    assert models._copies == {}
