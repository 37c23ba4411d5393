"""Sends a study file to a service that takes studies."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, Request, build_opener

from pareto_prune.core.errors import ParetoPruneError, Problem, UserError

PATH = "/api/v1/studies"
_SECONDS = 30.0
_TRIES = 3


class _Nowhere(HTTPRedirectHandler):
    """Follows no redirect: it would take the token to another address."""

    def redirect_request(self, *_: Any) -> None:
        """Return none."""


def send(file: bytes, to: str, token: str) -> str:
    """Send a study file and return the address of its study.

    An answer that is lost costs nothing: each try says that it is the same study.

    Args:
        file: TOML.
        to: address of the service, such as ``https://studies.example``.
        token: of the service.

    Raises:
        UserError: the service refuses, with every problem of the file.
        ParetoPruneError: it does not answer.
    """
    base = _base(to)
    headers = {
        "Authorization": f"Bearer {token}",
        "Content-Type": "application/toml",
        "Idempotency-Key": str(uuid.uuid4()),
    }
    answer = _answered(Request(base + PATH, file, headers, method="POST"), _TRIES)
    return base + str(answer["address"])


def _base(to: str) -> str:
    parts = urlsplit(to)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.username:
        allowed = "allowed: an address such as https://studies.example, the token apart from it"
        raise UserError(Problem("--to", "is no address of a service", allowed))
    return to.rstrip("/")


def _answered(request: Request, tries: int) -> Mapping[str, Any]:
    try:
        with build_opener(_Nowhere).open(request, timeout=_SECONDS) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
    except HTTPError as error:
        with error:
            raise UserError(*_refusal(error.code, error.read())) from None
    except (URLError, OSError, ValueError) as error:
        if tries > 1:
            return _answered(request, tries - 1)
        why = getattr(error, "reason", error)
        raise ParetoPruneError(f"{request.host} does not answer: {why}") from None


def _refusal(code: int, body: bytes) -> list[Problem]:
    """Return the problems that a service names, or the line that it says instead."""
    if code == 401:
        return [Problem("PARETO_PRUNE_TOKEN", "is not the token of the service")]
    try:
        return [Problem(**problem) for problem in json.loads(body)["problems"]]
    except (ValueError, KeyError, TypeError):
        said = body.decode("utf-8", "replace").strip().splitlines()
        return [Problem("--to", f"{code}: {said[0][:200] if said else 'refused'}")]
