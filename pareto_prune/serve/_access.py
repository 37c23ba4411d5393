"""Who may see what: the token, as a bearer header or by a log-in that sets a cookie.

The cookie holds no token but when it ends, signed with the token: a restart keeps it valid, and
another token ends it. All comparisons take the same time whatever is compared.

Orders to a study are taken under a token alone. With a cookie they must come from a form of ours:
it holds what only a page that was read with that cookie can know, so no other site can send it.
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

from pareto_prune.serve._html import FORM_KEY, login_page

COOKIE = "pareto_prune_session"
SESSION_SECONDS = 12 * 3600
OPEN = ("/health", "/login")
WRITABLE = ("/login", "/logout")
LOOPBACK = ("127.0.0.1", "localhost", "::1")
ORDERS = re.compile(r"/api/v1/studies/[^/]+/(pause|resume|stop|cancel)")
"""Paths that let a study go on otherwise."""
SUBMIT = "/api/v1/studies"
"""Path that takes a study."""
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
        if request.method == "POST" and (ORDERS.fullmatch(path) or path == SUBMIT):
            return self._order_refused(request)
        if request.method not in ("GET", "HEAD"):
            return PlainTextResponse("read-only\n", 405, {"Allow": "GET, HEAD"})
        request.state.form_key = self._form_key(request)
        return HTMLResponse(login_page()) if path == "/login" else None

    def _order_refused(self, request: Request) -> Response | None:
        """Return why an order is not taken from who is known."""
        if self._token is None:
            wrong = "orders are taken under a token alone: set PARETO_PRUNE_TOKEN\n"
            return PlainTextResponse(wrong, 403)
        given = _field(request, FORM_KEY)
        if _bearer(request) is None and not _same(given, self._form_key(request)):
            return PlainTextResponse("this did not come from a page of this service\n", 403)
        return None

    def _known(self, request: Request) -> bool:
        assert self._token is not None
        given = _bearer(request)
        if given is not None:
            return _same(given, self._token)
        return self._valid(request.cookies.get(COOKIE, ""))

    def _form_key(self, request: Request) -> str:
        """Return what forms of this session's pages bring; empty where nobody is logged in."""
        cookie = request.cookies.get(COOKIE, "")
        return self._signature(f"form {cookie}") if self._token and cookie else ""

    def _valid(self, cookie: str) -> bool:
        ends, _, signature = cookie.partition(".")
        signed = _same(signature, self._signature(ends))
        return signed and ends.isdigit() and int(ends) > self._clock()

    def _signature(self, ends: str) -> str:
        """Return a signature of what a session is: when it ends, or what its forms bring."""
        key = (self._token or "").encode()
        return hmac.new(key, f"session {ends}".encode(), hashlib.sha256).hexdigest()

    def _log_in(self, request: Request) -> Response:
        if self._token is None or not _same(_field(request, "token"), self._token):
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


def _bearer(request: Request) -> str | None:
    """Return the token of the header, ``None`` where there is none."""
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if scheme.lower() == "bearer" else None


def _field(request: Request, name: str) -> str:
    """Return a field of the form in the body; empty where it has none."""
    body = getattr(request.state, "body", b"").decode("utf-8", "replace")
    return parse_qs(body).get(name, [""])[0]


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode(), wanted.encode())


def _host(headers: Headers) -> str:
    """Return the name in the Host header; empty where that is no name and port."""
    found = _HOST.fullmatch(headers.get("host", ""))
    return (found[1] or found[2]).lower() if found else ""
