"""What a request may weigh, and the headers that every answer has."""

from __future__ import annotations

import re

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pareto_prune.serve._access import SUBMIT

MOST_HEADER_BYTES = 16 * 1024
MOST_BODY_BYTES = 4 * 1024
MOST_STUDY_BYTES = 64 * 1024
"""Of a study file that is sent; of everything else less."""
STRICT = (
    "default-src 'none'; style-src 'unsafe-inline'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": STRICT,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
    "Cache-Control": "no-store",
}
_NUMBER = re.compile("[0-9]{1,18}")


class Limits:
    """Refuses what is too large (431, 413) and puts the security headers on every answer.

    Args:
        app: what answers; a header that it sets itself stays.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)

        async def send_safely(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        app = await _refused(scope, receive) or self._app
        return await app(scope, receive, send_safely)


async def _refused(scope: Scope, receive: Receive) -> ASGIApp | None:
    """Return the answer to a request that is too large; reads its body if it has one."""
    if sum(len(name) + len(value) for name, value in scope["headers"]) > MOST_HEADER_BYTES:
        return PlainTextResponse("the header is too large\n", 431)
    headers = Headers(scope=scope)
    announced = headers.get("content-length", "0")
    has_body = announced != "0" or "transfer-encoding" in headers
    most = MOST_STUDY_BYTES if scope["path"] == SUBMIT else MOST_BODY_BYTES
    if not _NUMBER.fullmatch(announced) or int(announced) > most:
        return PlainTextResponse("the body is too large\n", 413)
    if has_body:
        body = await _body(receive, most)
        if body is None:
            return PlainTextResponse("the body is too large\n", 413)
        scope["state"] = {**scope.get("state", {}), "body": body}
    return None


async def _body(receive: Receive, most: int) -> bytes | None:
    """Return the body; ``None`` once it is larger than ``most``, or its sender has gone."""
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            return None
        parts.append(message.get("body", b""))
        size += len(parts[-1])
        if size > most:
            return None
        if not message.get("more_body", False):
            return b"".join(parts)
