"""Tables that two make at once, the first of whom does not get to the end."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import MetaData, event

from pareto_prune.storage import open_storage, schema, server
from tests.storage.postgres import Server
from tests.storage.scripted import study_config


def made(url: str, names: list[str]) -> None:
    storage = open_storage(url, patience=30)
    names.append(storage.create(study_config()).name)
    storage.close()


@contextmanager
def stopped_in(
    metadata: MetaData, first: str, goes_on: threading.Event
) -> Iterator[threading.Event]:
    """Stop the thread ``first`` when it has made tables, before it commits them."""
    inside = threading.Event()

    def stop(*_: object, **__: object) -> None:
        if threading.current_thread().name == first and not inside.is_set():
            inside.set()
            goes_on.wait(timeout=120)

    event.listen(metadata, "after_create", stop)
    try:
        yield inside
    finally:
        goes_on.set()
        event.remove(metadata, "after_create", stop)


@pytest.mark.slow
@pytest.mark.parametrize("whose", ["optuna", "ours"])
def test_who_is_stopped_while_it_makes_the_tables_holds_nobody_up(
    postgres: Server, monkeypatch: pytest.MonkeyPatch, whose: str
) -> None:
    from optuna.storages._rdb.models import BaseModel

    monkeypatch.setattr(server, "STATEMENT_SECONDS", 1)
    url = postgres.database(f"stopped_{whose}")
    metadata = BaseModel.metadata if whose == "optuna" else schema.metadata
    names: list[str] = []
    threads = [threading.Thread(target=made, args=(url, names), name=n) for n in ("first", "next")]
    goes_on = threading.Event()
    with stopped_in(metadata, "first", goes_on) as inside:
        threads[0].start()
        assert inside.wait(timeout=60)
        threads[1].start()
        threads[1].join(timeout=60)
        assert names == ["scripted"]
        goes_on.set()
        threads[0].join(timeout=60)
    assert names == ["scripted"] * 2
    storage = open_storage(url)
    assert [study.name for study in storage.studies()] == ["scripted"]
    storage.close()
