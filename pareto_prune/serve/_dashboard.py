"""Optuna's dashboard on the same storage: what it shows, none of what it changes.

It wants the paths ``/dashboard``, ``/api``, ``/static`` and ``/csv`` for itself. It knows nothing
of logging in; whoever gets here has been let in, and has sent a GET.
"""

from __future__ import annotations

import io
import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from pareto_prune.storage import Storage

PATHS = ("/dashboard", "/api", "/static", "/csv")
Wsgi = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Dashboard:
    """Answers the dashboard's requests, one after the other: some of its plots take seconds.

    Args:
        storage: whose studies; without any, there is no dashboard yet.
    """

    def __init__(self, storage: Storage) -> None:
        self._storage = storage
        self._lock = threading.Lock()
        self._app: Wsgi | None = None

    async def respond(self, request: Request) -> Response:
        """Answer one request."""
        return await run_in_threadpool(self._answer, request)

    def _answer(self, request: Request) -> Response:
        with self._lock:
            if self._app is None and not self._storage.studies():
                return PlainTextResponse("no study yet\n", 404)
            self._app = self._app or _wsgi(self._storage)
            return answered(self._app, request)


def installed() -> bool:
    """Return whether Optuna's dashboard is there."""
    from importlib.util import find_spec

    return find_spec("optuna_dashboard") is not None


def _wsgi(storage: Storage) -> Wsgi:
    from optuna_dashboard import wsgi

    made: Wsgi = wsgi(storage.optunas())
    return made


def answered(app: Wsgi, request: Request) -> Response:
    """Return what a WSGI application answers to a request without a body."""
    started: dict[str, Any] = {}

    def start(status: str, headers: list[tuple[str, str]], _error: Any = None) -> None:
        started.update(status=int(status.split(" ")[0]), headers=headers)

    body = app(_environ(request), start)
    try:
        content = b"".join(body)
    finally:
        getattr(body, "close", lambda: None)()
    response = Response(content, started["status"])
    for name, value in started["headers"]:
        response.headers[name] = value
    return response


def _environ(request: Request) -> dict[str, Any]:
    scope = request.scope
    name, port = scope.get("server") or ("", None)
    headers = {
        f"HTTP_{name.upper().replace('-', '_')}": value
        for name, value in request.headers.items()
        if name in ("accept", "accept-encoding", "host", "if-modified-since")
    }
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": scope["path"].encode().decode("latin-1"),
        "QUERY_STRING": scope["query_string"].decode("latin-1"),
        "SERVER_NAME": name,
        "SERVER_PORT": str(port or 80),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": "0",
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": scope["scheme"],
        "wsgi.input": io.BytesIO(),
        "wsgi.errors": sys.stderr,
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        "HTTP_ACCEPT_ENCODING": "identity",  # the dashboard fails where it is missing
        **headers,
    }
