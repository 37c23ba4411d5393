"""The web service over HTTP: who gets in, what is refused, and that nothing ever changes."""

from __future__ import annotations

import io
import json
import shutil
import zipfile
from pathlib import Path

import pytest
from starlette.datastructures import URL
from starlette.requests import HTTPConnection
from starlette.testclient import TestClient

import pareto_prune
from pareto_prune.core.errors import UserError
from pareto_prune.export.kept_models.store import Artifacts
from pareto_prune.results.status import Status
from pareto_prune.serve._access import COOKIE, SESSION_SECONDS, Access
from pareto_prune.serve._app import make_app
from pareto_prune.serve._limits import HEADERS, MOST_BODY_BYTES, MOST_HEADER_BYTES
from pareto_prune.serve._metrics import metrics_text
from pareto_prune.serve._server import is_loopback, listening, token_for
from pareto_prune.storage import open_storage, schema
from tests.serve import served
from tests.small_study import model_of
from tests.storage.scripted import study_config

TOKEN = "correct horse battery staple"
BEARER = {"Authorization": f"Bearer {TOKEN}"}
PATHS = (
    "/",
    "/studies/scripted",
    "/studies/scripted/front.json",
    "/studies/scripted/status",
    "/studies/scripted/trials/0/model.zip",
    "/metrics",
    "/dashboard",
    "/api/studies",
    "/static/bundle.js",
    "/nothing",
)


@pytest.fixture(scope="module")
def filled(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    served.make(folder)
    return folder


@pytest.fixture(scope="module")
def url(filled):
    return f"sqlite:///{filled / 'study.db'}"


@pytest.fixture(scope="module")
def client(url):
    with TestClient(make_app(open_storage(url), TOKEN), follow_redirects=False) as started:
        yield started


@pytest.fixture
def member(client):
    """A client that shows the token with every request."""

    def get(path, **options):
        return client.get(path, headers=BEARER, **options)

    return get


@pytest.fixture(autouse=True)
def nothing_changes(request, url):
    before = _state(url)
    yield
    assert _state(url) == before


def _state(url):
    storage = open_storage(url)
    return storage.studies(), [storage.open_study(s.name).read() for s in storage.studies()]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Bearer {TOKEN[:-1]}"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer ünlike"},
        {"Cookie": f"{COOKIE}=9999999999.00"},
        {"Cookie": f"{COOKIE}={TOKEN}"},
    ],
    ids=["none", "wrong", "short", "basic", "not-ascii", "unsigned", "raw"],
)
def test_without_the_token_there_is_a_log_in_page_alone(client, path, headers):
    raw = {key: value.encode() for key, value in headers.items()}
    answer = client.get(path, headers=raw)
    assert answer.status_code == 401
    assert "scripted" not in answer.text
    assert '<form class="login"' in answer.text
    assert answer.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("host", ["x/health?", "x/health#", "x/login?", "x/health", "[", "a b", ""])
@pytest.mark.parametrize("path", ["/metrics", "/studies/scripted/status.json", "/api/studies"])
def test_the_host_header_opens_no_path(client, monkeypatch, host, path):
    """As with versions of Starlette that glue a request's URL from its Host."""
    assert client.get(path, headers={"Host": host}).status_code == 401
    assert client.get(path, headers={"Host": host, **BEARER}).status_code == 200
    glued = URL(f"http://{host}{path}".replace("[", ""))
    monkeypatch.setattr(HTTPConnection, "url", property(lambda _: glued))
    assert client.get(path, headers={"Host": host}).status_code == 401
    assert client.get(path, headers={"Host": host, **BEARER}).status_code == 200


def test_health_and_log_in_need_no_token(client):
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/login").status_code == 200


def test_every_answer_has_the_security_headers(client, member):
    for answer in (client.get("/"), client.get("/health"), member("/"), member("/nothing")):
        for name in HEADERS:
            assert answer.headers[name]
        assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert "script-src" not in member("/").headers["Content-Security-Policy"]


def test_a_log_in_sets_a_cookie_that_scripts_cannot_read(url):
    with TestClient(make_app(open_storage(url), TOKEN), follow_redirects=False) as client:
        wrong = client.post("/login", data={"token": "wrong"})
        assert (wrong.status_code, wrong.cookies.get(COOKIE)) == (401, None)
        right = client.post("/login", data={"token": TOKEN})
        assert (right.status_code, right.headers["location"]) == (303, "/")
        cookie = right.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert TOKEN not in right.headers["set-cookie"]
        assert client.get("/").status_code == 200
        assert client.post("/logout").status_code == 303
        assert client.get("/").status_code == 401


