"""Studies that are sent to the service: what is taken, and what is refused with all reasons."""

from __future__ import annotations

import json
import threading
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
import uvicorn
from starlette.testclient import TestClient

from pareto_prune import api
from pareto_prune.core.errors import MismatchError, ParetoPruneError, UserError
from pareto_prune.inputs.tasks import tasks
from pareto_prune.running.sending import send
from pareto_prune.running.study_file import parse_study
from pareto_prune.running.submission import Intake, Sources
from pareto_prune.serve._app import make_app
from pareto_prune.serve._limits import MOST_STUDY_BYTES
from pareto_prune.serve._server import listening
from pareto_prune.storage import Storage, open_storage

TOKEN = "correct horse battery staple"
TOML = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/toml"}
STUDIES = "/api/v1/studies"


def file_of(
    path: str, name: str = "sent", model: str = "demo:minilm-l6", data: str = "", **tables: str
) -> str:
    """Return a study file as TOML, of the data at ``path``."""
    more = "".join(f"[{table}]\n{lines}\n" for table, lines in tables.items())
    head = f'name = "{name}"\n[model]\npath = "{model}"\n'
    return f'{head}[data]\npath = "{path}"\n{data}\n{more}'


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "texts.csv").write_text("text,label\n")
    (tmp_path / "secret.csv").write_text("text,label\n")
    (tmp_path / "data" / "out.csv").symlink_to(tmp_path / "secret.csv")
    return tmp_path


@pytest.fixture
def storage(root: Path) -> Storage:
    return open_storage(f"sqlite:///{root / 'study.db'}")


@pytest.fixture
def intake(root: Path, monkeypatch: pytest.MonkeyPatch) -> Intake:
    monkeypatch.chdir(root)
    sources = Sources.of(("demo:minilm-l6",), ("./data", "glue"))
    return Intake(sources, root / "models")


@pytest.fixture
def client(storage: Storage, intake: Intake) -> Iterator[TestClient]:
    with TestClient(make_app(storage, TOKEN, intake), follow_redirects=False) as started:
        yield started


def test_a_study_is_taken_and_in_the_queue(
    client: TestClient, storage: Storage, root: Path
) -> None:
    file = file_of(str(root / "data" / "texts.csv"))
    answer = client.post(STUDIES, content=file, headers=TOML)
    assert (answer.status_code, answer.headers["location"]) == (201, "/studies/sent")
    assert answer.json() == {"study": "sent", "address": "/studies/sent"}
    assert [queued.identity.name for queued in storage.queue()] == ["sent"]
    assert storage.open_study("sent").artifacts == str(root / "models" / "sent")
    assert client.get("/studies/sent/status", headers=TOML).status_code == 200
    as_json = {"name": "two", "model": {"path": "demo:minilm-l6"}, "data": {"path": "glue"}}
    answer = client.post(STUDIES, json=as_json, headers={"Authorization": TOML["Authorization"]})
    assert (answer.status_code, answer.json()["study"]) == (201, "two")


def test_all_problems_of_a_file_are_said_at_once(client: TestClient, storage: Storage) -> None:
    file = file_of("glue", limits="trials = 0", search='strategies = ["balanse"]')
    answer = client.post(STUDIES, content=file, headers=TOML)
    assert answer.status_code == 422
    where = {problem["where"] for problem in answer.json()["problems"]}
    assert where == {"study: limits.trials", "study: search.strategies"}
    assert all(set(one) == {"where", "wrong", "allowed"} for one in answer.json()["problems"])
    assert storage.studies() == []


@pytest.mark.parametrize(
    ("key", "file"),
    [
        ("model.path", {"model": "someone/elses"}),
        ("model.path", {"model": "/etc"}),
        ("data.path", {"data_path": "/etc/passwd"}),
        ("data.path", {"data_path": "{root}/data/../secret.csv"}),
        ("data.path", {"data_path": "{root}/data/out.csv"}),
        ("data.path", {"data_path": "{root}/database.csv"}),
        ("data.path", {"data_path": "data/texts.csv"}),
        ("data.path", {"data_path": "~/texts.csv"}),
        ("data.corpus", {"data": 'corpus = ["/etc/passwd"]', "search": 'vocabulary = "seen"'}),
        ("measure.calibration_file", {"measure": 'calibration_file = "/etc/passwd"'}),
        (
            "data.splits",
            {"data": 'splits = { train = "a", validation = "../../b", test = "c" }'},
        ),
    ],
)
def test_a_file_names_nothing_but_what_the_service_takes(
    client: TestClient, storage: Storage, root: Path, key: str, file: dict[str, str]
) -> None:
    tables = dict(file)
    path = tables.pop("data_path", "glue").format(root=root)
    answer = client.post(STUDIES, content=file_of(path, **tables), headers=TOML)
    assert answer.status_code == 422
    assert [problem["where"] for problem in answer.json()["problems"]] == [f"study: {key}"]
    assert storage.studies() == []


def test_the_same_key_is_the_same_study_and_another_is_refused(
    client: TestClient, storage: Storage
) -> None:
    mine = TOML | {"Idempotency-Key": "mine"}
    for _ in range(2):
        answer = client.post(STUDIES, content=file_of("glue"), headers=mine)
        assert (answer.status_code, answer.json()["study"]) == (201, "sent")
    for headers in (TOML, TOML | {"Idempotency-Key": "yours"}):
        refused = client.post(STUDIES, content=file_of("glue"), headers=headers)
        assert refused.status_code == 409
        assert refused.json()["problems"][0]["wrong"] == "there is a study 'sent' already"
    changed = file_of("glue", finetune="steps = 7")
    storage.open_study("sent").acquire("dense", "w")
    refused = client.post(STUDIES, content=changed, headers=mine)
    assert refused.status_code == 409
    assert "finetune.steps" in refused.json()["problems"][0]["where"]
    assert len(storage.studies()) == 1
    assert "mine" not in str(storage.open_study("sent").events())


