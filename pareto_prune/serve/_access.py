"""Who may see what: the token, as a bearer header or by a log-in that sets a cookie.

The cookie holds no token but when it ends, signed with the token: a restart keeps it valid, and
another token ends it. All comparisons take the same time whatever is compared.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from urllib.parse import parse_qs

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from pareto_prune.serve._html import login_page

COOKIE = "pareto_prune_session"
SESSION_SECONDS = 12 * 3600
OPEN = ("/health", "/login")
WRITABLE = ("/login", "/logout")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
_HOST = re.compile(r"(?:\[([0-9A-Fa-f:.]+)\]|([^\[\]:/?#@\\\s]+))(?::\d*)?")


class Access:
    """Lets a request through that may be answered; refuses every other one.

    Args:
        app: what answers.
        token: that is asked for; ``None`` asks for none, and takes requests by the name of this
            host alone, so that no page of another site can reach it through a name of its own.
        clock: seconds since the epoch.
    """

    def __init__(
        self, app: ASGIApp, token: str | None, clock: Callable[[], float] = time.time
    ) -> None:
        self._app = app
        self._token = token
        self._clock = clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or pass it on."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        refused = self._refused(Request(scope))
        return await (refused or self._app)(scope, receive, send)

    def _refused(self, request: Request) -> Response | None:
        """Return the answer where the request is not to be passed on."""
        path = str(request.scope["path"])  # as routes see it; a URL is made of what the Host says
        if self._token is None and _host(request.headers) not in LOOPBACK:
            return PlainTextResponse("this service is called 127.0.0.1\n", 421)
        if self._token is not None and path not in OPEN and not self._known(request):
            bearer = {"WWW-Authenticate": "Bearer"}
            return HTMLResponse(login_page(), 401, bearer)
        if request.method == "POST" and path in WRITABLE:
            return self._log_in(request) if path == "/login" else _log_out(request)
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("read-only\n", 405, {"Allow": "GET, HEAD"})
        return HTMLResponse(login_page()) if path == "/login" else None

    def _known(self, request: Request) -> bool:
        assert self._token is not None
        scheme, _, given = request.headers.get("authorization", "").partition(" ")
        if scheme.lower() == "bearer":
            return _same(given.strip(), self._token)
        return self._valid(request.cookies.get(COOKIE, ""))

    def _valid(self, cookie: str) -> bool:
        ends, _, signature = cookie.partition(".")
        signed = _same(signature, self._signature(ends))
        return signed and ends.isdigit() and int(ends) > self._clock()

    def _signature(self, ends: str) -> str:
        key = (self._token or "").encode()
        return hmac.new(key, f"session {ends}".encode(), hashlib.sha256).hexdigest()

    def _log_in(self, request: Request) -> Response:
        body = getattr(request.state, "body", b"").decode("utf-8", "replace")
        given = parse_qs(body).get("token", [""])[0]
        if self._token is None or not _same(given, self._token):
            return HTMLResponse(login_page("That is not the token."), 401)
        ends = str(int(self._clock()) + SESSION_SECONDS)
        answer = RedirectResponse("/", 303)
        answer.set_cookie(
            COOKIE,
            f"{ends}.{self._signature(ends)}",
            max_age=SESSION_SECONDS,
            httponly=True,
            samesite="strict",
            secure=request.scope["scheme"] == "https",
        )
        return answer


def _log_out(request: Request) -> Response:
    answer = RedirectResponse("/login", 303)
    secure = request.scope["scheme"] == "https"
    answer.delete_cookie(COOKIE, httponly=True, samesite="strict", secure=secure)
    return answer


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _host(headers: Headers) -> str:
    """Return the name in the Host header; empty where that is no name and port."""
    found = _HOST.fullmatch(headers.get("host", ""))
    return (found[1] or found[2]).lower() if found else ""
