"""Studies that are sent to the service, for whichever workers serve its storage."""

from __future__ import annotations

import uuid

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import MismatchError, StudyFileError
from pareto_prune.core.paths import with_absolute_paths
from pareto_prune.inputs.tasks import tasks
from pareto_prune.running.draft import template
from pareto_prune.running.submission import Intake, put_in, read_submission
from pareto_prune.storage import Storage

KINDS = {"application/toml": False, "application/json": True}
"""Content types of study files, and whether they are JSON."""
_LONGEST_KEY = 200


class Submissions:
    """Answers those who send studies.

    Args:
        storage: that they are put into.
        intake: how they are taken.
    """

    def __init__(self, storage: Storage, intake: Intake) -> None:
        self._storage = storage
        self._intake = intake

    def respond(self, request: Request) -> Response:
        """Take a study: 201 with its address, or 422 with every problem of its file."""
        if not (self._intake.sources.models and self._intake.sources.data):
            advice = "start it with --accept-model and --accept-data"
            return PlainTextResponse(f"this service takes no studies: {advice}\n", 403)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in KINDS:
            return PlainTextResponse(f"allowed: {' or '.join(KINDS)}\n", 415)
        key = request.headers.get("idempotency-key") or str(uuid.uuid4())
        if len(key) > _LONGEST_KEY:
            return PlainTextResponse(f"Idempotency-Key: at most {_LONGEST_KEY} characters\n", 400)
        body = getattr(request.state, "body", b"")
        try:
            config = read_submission(body, KINDS[kind], self._intake.sources)
            return self._put_in(with_absolute_paths(config), key)
        except StudyFileError as error:
            return JSONResponse({"problems": error.listed()}, 422)
        except MismatchError as error:
            return JSONResponse({"problems": error.listed()}, 409)

    def _put_in(self, config: StudyConfig, key: str) -> Response:
        name = put_in(self._storage, config, self._intake.root(config.name), key).name
        address = f"/studies/{name}"
        return JSONResponse({"study": name, "address": address}, 201, {"Location": address})

    def templates(self, _: Request) -> Response:
        """Return a study file to fill in for each task, as TOML."""
        return JSONResponse({task: template(task).text() for task in tasks.names()})
