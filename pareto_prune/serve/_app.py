"""The paths of the web service and what each one answers; only POST changes anything."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, asynccontextmanager
from functools import partial
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from starlette.types import ASGIApp

from pareto_prune.core.errors import ParetoPruneError, UserError
from pareto_prune.export.kept_models.of_trial import kept_at
from pareto_prune.results.front import front_of
from pareto_prune.results.tables import front_json
from pareto_prune.running.status import status_of, study_row, unread_row
from pareto_prune.running.submission import TAKES_NONE, Intake
from pareto_prune.serve import _html
from pareto_prune.serve._access import Access
from pareto_prune.serve._dashboard import PATHS, Dashboard, installed
from pareto_prune.serve._download import zipped
from pareto_prune.serve._fronts import Fronts
from pareto_prune.serve._health import Health
from pareto_prune.serve._limits import Limits
from pareto_prune.serve._metrics import CONTENT_TYPE, metrics_text
from pareto_prune.serve._models import Models
from pareto_prune.serve._submissions import Submissions
from pareto_prune.storage import Storage, verb_of

MOST_EVENTS = 200
_NUMBER = re.compile("[0-9]{1,18}")


class Pages:
    """What each path answers.

    Args:
        storage: whose studies are shown.
        log_out: whether its pages offer to log out.
        intake: how studies are taken.
    """

    def __init__(
        self, storage: Storage, log_out: bool = False, intake: Intake = TAKES_NONE
    ) -> None:
        self.fronts = Fronts(storage)
        self.models = Models()
        self.health = Health(storage.answers)
        self.submissions = Submissions(storage, intake)
        self._storage = storage
        self._links = _html.Links(installed(), log_out)

    def studies(self, _: Request) -> Response:
        """Show all studies."""
        rows = [study_row(stored, shown.study) for stored, shown in self.fronts.all_at_once()]
        rows += map(unread_row, self.fronts.unread())
        return HTMLResponse(_html.studies_page(rows, self._storage.name, self._links))

    def front(self, request: Request) -> Response:
        """Show the front of a study."""
        page = self.fronts.page(_name(request))
        headers = {"Content-Encoding": "gzip", "Content-Security-Policy": page.policy}
        return HTMLResponse(page.content, headers=headers)

    def version(self, request: Request) -> Response:
        """Say of which version a study is."""
        return JSONResponse({"version": self.fronts.version(_name(request))})

    def front_json(self, request: Request) -> Response:
        """Return the front as ``front --json`` prints it; with ``?all=1`` every trial."""
        _, shown = self.fronts.newest(_name(request))
        every = request.query_params.get("all") == "1"
        found = front_of(shown.study, all_trials=True) if every else shown.front
        return Response(front_json(found), media_type="application/json")

    def status(self, request: Request) -> Response:
        """Show the workers of a study and what happened."""
        stored, shown = self.fronts.newest(_name(request))
        events = stored.events()[: -MOST_EVENTS - 1 : -1]
        status = status_of(stored, shown.study)
        key = getattr(request.state, "form_key", "")
        return HTMLResponse(_html.status_page(status, events, self._links, key))

    def status_json(self, request: Request) -> Response:
        """Return the status as ``status --json`` prints it."""
        stored, shown = self.fronts.newest(_name(request))
        status = status_of(stored, shown.study)
        return Response(status.model_dump_json(), media_type="application/json")

    def order(self, request: Request) -> Response:
        """Let a study pause, resume, stop or cancel; a form is led back to its page."""
        name = _name(request)
        self.fronts.newest(name)
        try:
            state = self._storage.steer(name, verb_of(request.path_params["verb"]))
        except UserError as error:
            return PlainTextResponse(f"{error}\n", 409)
        if "text/html" in request.headers.get("accept", ""):
            return RedirectResponse(f"/studies/{name}/status", 303)
        return JSONResponse({"study": name, "state": state.value})

    def model(self, request: Request) -> Response:
        """Send the model of a trial as a zip."""
        name, number = _name(request), _number(request)
        study = self.fronts.newest(name)[1].study
        top = f"{name}-{number}"
        headers = {"Content-Disposition": f'attachment; filename="{top}.zip"'}
        if request.method == "HEAD":
            kept_at(study, number)
            return Response(media_type="application/zip", headers=headers)
        held = ExitStack()
        folder, card = held.enter_context(self.models.held(study, number))
        parts = _closing(zipped(folder, card, top), held)
        return StreamingResponse(parts, media_type="application/zip", headers=headers)

    def metrics(self, _: Request) -> Response:
        """Return the metrics of all studies."""
        statuses = [status_of(stored, shown.study) for stored, shown in self.fronts.all_newest()]
        return Response(metrics_text(statuses), media_type=CONTENT_TYPE)

    def routes(self) -> list[Route]:
        """Return the paths."""
        listed: dict[str, Callable[[Request], Response | Awaitable[Response]]] = {
            "/health": self.health.respond,
            "/metrics": self.metrics,
            "/": self.studies,
            "/studies/{name}": self.front,
            "/studies/{name}/version.json": self.version,
            "/studies/{name}/front.json": self.front_json,
            "/studies/{name}/status": self.status,
            "/studies/{name}/status.json": self.status_json,
            "/studies/{name}/trials/{number}/model.zip": self.model,
        }
        found = [Route(path, answer) for path, answer in listed.items()]
        found.append(Route("/api/v1/studies/{name}/{verb}", self.order, methods=["POST"]))
        found.append(Route("/api/v1/studies", self.submissions.respond, methods=["POST"]))
        found.append(Route("/api/v1/templates", self.submissions.templates))
        if self._links.dashboard:
            dashboard = Dashboard(self._storage).respond
            for path in PATHS:
                found += [Route(path, dashboard), Route(f"{path}/{{rest:path}}", dashboard)]
        return found


def make_app(storage: Storage, token: str | None, intake: Intake = TAKES_NONE) -> ASGIApp:
    """Return the web service as an ASGI application.

    Args:
        storage: whose studies are shown.
        token: that every request must bring; ``None`` for a service on this host alone.
        intake: how studies are taken; by default none is.
    """
    pages = Pages(storage, token is not None, intake)
    handlers: dict[Any, Any] = {UserError: _not_there, ParetoPruneError: _away}
    app = Starlette(
        routes=pages.routes(), exception_handlers=handlers, lifespan=partial(_life, pages)
    )
    app.router.redirect_slashes = False
    return Limits(Access(app, token))


@asynccontextmanager
async def _life(pages: Pages, _: Starlette) -> AsyncIterator[None]:
    pages.fronts.warm()
    try:
        yield
    finally:
        pages.fronts.close()
        pages.models.close()


def _not_there(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 404)


def _away(_: Request, error: Exception) -> Response:
    return PlainTextResponse(f"{error}\n", 503)


def _closing(parts: Iterator[bytes], held: AbstractContextManager[Any]) -> Iterator[bytes]:
    with held:
        yield from parts


def _name(request: Request) -> str:
    return str(request.path_params["name"])


def _number(request: Request) -> int:
    """Return the number of a trial; a path without one, or with one that no trial has, is none."""
    given = str(request.path_params["number"])
    if not _NUMBER.fullmatch(given):
        raise HTTPException(404)
    return int(given)