def test_a_submission_that_was_cut_short_goes_on(client: TestClient, storage: Storage) -> None:
    """The study was made, and the service ended before it had its place for models."""
    storage.create(parse_study(tomllib.loads(file_of("glue"))))
    assert client.post(STUDIES, content=file_of("glue"), headers=TOML).status_code == 201
    assert len(storage.queue()) == 1


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (b"name = ", "application/toml", 422),
        (b"a = " + b"[" * 20_000, "application/toml", 422),
        (b"[" * 20_000, "application/json", 422),
        (b"[]", "application/json", 422),
        (b"{\"a\": NaN}", "application/json", 422),
        (b"\xff\xfe", "application/toml", 422),
        (b"", "application/toml", 422),
        (b"x", "text/html", 415),
        (b"x" * (MOST_STUDY_BYTES + 1), "application/toml", 413),
    ],
)  # fmt: skip
def test_what_is_no_study_file_is_refused(
    client: TestClient, storage: Storage, content: bytes, kind: str, code: int
) -> None:
    answer = client.post(STUDIES, content=content, headers=TOML | {"Content-Type": kind})
    assert answer.status_code == code
    assert "Traceback" not in answer.text
    assert storage.studies() == []


def test_without_a_token_or_sources_nothing_is_taken(
    storage: Storage, intake: Intake, client: TestClient
) -> None:
    kind = {"Content-Type": "application/toml"}
    assert client.post(STUDIES, content=file_of("glue"), headers=kind).status_code == 401
    client.post("/login", data={"token": TOKEN})
    assert client.post(STUDIES, content=file_of("glue"), headers=kind).status_code == 403
    with TestClient(make_app(storage, None, intake), base_url="http://127.0.0.1") as open_:
        assert open_.post(STUDIES, content=file_of("glue"), headers=kind).status_code == 403
    with TestClient(make_app(storage, TOKEN)) as closed:
        answer = closed.post(STUDIES, content=file_of("glue"), headers=TOML)
        assert (answer.status_code, "--accept-model" in answer.text) == (403, True)
    assert storage.studies() == []


def test_there_is_a_template_for_each_task_that_needs_paths_alone(client: TestClient) -> None:
    templates = client.get("/api/v1/templates", headers=TOML).json()
    assert sorted(templates) == tasks.names()
    for task, text in templates.items():
        content = tomllib.loads(text)
        content["model"]["path"] = content["data"]["path"] = "somewhere"
        assert parse_study(content).data.task == task


@pytest.fixture
def address(storage: Storage, intake: Intake) -> Iterator[str]:
    """A service that listens."""
    app = make_app(storage, TOKEN, intake)
    server = uvicorn.Server(uvicorn.Config(app, http="h11", ws="none", log_level="error"))
    with listening("127.0.0.1", 0) as taken:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [taken]})
        thread.start()
        yield f"http://127.0.0.1:{taken.getsockname()[1]}"
        server.should_exit = True
        thread.join(timeout=30)


def test_a_file_is_sent_and_its_address_comes_back(address: str, storage: Storage) -> None:
    assert send(file_of("glue").encode(), f"{address}/", TOKEN) == f"{address}/studies/sent"
    assert len(storage.queue()) == 1
    with pytest.raises(UserError, match="name: there is a study 'sent' already, allowed: another"):
        send(file_of("glue").encode(), address, TOKEN)
    with pytest.raises(UserError) as refused:
        send(file_of("/etc", model="/etc").encode(), address, TOKEN)
    assert [problem.where for problem in refused.value.problems] == [
        "study: model.path",
        "study: data.path",
    ]
    with pytest.raises(UserError, match="PARETO_PRUNE_TOKEN: is not the token") as wrong:
        send(file_of("glue").encode(), address, "wrong")
    assert "wrong" not in str(wrong.value)


def test_who_does_not_answer_is_named() -> None:
    with listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(ParetoPruneError, match=f"127.0.0.1:{port} does not answer: "):
        send(b"", f"http://127.0.0.1:{port}", TOKEN)
    for odd in ("studies.example", "ftp://x", "http://user:secret@x", "file:///etc/passwd"):
        with pytest.raises(UserError, match="--to: is no address of a service") as said:
            send(b"", odd, TOKEN)
        assert "secret" not in str(said.value)


def test_a_study_is_submitted_to_a_storage(root: Path, storage: Storage) -> None:
    file = {"name": "mine", "model": {"path": "m"}, "data": {"path": "d"}}
    url = f"sqlite:///{root / 'study.db'}"
    assert api.submit(file, url, output=root / "out").name == "mine"
    assert len(storage.queue()) == 1
    assert api.submit(file | {"limits": {"trials": 7}}, url, output=root / "out").trials_asked == 7
    storage.open_study("mine").acquire("dense", "w")
    with pytest.raises(MismatchError, match="seed"):
        api.submit(file | {"seed": 1}, url, output=root / "out")
    assert json.loads((root / "out" / "mine" / "study.json").read_text())["study"] == "mine"