def test_a_session_ends(url):
    hands = [1000.0]

    async def inside(scope, receive, send):
        from starlette.responses import PlainTextResponse

        await PlainTextResponse("in")(scope, receive, send)

    access = Access(inside, TOKEN, lambda: hands[0])
    ends = str(1000 + SESSION_SECONDS)
    client = TestClient(access, cookies={COOKIE: f"{ends}.{access._signature(ends)}"})
    assert client.get("/").text == "in"
    hands[0] += SESSION_SECONDS
    assert client.get("/").status_code == 401
    later = str(int(ends) + 9999)
    client.cookies.set(COOKIE, f"{later}.{access._signature(ends)}")
    assert client.get("/").status_code == 401


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "path", ["/", "/studies/scripted", "/api/studies", "/api/studies/1", "/api/studies/1/rename"]
)
def test_nothing_can_be_written(client, method, path):
    content = json.dumps({"study_name": "new", "directions": ["minimize"]})
    answer = client.request(method, path, headers=BEARER, content=content)
    assert answer.status_code == 405
    assert answer.headers["Allow"] == "GET, HEAD"
    assert client.request(method, path, content=content).status_code == 401


def test_what_is_too_large_is_refused(client):
    large = {**BEARER, "X-Large": "x" * MOST_HEADER_BYTES}
    assert client.get("/", headers=large).status_code == 431
    body = b"token=" + b"x" * MOST_BODY_BYTES
    assert client.post("/login", content=body).status_code == 413
    assert client.post("/login", content=iter([body[:3000], body[3000:]])).status_code == 413
    for odd in ("-1", b"\xb2", "9" * 5000):
        answer = client.post("/login", headers={"Content-Length": odd}, content=b"x")
        assert answer.status_code == 413


@pytest.mark.parametrize(
    "name",
    [
        "gone",
        "scripte_",
        "' OR '1'='1",
        "scripted'; DROP TABLE pareto_studies; --",
        "%2e%2e",
        "..%2f..%2fetc%2fpasswd",
        "....//",
        "\x00",
        "a" * 5000,
        "<script>alert(1)</script>",
    ],
)
def test_an_unknown_study_is_404(client, member, name):
    from urllib.parse import quote

    for suffix in ("", "/front.json", "/status", "/trials/0/model.zip"):
        answer = member(f"/studies/{quote(name, safe='%/')}{suffix}")
        assert answer.status_code == 404
        assert "text/html" not in answer.headers["content-type"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../index.html",
        "/static/%2e%2e/index.html",
        "/static/..%2f..%2f_app.py",
        "/static//etc/passwd",
        "/studies/scripted/trials/../../model.zip",
        "/studies/scripted/trials/-1/model.zip",
        "/studies/scripted/trials/1e2/model.zip",
        f"/studies/scripted/trials/{'9' * 5000}/model.zip",
        "/studies/scripted/trials/0/../../../etc/passwd",
        "/studies/scripted/trials/99/model.zip",
    ],
)
def test_paths_lead_nowhere_else(member, path):
    answer = member(path)
    assert answer.status_code in (403, 404)
    assert "root:" not in answer.text
    assert "def create_app" not in answer.text


def test_the_studies_and_their_state_are_shown(member):
    page = member("/").text
    assert '<a href="/studies/scripted">scripted</a>' in page
    assert "6 of 6" in page
    status = member("/studies/scripted/status").text
    assert "on the front" in status
    told = member("/studies/scripted/status.json").json()
    assert told["states"] == {"complete": served.TRIALS}


def test_the_front_is_the_reports_page_and_asks_for_newer_ones(member):
    answer = member("/studies/scripted")
    assert answer.text.startswith("<!doctype html>")
    version = member("/studies/scripted/version.json").json()["version"]
    assert f'own = "{version}"' in answer.text
    policy = answer.headers["Content-Security-Policy"]
    assert policy.count("'sha256-") == 3
    assert "'unsafe-inline'" not in policy.partition("script-src")[2].partition(";")[0]


def test_the_front_as_json_is_that_of_the_command_line(member, url):
    from pareto_prune import api
    from pareto_prune.results import tables

    assert member("/studies/scripted/front.json").text == tables.front_json(
        api.front("scripted", url)
    )
    every = member("/studies/scripted/front.json?all=1").json()
    assert len(every["trials"]) == served.TRIALS


