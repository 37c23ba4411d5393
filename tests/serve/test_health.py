"""``/health``: an answer in time, and nothing that others wait for is taken up by those who ask."""

from __future__ import annotations

import asyncio
import threading
import time

from starlette.testclient import TestClient

from pareto_prune.serve import _health, _server
from pareto_prune.serve._app import make_app
from pareto_prune.serve._health import FRESH_SECONDS, Health
from pareto_prune.storage import open_storage
from pareto_prune.storage.database import Database
from pareto_prune.storage.studies import Storage
from pareto_prune.storage.url import checked
from tests.storage.scripted import study_config

TOKEN = "a token that is long enough"


class Scripted:
    """Answers when it is let."""

    def __init__(self) -> None:
        self.asked = 0
        self.let = threading.Event()
        self.says = True

    def answers(self) -> bool:
        self.asked += 1
        self.let.wait(30)
        return self.says


async def many(health: Health, count: int) -> list[int]:
    answers = await asyncio.gather(*(health.respond(None) for _ in range(count)))
    return [answer.status_code for answer in answers]


def test_however_many_ask_the_storage_is_asked_once(monkeypatch):
    monkeypatch.setattr(_health, "PATIENCE_SECONDS", 0.1)
    storage, now = Scripted(), [0.0]
    health = Health(storage.answers, lambda: now[0])
    before = threading.active_count()
    assert asyncio.run(many(health, 200)) == [503] * 200
    assert (storage.asked, threading.active_count() - before) == (1, 1)
    now[0] += 60
    assert asyncio.run(many(health, 1)) == [503]
    assert storage.asked == 1
    storage.let.set()
    assert health._probe is not None
    assert health._probe.result(10) is True
    assert asyncio.run(many(health, 2)) == [200, 200]


def test_an_answer_holds_for_a_moment():
    storage, now = Scripted(), [0.0]
    storage.let.set()
    health = Health(storage.answers, lambda: now[0])
    assert asyncio.run(many(health, 3)) == [200] * 3
    storage.says = False
    now[0] += FRESH_SECONDS
    assert asyncio.run(many(health, 3)) == [200] * 3
    now[0] += 0.1
    assert asyncio.run(many(health, 3)) == [503] * 3
    assert storage.asked == 2


def test_what_fails_in_an_odd_way_does_not_answer():
    def fails() -> bool:
        raise RuntimeError("odd")

    assert asyncio.run(many(Health(fails), 2)) == [503, 503]


def test_who_gives_up_ends_it_for_nobody_else(monkeypatch):
    storage = Scripted()
    health = Health(storage.answers)

    async def given_up() -> int:
        first = asyncio.ensure_future(health.respond(None))
        await asyncio.sleep(0.05)
        first.cancel()
        second = asyncio.ensure_future(health.respond(None))
        await asyncio.sleep(0.05)
        storage.let.set()
        return (await second).status_code

    assert asyncio.run(given_up()) == 200
    assert storage.asked == 1


def test_a_database_that_is_away_is_said_at_once_and_holds_nobody_up():
    away = Storage(Database(checked("postgresql://u@127.0.0.1:1/x"), patience=8.0))
    away._prepared = True
    with TestClient(make_app(away, None), base_url="http://127.0.0.1") as client:
        began = time.monotonic()
        assert client.get("/health").status_code == 503
        assert time.monotonic() - began < _health.PATIENCE_SECONDS + 3 < 8


def test_a_database_that_comes_back_is_healthy(tmp_path):
    path = tmp_path / "study.db"
    storage = open_storage(f"sqlite:///{path}")
    assert storage.answers()
    assert not path.exists()
    storage.create(study_config())
    assert storage.answers()
    path.rename(tmp_path / "away.db")
    path.mkdir()
    storage.close()
    assert not storage.answers()
    path.rmdir()
    (tmp_path / "away.db").rename(path)
    assert storage.answers()


def test_a_server_does_not_wait_long_for_its_database(tmp_path):
    opened = _server._opened(f"sqlite:///{tmp_path}/study.db")
    assert opened._database._patience == 2.0
