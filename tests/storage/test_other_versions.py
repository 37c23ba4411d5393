"""Another version of this program goes on with a study, or makes one beside it."""

from __future__ import annotations

import json
import threading
from contextlib import suppress

import pytest
from sqlalchemy import Connection, Table
from starlette.testclient import TestClient

from pareto_prune import api
from pareto_prune.core.errors import MismatchError, UserError
from pareto_prune.core.records import Confirmation, Trial, TrialState
from pareto_prune.running.assignment import Assignment
from pareto_prune.running.run_study import Unwatched, Watch
from pareto_prune.running.worker import work
from pareto_prune.serve._app import make_app
from pareto_prune.storage import Storage, StoredStudy, open_storage, schema
from tests.storage.scripted import reference, result_of, rung_of, space_of, study_config

SPACE = space_of(study_config())
CANDIDATE = SPACE.to_candidate({g.name: g.only for g in SPACE.genes})
SAID = r"is of another version of pareto-prune \(colour: Extra inputs are not permitted\)"


def rewrite(study: StoredStudy, table: Table, column: str) -> None:
    """Let a newer version have written a column: it knows a field more."""

    def change(connection: Connection) -> None:
        mine = table.c.study_id == study.identity.study
        (text,) = connection.scalars(table.select().with_only_columns(table.c[column]).where(mine))
        newer = json.dumps(json.loads(text) | {"colour": "red"})
        connection.execute(table.update().where(mine).values({column: newer}))

    study._database.write(change)


def told(study: StoredStudy) -> Trial:
    trial = study.claim("w")
    assert trial is not None
    trial = study.assign(trial, CANDIDATE, SPACE)
    assert trial is not None
    assert study.report(trial, rung_of(0))
    assert study.tell(trial, result_of(CANDIDATE))
    return trial


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (schema.studies, "reference"),
        (schema.results, "result"),
        (schema.references, "result"),
        (schema.confirmations, "confirmation"),
    ],
)
def test_a_record_of_another_version_is_refused_in_one_line(
    study: StoredStudy, storage: Storage, table: Table, column: str
) -> None:
    told(study)
    study.set_reference(reference())
    study.keep_reference("int8", result_of(CANDIDATE))
    study.confirm(Confirmation(number=0, steps=9, metrics=(0.8,), values={"accuracy": 0.8}))
    rewrite(study, table, column)
    with pytest.raises(MismatchError, match=SAID) as said:
        storage.open_study("scripted").read()
    assert "\n" not in str(said.value)


def test_a_worker_beside_a_newer_one_ends_with_its_trial_told(
    storage_url: str, study: StoredStudy
) -> None:
    study.set_reference(reference())
    newer = open_storage(storage_url).open_study("scripted")

    def run(assignment: Assignment):
        told(newer)
        rewrite(newer, schema.results, "result")
        return result_of(assignment.candidate)

    watch = Watch(study, Unwatched(), threading.Event())
    with pytest.raises(MismatchError, match=f"the result of trial 1: {SAID}"):
        work(study, run, SPACE, on_event=watch)
    counts = study.counts()
    assert (counts[TrialState.COMPLETE], counts[TrialState.RUNNING]) == (2, 0)


@pytest.mark.parametrize(
    ("table", "column"), [(schema.studies, "config"), (schema.results, "result")]
)
def test_a_newer_study_takes_none_of_the_others_along(
    storage_url: str, storage: Storage, table: Table, column: str
) -> None:
    ours, newer = (storage.create(study_config(name)) for name in ("ours", "newer"))
    for study in (ours, newer):
        told(study)
        study.set_reference(reference())
    rewrite(newer, table, column)
    rows = {row.name: row for row in api.studies(storage_url)}
    assert (rows["ours"].problem, rows["ours"].finished) == ("", 1)
    assert rows["newer"].problem == "of another version of pareto-prune"
    assert rows["newer"].finished == 1
    app = make_app(open_storage(storage_url), None)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        for path in ("/metrics", "/studies/ours", "/studies/ours/status.json"):
            assert client.get(path).status_code == 200
        page = client.get("/")
        assert page.text.count("of another version of pareto-prune") == 1
        refused = client.get("/studies/newer/status.json")
        assert (refused.status_code, refused.text.count("\n")) == (404, 1)


def test_a_study_that_is_deleted_while_all_are_listed_is_left_out(
    storage_url: str, storage: Storage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("stays", "goes"):
        storage.create(study_config(name))
    real = Storage.studies

    def deleted_behind(self: Storage):
        listed = real(self)
        if any(summary.name == "goes" for summary in listed):
            with suppress(UserError):  # the service lists them in two threads
                open_storage(storage_url).delete("goes")
        return listed

    monkeypatch.setattr(Storage, "studies", deleted_behind)
    assert [row.name for row in api.studies(storage_url)] == ["stays"]
    storage.create(study_config("goes"))
    app = make_app(open_storage(storage_url), None)
    with TestClient(app, base_url="http://127.0.0.1") as client:
        page = client.get("/")
        assert page.status_code == 200
        assert "of another version" not in page.text
