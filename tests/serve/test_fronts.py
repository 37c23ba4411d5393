"""What the service reads and keeps: once for what is asked, and no more than is looked at."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from pareto_prune.serve._app import make_app
from pareto_prune.serve._fronts import MOST_PAGES, Fronts
from pareto_prune.storage import Storage, StoredStudy, open_storage
from tests.storage.scripted import study_config

NAMES = [f"study-{index:02}" for index in range(MOST_PAGES + 3)]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    url = f"sqlite:///{tmp_path_factory.mktemp('fronts')}/study.db"
    for name in NAMES:
        open_storage(url).create(study_config(name))
    return url


@pytest.fixture
def counted(monkeypatch):
    """How often the trials of all studies, and of one, were counted."""
    found = {"all": 0, "one": 0}

    def counting(kind, method, name):
        def count(self):
            found[name] += 1
            return method(self)

        monkeypatch.setattr(kind, method.__name__, count)

    counting(Storage, Storage.studies, "all")
    counting(StoredStudy, StoredStudy.counts, "one")
    return found


@pytest.mark.parametrize(
    "path", ["/", "/metrics", "/studies/study-03/status.json", "/studies/study-03/version.json"]
)
def test_trials_are_counted_once_a_request(url, counted, path):
    with TestClient(make_app(open_storage(url), None), base_url="http://127.0.0.1") as client:
        client.get(path)
        counted.update(all=0, one=0)
        answer = client.get(path)
    assert answer.status_code == 200
    assert counted == {"all": 1, "one": 0}
    if path in ("/", "/metrics"):
        assert all(name in answer.text for name in NAMES)


def test_only_the_pages_looked_at_last_are_kept(url):
    fronts = Fronts(open_storage(url))
    first = fronts.page(NAMES[0])
    for name in NAMES[1:MOST_PAGES]:
        fronts.page(name)
    assert fronts.page(NAMES[0]) is first
    for name in NAMES[MOST_PAGES:]:
        fronts.page(name)
    assert len(fronts._pages) == MOST_PAGES
    assert fronts.page(NAMES[0]) is first
    kept = {entry.stored.name for entry in fronts._pages}
    assert NAMES[1] not in kept
    assert fronts.page(NAMES[1]).content
    fronts.close()


def test_starting_makes_no_more_pages_than_are_kept(url):
    fronts = Fronts(open_storage(url))
    fronts._warm()
    fronts._pool.shutdown(wait=True)
    assert {entry.stored.name for entry in fronts._pages} == set(NAMES[-MOST_PAGES:])
    assert all(entry.shown is not None for entry in fronts._entries.values())


def test_a_study_that_is_gone_leaves_nothing(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    storage = open_storage(url)
    for name in NAMES[:2]:
        storage.create(study_config(name))
    fronts = Fronts(storage)
    pages = [fronts.page(name) for name in NAMES[:2]]
    storage.delete(NAMES[0])
    assert [stored.name for stored, _ in fronts.all_newest()] == [NAMES[1]]
    assert list(fronts._pages.values()) == pages[1:]
    storage.delete(NAMES[1])
    storage.create(study_config(NAMES[1]))
    assert fronts.page(NAMES[1]) is not pages[1]
    assert len(fronts._pages) == 1
    fronts.close()
