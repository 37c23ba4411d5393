"""Starting the web service: where it listens, and with which token."""

from __future__ import annotations

import ipaddress
import os
import socket
from collections.abc import Callable, Mapping

from pareto_prune.core.errors import MissingExtraError, Problem, UserError
from pareto_prune.running.submission import TAKES_NONE, Intake
from pareto_prune.storage import Storage, open_storage

TOKEN = "PARETO_PRUNE_TOKEN"
SHORTEST_TOKEN = 16
_MOST_HEADER_BYTES = 64 * 1024
_GRACE_SECONDS = 10
_PATIENCE_SECONDS = 2.0


def serve(
    url: str,
    host: str = "127.0.0.1",
    port: int = 8000,
    on_listening: Callable[[str], None] = lambda _: None,
    intake: Intake = TAKES_NONE,
) -> None:
    """Serve the studies of a storage until SIGINT or SIGTERM.

    Args:
        url: of the storage.
        host: address to listen on.
        port: to listen on; 0 for any free one.
        on_listening: told the address once connections are taken.
        intake: how studies are taken; by default none is.

    Raises:
        UserError: the storage does not open, the port is taken, or the address is reached from
            elsewhere and there is no token.
    """
    try:
        import uvicorn

        from pareto_prune.serve._app import make_app
    except ImportError as error:
        raise MissingExtraError(error.name or "uvicorn", "serve") from None
    token = token_for(host, os.environ)
    app = make_app(_opened(url), token, intake)
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        h11_max_incomplete_event_size=_MOST_HEADER_BYTES,
        server_header=False,
        access_log=False,
        log_level="warning",
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    with listening(host, port) as taken:
        on_listening(f"http://{_bracketed(host)}:{taken.getsockname()[1]}")
        uvicorn.Server(config).run(sockets=[taken])


def _opened(url: str) -> Storage:
    """Return the storage, for people who wait: a page says soon that it is away."""
    open_storage(url).close()  # a server that is starting gets its time here
    return open_storage(url, patience=_PATIENCE_SECONDS)


def token_for(host: str, environment: Mapping[str, str]) -> str | None:
    """Return the token to ask for; ``None`` where only this host gets through and none is set.

    Raises:
        UserError: there is none and others get through, or it is too short to be a secret.
    """
    token = environment.get(TOKEN, "").strip()
    if token and len(token) < SHORTEST_TOKEN:
        advice = f"allowed: at least {SHORTEST_TOKEN} characters"
        raise UserError(Problem(TOKEN, "is too short to be a secret", advice))
    if not token and not is_loopback(host):
        wrong = f"{host} is reached from elsewhere, and there is no token"
        raise UserError(Problem("--host", wrong, f"allowed: set {TOKEN}, or --host 127.0.0.1"))
    return token or None


def is_loopback(host: str) -> bool:
    """Return whether an address is reached from this host only."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def listening(host: str, port: int) -> socket.socket:
    """Return a socket that listens.

    Raises:
        UserError: the address is not ours, or the port is taken.
    """
    try:
        family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        return socket.create_server(address[:2], family=family)
    except OSError as error:
        wrong = f"cannot listen on {host}:{port}: {error.strerror or error}"
        raise UserError(Problem("--port", wrong, "allowed: another one")) from None
