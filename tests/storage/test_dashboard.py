"""Optuna's dashboard opens our storage and shows what we wrote."""

from __future__ import annotations

import json
from typing import Any

import pytest
from optuna.storages import RDBStorage

from pareto_prune.running.worker import work
from pareto_prune.storage import StoredStudy
from tests.storage.scripted import run_scripted, space_of, values_of

dashboard = pytest.importorskip("optuna_dashboard")


def get(app: Any, path: str) -> dict[str, Any]:
    """Return the JSON of a GET request, made without a server."""
    status: list[str] = []
    environment = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": path,
        "QUERY_STRING": "after=0",
        "SERVER_NAME": "127.0.0.1",
        "SERVER_PORT": "80",
        "wsgi.url_scheme": "http",
    }
    body = b"".join(app(environment, lambda code, headers, error=None: status.append(code)))
    assert status == ["200 OK"]
    found: dict[str, Any] = json.loads(body)
    return found


@pytest.mark.slow
def test_the_dashboard_shows_the_study(study: StoredStudy, optunas: RDBStorage) -> None:
    space = space_of(study.config)
    starter = space.to_candidate({gene.name: gene.only for gene in space.genes}, "uniform")
    study.enqueue([starter], space)
    work(study, run_scripted, space)
    app = dashboard.wsgi(optunas)
    (listed,) = get(app, "/api/studies")["study_summaries"]
    assert listed["study_name"] == "scripted"
    assert listed["directions"] == ["maximize", "minimize", "minimize"]
    detail = get(app, f"/api/studies/{listed['study_id']}")
    assert [trial["number"] for trial in detail["trials"]] == list(range(12))
    assert {trial["state"] for trial in detail["trials"]} == {"Complete"}
    first = detail["trials"][0]
    assert first["values"] == pytest.approx(list(values_of(starter).values()))
    assert {param["name"] for param in first["params"]} == {gene.name for gene in space.genes}
    assert {"key": "starter", "value": "uniform"} in first["user_attrs"]
    assert detail["objective_names"] == list(study.config.objectives)
