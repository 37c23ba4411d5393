"""Orders over HTTP: only under a token, and from a browser only by a form of our own page."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.testclient import TestClient

from pareto_prune.core.study_state import StudyState
from pareto_prune.serve._app import make_app
from pareto_prune.storage import Storage, open_storage
from tests.storage.scripted import study_config

TOKEN = "correct horse battery staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PAUSE = "/api/v1/studies/scripted/pause"


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    opened = open_storage(f"sqlite:///{tmp_path / 'study.db'}")
    opened.create(study_config())
    return opened


@pytest.fixture
def client(storage: Storage):
    with TestClient(make_app(storage, TOKEN), follow_redirects=False) as started:
        yield started


def state(storage: Storage) -> StudyState:
    return storage.open_study("scripted").state


def test_each_order_is_taken_with_the_token(client: TestClient, storage: Storage) -> None:
    states = {"pause": "paused", "resume": "open", "stop": "stopped", "cancel": "cancelled"}
    for verb, after in states.items():
        answer = client.post(f"/api/v1/studies/scripted/{verb}", headers=BEARER)
        assert (answer.status_code, answer.json()) == (200, {"study": "scripted", "state": after})
        assert state(storage) == after
        assert client.get("/studies/scripted/status.json", headers=BEARER).json()["state"] == after
    refused = client.post("/api/v1/studies/scripted/resume", headers=BEARER)
    assert refused.status_code == 409
    assert refused.text.startswith("study 'scripted': was cancelled, which is final, allowed: ")


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer wrong"}, {"Cookie": "pareto_prune_session=9.9"}],
    ids=["none", "wrong", "unsigned"],
)
def test_nobody_else_gives_orders(
    client: TestClient, storage: Storage, headers: dict[str, str]
) -> None:
    assert client.post(PAUSE, headers=headers).status_code == 401
    assert state(storage) is StudyState.OPEN


def test_without_any_token_no_order_is_taken(storage: Storage) -> None:
    with TestClient(make_app(storage, None), base_url="http://127.0.0.1") as client:
        answer = client.post(PAUSE)
        assert (answer.status_code, "PARETO_PRUNE_TOKEN" in answer.text) == (403, True)
        assert "/pause" not in client.get("/studies/scripted/status").text
    assert state(storage) is StudyState.OPEN


def test_a_browser_gives_orders_by_a_form_of_our_page(client: TestClient, storage: Storage) -> None:
    client.post("/login", data={"token": TOKEN})
    page = client.get("/studies/scripted/status").text
    assert re.findall('action="/api/v1/studies/scripted/([a-z]+)"', page) == [
        "pause",
        "stop",
        "cancel",
    ]
    [key] = set(re.findall('name="key" value="([0-9a-f]{64})"', page))
    for forged in ({}, {"key": ""}, {"key": key[:-1]}, {"key": TOKEN}):
        assert client.post(PAUSE, data=forged).status_code == 403
    assert state(storage) is StudyState.OPEN
    answer = client.post(PAUSE, data={"key": key}, headers={"Accept": "text/html"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/studies/scripted/status")
    assert state(storage) is StudyState.PAUSED
    shown = client.get("/studies/scripted/status").text
    assert '<b>paused</b><span class="dim">state</span>' in shown
    assert "Resume</button>" in shown


def test_a_forms_key_is_of_one_session(client: TestClient) -> None:
    client.post("/login", data={"token": TOKEN})
    page = client.get("/studies/scripted/status").text
    key = re.findall('name="key" value="([0-9a-f]{64})"', page)[0]
    client.post("/logout")
    assert client.post(PAUSE, data={"key": key}).status_code == 401


@pytest.mark.parametrize(
    ("path", "code"),
    [
        ("/api/v1/studies/gone/pause", 404),
        ("/api/v1/studies/scripted/delete", 405),
        ("/api/v1/studies/scripted/pause/", 405),
        ("/api/v1/studies/..%2Fscripted/pause", 405),
        ("/api/v1/studies//pause", 405),
    ],
)
def test_nothing_else_is_an_order(client: TestClient, path: str, code: int) -> None:
    assert client.post(path, headers=BEARER).status_code == code


def test_an_order_is_not_given_by_looking(client: TestClient, storage: Storage) -> None:
    assert client.get(PAUSE, headers=BEARER).status_code in (404, 405)
    assert state(storage) is StudyState.OPEN