def test_metrics_are_what_prometheus_reads(member):
    answer = member("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert 'pareto_prune_trials{study="scripted",state="complete"} 6\n' in answer.text
    assert 'pareto_prune_trials_asked{study="scripted"} 6\n' in answer.text


def test_labels_of_metrics_are_escaped():
    text = metrics_text([Status(study='a"b\\c\nd', states={}, trials_asked=1)])
    assert 'pareto_prune_trials_asked{study="a\\"b\\\\c\\nd"} 1\n' in text


def test_a_model_comes_as_a_zip_that_loads(member, filled, tmp_path):
    answer = member("/studies/scripted/trials/0/model.zip")
    assert answer.headers["content-disposition"] == 'attachment; filename="scripted-0.zip"'
    with zipfile.ZipFile(io.BytesIO(answer.content)) as packed:
        assert packed.testzip() is None
        assert not any(n.endswith((".bin", ".pkl", ".pt")) for n in packed.namelist())
        packed.extractall(tmp_path)
    model = pareto_prune.load(tmp_path / "scripted-0")
    kept = pareto_prune.load(model_of(filled / "models/trials", 0))
    pairs = zip(model.parameters(), kept.parameters(), strict=True)
    assert all(mine.equal(theirs) for mine, theirs in pairs)
    card = (tmp_path / "scripted-0/README.md").read_text()
    assert "scripted" in card


def test_a_damaged_or_missing_model_is_not_sent(url, filled, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(filled, copy)
    own = f"sqlite:///{copy / 'study.db'}"
    stored = open_storage(own).open_study("scripted")
    results = stored.read().trials
    assert results[1].result is not None
    with TestClient(make_app(open_storage(own), TOKEN)) as client:
        hidden = model_of(filled / "models/trials", 1)
        hidden.rename(filled / "models/away")
        try:
            answer = client.get("/studies/scripted/trials/1/model.zip", headers=BEARER)
        finally:
            (filled / "models/away").rename(hidden)
        assert answer.status_code == 404
        assert "its weights are not kept" in answer.text
        note = hidden / "README.md"
        before = note.read_text()
        note.write_text("another")
        try:
            answer = client.get("/studies/scripted/trials/1/model.zip", headers=BEARER)
        finally:
            note.write_text(before)
        assert (answer.status_code, "is damaged" in answer.text) == (404, True)


def test_optunas_dashboard_is_there_to_be_read(member):
    page = member("/dashboard")
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["Content-Security-Policy"]
    [study] = member("/api/studies").json()["study_summaries"]
    assert study["study_name"] == "scripted"
    assert member("/static/bundle.js").status_code == 200
    found = member(f"/api/studies/{study['study_id']}").json()
    assert len(found["trials"]) == served.TRIALS


def test_pages_follow_the_study(tmp_path):
    url = f"sqlite:///{tmp_path}/study.db"
    with TestClient(make_app(open_storage(url), None), base_url="http://127.0.0.1") as client:
        assert "No study yet" in client.get("/").text
        assert not (tmp_path / "study.db").exists()
        assert client.get("/dashboard").status_code == 404
        stored = open_storage(url).create(study_config("first"))
        assert "first" in client.get("/").text
        before = client.get("/studies/first/version.json").json()
        stored.ask_for(99)
        assert client.get("/studies/first/version.json").json() != before
        stored.claim("w")
        assert " s left</td>" in client.get("/studies/first/status").text
        stored._database.write(lambda c: c.execute(schema.leases.update().values(expires=1)))
        assert "<td>ended</td>" in client.get("/studies/first/status").text
        open_storage(url).delete("first")
        assert client.get("/studies/first").status_code == 404
        open_storage(url).create(study_config("first"))
        assert client.get("/studies/first").status_code == 200


def test_without_a_token_only_names_of_this_host_get_through(url):
    with TestClient(make_app(open_storage(url), None), base_url="http://127.0.0.1:8000") as client:
        assert client.get("/").status_code == 200
        assert client.get("/", headers={"Host": "localhost:8000"}).status_code == 200
        assert client.get("/", headers={"Host": "LOCALHOST:8000"}).status_code == 200
        assert client.get("/", headers={"Host": "[::1]:8000"}).status_code == 200
        for host in ("evil.example", "[", "[127.0.0.1", "127.0.0.1@evil", "evil/127.0.0.1", ""):
            assert client.get("/", headers={"Host": host}).status_code == 421
        assert client.post("/login", data={"token": ""}).status_code == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "127.3.2.1", "localhost", "::1"])
def test_this_host_alone_needs_no_token(host):
    assert is_loopback(host)
    assert token_for(host, {}) is None


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.1", "example.org", ""])
def test_others_need_a_token(host):
    assert token_for(host, {"PARETO_PRUNE_TOKEN": TOKEN}) == TOKEN
    with pytest.raises(UserError, match="set PARETO_PRUNE_TOKEN"):
        token_for(host, {"PARETO_PRUNE_TOKEN": " "})


def test_a_short_token_is_refused():
    with pytest.raises(UserError, match="too short") as raised:
        token_for("127.0.0.1", {"PARETO_PRUNE_TOKEN": "hunter2"})
    assert "hunter2" not in str(raised.value)


def test_a_taken_port_is_one_line():
    with listening("127.0.0.1", 0) as taken, pytest.raises(UserError, match="cannot listen"):
        listening("127.0.0.1", taken.getsockname()[1])


def test_kept_models_are_listed_by_number(filled):
    found = Artifacts(str(filled / "models"))._listed("trials")
    assert [int(name.partition("-")[0]) for name in found] == list(range(served.TRIALS))
